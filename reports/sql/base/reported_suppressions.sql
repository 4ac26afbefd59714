-- Suppressions one by one: those of all channels, as records had them before channels were known, are
-- one row for each. Filter it by account.
CREATE OR REPLACE VIEW reported_suppressions
(
    account   LowCardinality(String) COMMENT 'tenant the number is a recipient of',
    recipient String COMMENT 'the number in the spelling that stands for all of its spellings (person of a message), or a user id of WhatsApp',
    channel   LowCardinality(String) COMMENT 'channel by which it must not be sent to',
    reasons   Array(LowCardinality(String)) COMMENT 'why: hard_bounces, unsubscribed, manual',
    since     Nullable(DateTime64(3, 'UTC')) COMMENT 'suppressed since, UTC',
    until     Nullable(DateTime64(3, 'UTC')) COMMENT 'suppressed until, UTC; NULL: until released',
    strikes   UInt16 COMMENT 'strikes that count now',
    binds     LowCardinality(String) COMMENT 'messages not to send: all, or marketing (all but verification messages)'
)
AS SELECT
    account,
    recipient,
    arrayJoin(if(held.channel = '', /*include channels*/, [toString(held.channel)])) AS channel,
    reasons,
    since,
    until,
    strikes,
    binds
FROM suppressions AS held
WHERE suppressed
COMMENT 'Numbers that must not be sent to now, one row for each number and channel.';
