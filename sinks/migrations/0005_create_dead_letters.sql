-- Known by where the record came from. No time to live: nobody has to hurry to mend them.
-- key and value are the original bytes, which need not be UTF-8.
CREATE TABLE IF NOT EXISTS dead_letter_records
(
    topic       LowCardinality(String) COMMENT 'topic the record came from',
    partition   Int32 COMMENT 'partition the record came from',
    offset      Int64 COMMENT 'offset of the record in that partition',
    time        DateTime64(3, 'UTC') COMMENT 'Kafka timestamp of the record, UTC; 1970: none',
    reason      LowCardinality(String) COMMENT 'reason code',
    detail      String COMMENT 'field and what was wrong with it',
    key         String COMMENT 'original key, bytes; empty when has_key is 0',
    value       String COMMENT 'original value, bytes; empty when has_value is 0',
    has_key     UInt8 COMMENT '0: the record had no key',
    has_value   UInt8 COMMENT '0: the record had no value',
    dead_offset Int64 COMMENT 'offset of the dead letter itself in the dead-letters topic',
    version     UInt64 COMMENT 'the highest stands: the latest dead letter of a record'
)
ENGINE = ReplacingMergeTree(version)
PARTITION BY toYYYYMM(time)
ORDER BY (topic, partition, offset)
SETTINGS default_compression_codec = 'ZSTD(3)'
COMMENT 'Dead letters as written: read dead_letters instead.';
