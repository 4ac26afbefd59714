-- Receipts whose message was not known when they were reported. Each is a row at last: one with a message
-- wins whenever it came (sinks/mapped_batch.py: found_wins). The time to live is a setting (events_days), set
-- after the migrations. Both rows of a receipt have the same received_at, so a day is a partition and only
-- whole parts expire.
CREATE TABLE IF NOT EXISTS unmatched_receipt_records
(
    account             LowCardinality(String) COMMENT 'tenant whose endpoint the provider called',
    id                  String COMMENT 'the same for every record about a receipt: a digest of its content',
    received_at         DateTime64(3, 'UTC') CODEC(Delta, ZSTD(3)) COMMENT 'when the provider called, UTC; its time to live counts from here',
    message_id          String COMMENT 'its message, found after all; empty: not known',
    reported            Bool COMMENT 'whether it was ever without its message; false: found at once, written since it may wait under another key',
    at                  DateTime64(3, 'UTC') COMMENT 'when it was reported, or found, UTC',
    endpoint            LowCardinality(String) COMMENT 'endpoint that the provider called',
    provider            LowCardinality(String) COMMENT 'provider whose table of codes explains it',
    provider_message_id String COMMENT 'id the provider gave the message; empty: none',
    reference           String COMMENT 'reference that the provider repeats; empty: none',
    recipient           String COMMENT 'number the receipt names; empty: none',
    status              LowCardinality(String) COMMENT 'status it gives, in our words, or unknown',
    provider_status     LowCardinality(String) COMMENT 'status it gives, in the provider\'s own word; empty: none',
    error_code          LowCardinality(String) COMMENT 'code of the provider; empty: none',
    error_text          String COMMENT 'words of the provider; empty: none',
    occurred_at         DateTime64(3, 'UTC') COMMENT 'when it happened, by the provider, UTC; 1970: not given',
    version             UInt64 COMMENT 'the highest wins: a row with a message, then the later at'
)
ENGINE = ReplacingMergeTree(version)
PARTITION BY toDate(received_at)
ORDER BY (account, id)
SETTINGS default_compression_codec = 'ZSTD(3)', ttl_only_drop_parts = 1
COMMENT 'Receipts without a message as written: read unmatched_receipts instead.';
