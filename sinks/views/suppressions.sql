-- Rows of a number from before channels were known have none: they concern all channels, until a
-- later version of the number has rows with a channel.
CREATE OR REPLACE VIEW suppressions
(
    account      LowCardinality(String) COMMENT 'tenant the number is a recipient of',
    recipient    String COMMENT 'the number, E.164, in its canonical spelling, or a user id of WhatsApp',
    suppressed   Bool COMMENT 'whether it must not be sent to on this channel',
    reasons      Array(LowCardinality(String)) COMMENT 'why: hard_bounces, unsubscribed, manual; empty: not suppressed',
    since        Nullable(DateTime64(3, 'UTC')) COMMENT 'suppressed since, UTC; NULL: not suppressed',
    until        Nullable(DateTime64(3, 'UTC')) COMMENT 'suppressed until, UTC; NULL: until released, or not suppressed',
    strikes      UInt16 COMMENT 'strikes that count now',
    published_at Nullable(DateTime64(3, 'UTC')) COMMENT 'Kafka timestamp of the record, UTC; NULL: none',
    version      UInt64 COMMENT 'orders the writes of one number; the highest wins',
    channel      LowCardinality(String) COMMENT 'channel it is about: sms or whatsapp',
    binds        LowCardinality(String) COMMENT 'messages not to send: all, or marketing (all but verification messages); empty: not suppressed'
)
AS SELECT
    account,
    recipient,
    suppressed,
    reasons,
    nullIf(since, toDateTime64(0, 3, 'UTC')) AS since,
    nullIf(until, toDateTime64(0, 3, 'UTC')) AS until,
    strikes,
    nullIf(published_at, toDateTime64(0, 3, 'UTC')) AS published_at,
    version,
    /*include channel_and_binds*/
FROM (
    SELECT *, max(version) OVER (PARTITION BY account, recipient) AS latest
    FROM suppression_records FINAL
) AS stored
WHERE version = latest
COMMENT 'Numbers that are or were suppressed or struck, one row for each number and channel, as they are now.';
