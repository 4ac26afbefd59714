SELECT
    latest.external_id AS external_id,
    latest.recipient AS recipient,
    latest.email AS email,
    latest.message_id AS message_id,
    latest.country AS country,
    latest.sent_at AS sent_at,
    latest.fail_reason AS fail_reason,
    held.suppressed AS suppressed,
    latest.error_text AS error_text
FROM (
    SELECT
        person,
        argMax(
            tuple(external_id, recipient, email, message_id, country, sent_at, fail_reason, error_text)::Tuple(
                external_id String,
                recipient String,
                email String,
                message_id String,
                country String,
                sent_at DateTime64(3, 'UTC'),
                fail_reason String,
                error_text String
            ),
            (sent_at, message_id)
        ) AS latest
    FROM reported_campaign_messages(account = {account:String}, campaigns = [{campaign:String}])
    WHERE /*filters*/ true
    GROUP BY person
) AS people
LEFT JOIN (
    /*include suppressed_people*/
) AS held ON held.person = people.person
ORDER BY sent_at DESC, recipient
LIMIT {limit:UInt64} OFFSET {offset:UInt64}
