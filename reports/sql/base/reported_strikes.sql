-- Strikes of numbers on each channel since their last release. Those that count are the newest of them,
-- as many as suppressions.strikes counts. Filter it by account and recipient.
CREATE OR REPLACE VIEW reported_strikes
(
    account   LowCardinality(String) COMMENT 'tenant the number is a recipient of',
    recipient String COMMENT 'the number, E.164, in its canonical spelling, or a user id of WhatsApp',
    strikes   Array(Tuple(occurred_at DateTime64(3, 'UTC'), sent_at DateTime64(3, 'UTC'), message_id String, code String)) COMMENT 'messages that struck it, the newest strike first',
    channel   LowCardinality(String) COMMENT 'channel on which they count: sms or whatsapp'
)
AS WITH toDateTime64(0, 3, 'UTC') AS never
SELECT
    account,
    recipient,
    arrayReverseSort(arrayFilter(strike -> strike.2 >= max(released_at), groupArrayIf(
        tuple(occurred_at, sent_at, message_id, code), message_id != ''
    ))) AS strikes,
    arrayJoin(if(about = '', ['sms', 'whatsapp'], [about])) AS channel
FROM (
    SELECT account, recipient, never AS released_at, occurred_at, sent_at, message_id, code, channel AS about
    FROM strikes_current
    WHERE struck
    UNION ALL
    SELECT account, recipient, at AS released_at, never AS occurred_at, never AS sent_at, '' AS message_id, '' AS code, channel AS about
    FROM suppression_requests_current
    WHERE action = 'release'
)
GROUP BY account, recipient, channel
COMMENT 'Messages that struck each number on each channel and were not forgiven by a release.';
