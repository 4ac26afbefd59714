-- Text is private and bulky: a table of its own, whose time to live is set from text_days after the
-- migrations (it is a setting, not a version of the schema).
-- version is larger for the smaller sent_at, so that of two different sends of one attempt the
-- earlier stands, whatever the order of arrival.
CREATE TABLE IF NOT EXISTS message_texts
(
    account    LowCardinality(String) COMMENT 'tenant the message belongs to',
    message_id String COMMENT 'message the text belongs to',
    attempt    UInt16 COMMENT 'attempt the text was sent with',
    sent_at    DateTime64(3, 'UTC') CODEC(Delta, ZSTD(3)) COMMENT 'when this attempt was sent, UTC; its time to live counts from here',
    text       String COMMENT 'what was sent',
    version    UInt64 COMMENT 'the highest stands: the send with the smallest sent_at'
)
ENGINE = ReplacingMergeTree(version)
PARTITION BY toYYYYMM(sent_at)
ORDER BY (account, message_id, attempt)
SETTINGS default_compression_codec = 'ZSTD(3)'
COMMENT 'Texts of sends as written: read message_texts_current instead.';
