CREATE OR REPLACE VIEW message_texts_current
(
    account    LowCardinality(String) COMMENT 'tenant the message belongs to',
    message_id String COMMENT 'message the text belongs to',
    attempt    UInt16 COMMENT 'attempt the text was sent with',
    sent_at    DateTime64(3, 'UTC') COMMENT 'when this attempt was sent, UTC; its time to live counts from here',
    text       String COMMENT 'what was sent',
    version    UInt64 COMMENT 'the highest wins: the send with the smallest sent_at'
)
AS SELECT
    account,
    message_id,
    attempt,
    sent_at,
    text,
    version
FROM message_texts FINAL
COMMENT 'Text of every attempt, as long as text_days allow.';
