SELECT
    sent_at,
    message_id,
    channel,
    sender_id,
    source,
    sent_by,
    country,
    recipient,
    platform_status,
    carrier_status,
    fail_reason,
    attempts,
    provider
FROM reported_messages
WHERE /*filters*/ true
ORDER BY sent_at DESC, message_id
LIMIT {limit:UInt64} OFFSET {offset:UInt64}
