WITH page AS (
    SELECT *
    FROM reported_messages
    WHERE /*filters*/ true
    ORDER BY sent_at DESC, message_id
    LIMIT {limit:UInt64} OFFSET {offset:UInt64}
)
SELECT
    recipient,
    country,
    sent_at,
    leftUTF8(texts.content, 60) AS start_of_content,
    texts.content AS content,
    message_id,
    channel,
    platform_status,
    carrier_status,
    fail_reason,
    error_text
FROM page
LEFT JOIN (
    SELECT message_id, content
    FROM /*texts*/ reported_texts
    WHERE account = {account:String} AND message_id IN (SELECT message_id FROM page)
) AS texts ON texts.message_id = page.message_id
ORDER BY sent_at DESC, message_id
