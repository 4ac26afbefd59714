-- Strikes of numbers since their last release. Those that count are the newest of them, as many as
-- reported_suppressions.strikes counts. What names no channel concerns every channel. Filter it by
-- account and recipient.
CREATE OR REPLACE VIEW reported_strikes
(
    account   LowCardinality(String) COMMENT 'tenant the number is a recipient of',
    recipient String COMMENT 'the number, in the spelling that stands for all of its spellings',
    strikes   Array(Tuple(occurred_at DateTime64(3, 'UTC'), sent_at DateTime64(3, 'UTC'), message_id String, code String)) COMMENT 'messages that struck it, the newest strike first',
    channel   LowCardinality(String) COMMENT 'channel of the strikes'
)
AS WITH toDateTime64(0, 3, 'UTC') AS never
SELECT
    account,
    recipient,
    arrayReverseSort(arrayFilter(strike -> strike.2 >= max(released_at), groupArrayIf(
        tuple(occurred_at, sent_at, message_id, code), message_id != ''
    ))) AS strikes,
    of_channel AS channel
FROM (
    SELECT account, recipient, channel, never AS released_at, occurred_at, sent_at, message_id, code
    FROM strikes FINAL
    WHERE struck
    UNION ALL
    SELECT account, recipient, channel, at AS released_at, never AS occurred_at, never AS sent_at, '' AS message_id, '' AS code
    FROM suppression_requests FINAL
    WHERE action = 'release'
)
ARRAY JOIN if(channel = '', /*include channels*/, [toString(channel)]) AS of_channel
GROUP BY account, recipient, of_channel
COMMENT 'Messages that struck each number by each channel and were not forgiven by a release.';
