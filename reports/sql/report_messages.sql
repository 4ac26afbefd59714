WITH page AS (
    SELECT *
    FROM reported_messages
    WHERE /*filters*/ true
    ORDER BY sent_at DESC, message_id
    LIMIT {limit:UInt64} OFFSET {offset:UInt64}
)
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
    provider,
    texts.content AS content,
    status,
    bounce,
    error_code,
    error_text,
    delivered_at,
    read_at,
    next_attempt_at,
    campaign_id,
    message_type,
    external_id,
    email,
    platform,
    segments,
    credits
FROM page
LEFT JOIN (
    SELECT message_id, content
    FROM reported_texts
    WHERE account = {account:String}
        AND message_id IN (SELECT message_id FROM page WHERE {content:String} = 'yes')
) AS texts ON texts.message_id = page.message_id
ORDER BY sent_at DESC, message_id
