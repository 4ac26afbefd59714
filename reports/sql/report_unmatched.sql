SELECT /*columns*/ *
FROM unmatched_receipts
WHERE /*filters*/ true
ORDER BY received_at DESC, id
LIMIT {limit:UInt64} OFFSET {offset:UInt64}
