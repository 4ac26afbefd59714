-- What several reads about one message need of it, and its number in the spelling of suppressions.
(
    SELECT argMax(
        tuple(
            person, channel, direction, provider, sent_at, delivered_at, attempts, failed_attempt
        )::Tuple(
            person String,
            channel String,
            direction String,
            provider String,
            sent_at DateTime64(3, 'UTC'),
            delivered_at Nullable(DateTime64(3, 'UTC')),
            attempts UInt16,
            failed_attempt Nullable(UInt16)
        ),
        version
    )
    FROM reported_messages
    WHERE /*filters*/ true
) AS message,
(SELECT any(recipient) FROM orphans_current WHERE /*filters*/ true) AS named_by_receipts,
if(message.person = '', named_by_receipts, message.person) AS number
