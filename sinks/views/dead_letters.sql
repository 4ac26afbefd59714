CREATE OR REPLACE VIEW dead_letters
(
    topic       LowCardinality(String) COMMENT 'topic the record came from',
    partition   Int32 COMMENT 'partition the record came from',
    offset      Int64 COMMENT 'offset of the record in that partition',
    time        Nullable(DateTime64(3, 'UTC')) COMMENT 'Kafka timestamp of the record, UTC; NULL: none',
    reason      LowCardinality(String) COMMENT 'reason code',
    detail      String COMMENT 'field and what was wrong with it',
    key         Nullable(String) COMMENT 'original key, bytes; NULL: the record had none',
    value       Nullable(String) COMMENT 'original value, bytes; NULL: the record had none',
    dead_offset Int64 COMMENT 'offset of the dead letter itself in the dead-letters topic',
    version     UInt64 COMMENT 'the highest wins: the latest dead letter of a record'
)
AS SELECT
    topic,
    partition,
    offset,
    nullIf(time, toDateTime64(0, 3, 'UTC')) AS time,
    reason,
    detail,
    if(has_key, key, NULL) AS key,
    if(has_value, value, NULL) AS value,
    dead_offset,
    version
FROM dead_letter_records FINAL
COMMENT 'Refused records, one row each, with the reason and the original bytes.';
