-- Every receipt as it came, for the story of one message. A replay writes the same rows: partition and
-- offset of the record are in the key. The time to live is a setting (events_days), set after the
-- migrations; a day is a partition and only whole parts expire, so nothing is rewritten for it.
CREATE TABLE IF NOT EXISTS receipt_events
(
    account             LowCardinality(String) COMMENT 'tenant the receipt names',
    message_id          String COMMENT 'message the receipt is about',
    occurred_at         DateTime64(3, 'UTC') CODEC(Delta, ZSTD(3)) COMMENT 'when it happened, by the provider, UTC; its time to live counts from here',
    partition           Int32 COMMENT 'partition of its record in the topic receipts',
    offset              Int64 COMMENT 'offset of its record',
    attempt             UInt8 COMMENT 'attempt it names; 0: none',
    status              LowCardinality(String) COMMENT 'status it gives, in our words, or unknown',
    bounce              LowCardinality(String) COMMENT 'soft or hard, as it gives it; empty: not given',
    scope               LowCardinality(String) COMMENT 'whose fault, as it gives it; empty: not given',
    error_code          LowCardinality(String) COMMENT 'code of the provider; empty: none',
    error_text          String COMMENT 'words of the provider; empty: none',
    provider            LowCardinality(String) COMMENT 'the provider; empty: not given',
    provider_message_id String COMMENT 'id the provider gave the message; empty: unknown',
    recipient           String COMMENT 'number the receipt names; empty: none',
    part                UInt8 COMMENT 'part of a long message it is about; 0: the whole',
    parts               UInt8 COMMENT 'parts of the message; 0: not given',
    mccmnc              LowCardinality(String) COMMENT 'mobile country and network code; empty: not given',
    price               Decimal(18, 6) COMMENT 'price it gives; 0 without a currency: none',
    currency            LowCardinality(String) COMMENT 'ISO 4217 of the price; empty: none',
    received_at         DateTime64(3, 'UTC') COMMENT 'when the publisher received it, UTC; 1970: not given',
    published_at        DateTime64(3, 'UTC') COMMENT 'Kafka timestamp of the record, UTC; 1970: none',
    repaired            Array(LowCardinality(String)) COMMENT 'fields that were wrong and were mended or left out'
)
ENGINE = ReplacingMergeTree
PARTITION BY toDate(occurred_at)
ORDER BY (account, message_id, occurred_at, partition, offset)
SETTINGS default_compression_codec = 'ZSTD(3)', ttl_only_drop_parts = 1
COMMENT 'Receipts as they came: read receipt_events_current instead.';
