SELECT
    latest.external_id AS external_id,
    recipient,
    latest.email AS email,
    latest.message_id AS message_id,
    latest.country AS country,
    latest.sent_at AS sent_at,
    latest.fail_reason AS fail_reason
FROM (
    SELECT
        recipient,
        argMax(
            tuple(external_id, email, message_id, country, sent_at, fail_reason)::Tuple(
                external_id String,
                email String,
                message_id String,
                country String,
                sent_at DateTime64(3, 'UTC'),
                fail_reason String
            ),
            (sent_at, message_id)
        ) AS latest
    FROM reported_campaign_messages(account = {account:String}, campaigns = [{campaign:String}])
    WHERE /*filters*/ true
    GROUP BY recipient
)
ORDER BY sent_at DESC, recipient
LIMIT {limit:UInt64} OFFSET {offset:UInt64}
