CREATE OR REPLACE VIEW message_texts_current
(
    account    LowCardinality(String) COMMENT 'tenant the message belongs to',
    message_id String COMMENT 'message the text belongs to',
    attempt    UInt16 COMMENT 'attempt the text was sent with',
    sent_at    DateTime64(3, 'UTC') COMMENT 'when this attempt was sent, UTC; its time to live counts from here',
    text       String COMMENT 'what was sent; empty for verification messages: it is in the table only',
    version    UInt64 COMMENT 'the highest wins: the send with the smallest sent_at',
    source     LowCardinality(String) COMMENT 'what sent it; empty: written before it was kept, and by no verification'
)
AS SELECT
    account,
    message_id,
    attempt,
    sent_at,
    if(texts.source IN /*include verification_sources*/, '', texts.text) AS text,
    version,
    source
FROM message_texts AS texts FINAL
COMMENT 'Text of every attempt, as long as text_days allow.';
