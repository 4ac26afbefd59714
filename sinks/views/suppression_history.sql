CREATE OR REPLACE VIEW suppression_history
(
    account      LowCardinality(String) COMMENT 'tenant the number is a recipient of',
    recipient    String COMMENT 'the number, E.164, in its canonical spelling, or a user id of WhatsApp',
    suppressed   Bool COMMENT 'whether it must not be sent to on this channel',
    reasons      Array(LowCardinality(String)) COMMENT 'why: hard_bounces, unsubscribed, manual; empty: not suppressed',
    since        Nullable(DateTime64(3, 'UTC')) COMMENT 'suppressed since, UTC; NULL: not suppressed',
    until        Nullable(DateTime64(3, 'UTC')) COMMENT 'suppressed until, UTC; NULL: until released, or not suppressed',
    strikes      UInt16 COMMENT 'strikes that counted then',
    published_at Nullable(DateTime64(3, 'UTC')) COMMENT 'Kafka timestamp of the record, UTC; NULL: none',
    version      UInt64 COMMENT 'orders the writes of one number',
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
FROM suppression_versions AS stored FINAL
COMMENT 'Every change of a suppression that was published, one row for each channel. Changes made while no sink ran may be missing: the topic is compacted.';
