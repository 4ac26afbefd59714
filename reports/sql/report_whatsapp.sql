WITH page AS (
    SELECT *
    FROM reported_messages
    WHERE /*filters*/ true
    ORDER BY sent_at DESC, message_id
    LIMIT {limit:UInt64} OFFSET {offset:UInt64}
)
SELECT
    sent_at,
    direction,
    sender_id,
    source,
    sent_by,
    country,
    recipient,
    multiIf(is_read, 'read', is_delivered, 'delivered', is_queued, 'pending', is_failed, 'failed', 'received') AS state,
    fail_reason,
    texts.content AS content,
    message_id,
    delivered_at,
    read_at,
    campaign_id,
    external_id,
    email,
    error_text
FROM page
LEFT JOIN (
    SELECT message_id, content
    FROM /*texts*/ reported_texts
    WHERE account = {account:String}
        AND message_id IN (SELECT message_id FROM page WHERE {content:String} = 'yes')
) AS texts ON texts.message_id = page.message_id
ORDER BY sent_at DESC, message_id
