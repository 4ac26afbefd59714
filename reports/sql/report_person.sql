SELECT /*columns*/ *
FROM reported_messages
WHERE /*filters*/ true
ORDER BY sent_at DESC, message_id
LIMIT {limit:UInt64} OFFSET {offset:UInt64}
