SELECT
    sent_at,
    channel,
    source,
    campaign_id,
    platform_status,
    carrier_status,
    fail_reason,
    recipient,
    message_id,
    status,
    attempts,
    external_id,
    email,
    sender_id,
    country,
    delivered_at,
    read_at,
    clicked_at,
    unsubscribed_at
FROM reported_messages
WHERE /*filters*/ true
ORDER BY sent_at DESC, message_id
LIMIT {limit:UInt64} OFFSET {offset:UInt64}
