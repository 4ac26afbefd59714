-- A replay may publish a request again: senders obey the first, so the first stands.
CREATE TABLE IF NOT EXISTS retry_requests
(
    account       LowCardinality(String) COMMENT 'tenant the message belongs to',
    message_id    String COMMENT 'message to send again',
    attempt       UInt16 COMMENT 'attempt to make',
    first_sent_at DateTime64(3, 'UTC') CODEC(Delta, ZSTD(3)) COMMENT 'when attempt 1 was sent, UTC',
    due_at        DateTime64(3, 'UTC') COMMENT 'when the attempt was due, UTC',
    recipient     String COMMENT 'number to send to, E.164',
    channel       LowCardinality(String) COMMENT 'sms or whatsapp',
    published_at  DateTime64(3, 'UTC') COMMENT 'Kafka timestamp of the record, UTC; 1970: none',
    version       UInt64 COMMENT 'the highest stands: the request published first'
)
ENGINE = ReplacingMergeTree(version)
PARTITION BY toYYYYMM(first_sent_at)
ORDER BY (account, message_id, attempt)
SETTINGS default_compression_codec = 'ZSTD(3)'
COMMENT 'Retry requests as written: read retry_requests_current instead.';
