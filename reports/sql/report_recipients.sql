SELECT
    latest.recipient AS recipient,
    latest.external_id AS external_id,
    latest.email AS email,
    latest.country AS country,
    latest.sent_at AS sent_at,
    latest.platform_status AS platform_status,
    latest.carrier_status AS carrier_status,
    latest.fail_reason AS fail_reason,
    held.suppressed AS suppressed,
    latest.message_id AS message_id,
    messages,
    first_click AS clicked_at,
    first_unsubscribe AS unsubscribed_at,
    latest.error_text AS error_text
FROM (
    SELECT
        person,
        argMax(
            tuple(
                recipient, external_id, email, country, sent_at, platform_status, carrier_status, fail_reason,
                message_id, error_text
            )::Tuple(
                recipient String,
                external_id String,
                email String,
                country String,
                sent_at DateTime64(3, 'UTC'),
                platform_status String,
                carrier_status String,
                fail_reason String,
                message_id String,
                error_text String
            ),
            (sent_at, message_id)
        ) AS latest,
        count() AS messages,
        min(clicked_at) AS first_click,
        min(unsubscribed_at) AS first_unsubscribe
    FROM reported_campaign_messages(account = {account:String}, campaigns = [{campaign:String}])
    WHERE /*filters*/ true
    GROUP BY person
) AS people
LEFT JOIN (
    /*include suppressed_people*/
) AS held ON held.person = people.person
ORDER BY sent_at DESC, recipient
LIMIT {limit:UInt64} OFFSET {offset:UInt64}
