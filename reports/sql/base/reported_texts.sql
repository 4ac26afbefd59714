-- Texts of messages, without one-time codes. It reads the table itself, which knows what sent a text.
-- Filter it by account and message_id: texts are bulky.
CREATE OR REPLACE VIEW reported_texts
(
    account    LowCardinality(String) COMMENT 'tenant the message belongs to',
    message_id String COMMENT 'message the text belongs to',
    content    String COMMENT 'text of the latest attempt that came with one, as long as texts are kept'
)
AS SELECT
    account,
    message_id,
    argMax(text, attempt) AS content
FROM message_texts FINAL
WHERE source NOT IN /*include verification_sources*/
GROUP BY account, message_id
COMMENT 'The text of each message; verification messages have none here.';
