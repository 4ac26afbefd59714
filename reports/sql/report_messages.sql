WITH page AS (
    SELECT * REPLACE (if(currency = '', NULL, price) AS price)
    FROM reported_messages
    WHERE /*filters*/ true
    ORDER BY sent_at DESC, message_id
    LIMIT {limit:UInt64} OFFSET {offset:UInt64}
)
SELECT /*columns*/ *
FROM page
LEFT JOIN (
    SELECT message_id, content
    FROM /*texts*/ reported_texts
    WHERE account = {account:String}
        AND message_id IN (SELECT message_id FROM page WHERE {content:String} = 'yes')
) AS texts ON texts.message_id = page.message_id
ORDER BY sent_at DESC, message_id
