-- What people did in campaigns. An event belongs to the campaign it names; when it names none, to that of
-- its message. Its person is that of its message, whatever number the event names, if the message
-- belongs to the same campaign; else the person of the number. Clocks differ: events count from the
-- day before the first message on. The events are the right side, which the join keeps in memory: they
-- are few compared to the messages.
CREATE OR REPLACE VIEW reported_engagements
(
    account     LowCardinality(String) COMMENT 'tenant the campaign belongs to',
    event_id    String COMMENT 'id of the event, unique in its account',
    type        LowCardinality(String) COMMENT 'click, unsubscribe, resubscribe or conversion',
    occurred_at DateTime64(3, 'UTC') COMMENT 'when it happened, UTC',
    campaign_id LowCardinality(String) COMMENT 'campaign it belongs to',
    message_id  String COMMENT 'message it came through; empty: unknown',
    recipient   String COMMENT 'number of the person, E.164, or user id of WhatsApp; empty: unknown',
    link_id     LowCardinality(String) COMMENT 'link that was clicked; empty: unknown',
    url         String COMMENT 'address that was opened; empty: unknown',
    person      String COMMENT 'the recipient in the canonical spelling of its number; empty: unknown',
    automated   Bool COMMENT 'whether a program clicked: its publisher knows it, or it came within /*include after_delivery_ms*/ ms of the delivery or within /*include other_link_ms*/ ms of a click on another link of the message'
)
AS WITH (
    SELECT minOrNull(day) - 1
    FROM (
        /*include campaign_days*/
    )
) AS since,
if(events.campaign_id IN ('', behind.campaign_id), behind.recipient, '') AS of_message
SELECT
    events.account AS account,
    events.event_id AS event_id,
    events.type AS type,
    events.occurred_at AS occurred_at,
    if(events.campaign_id = '', behind.campaign_id, events.campaign_id) AS campaign_id,
    events.message_id AS message_id,
    if(of_message != '', of_message, events.recipient) AS recipient,
    events.link_id AS link_id,
    events.url AS url,
    if(of_message != '', behind.person, events.person) AS person,
    events.automated OR (events.type = 'click' AND (
        events.other_link_near
        OR abs(dateDiff('millisecond', behind.delivered_at, events.occurred_at)) <= /*include after_delivery_ms*/
    )) AS automated
FROM (
    -- Like reported_campaign_messages with few columns: that is planned in half the time.
    SELECT message_id, campaign_id, recipient, person, delivered_at
    FROM messages FINAL
    WHERE account = {account:String}
        AND outcome != 'received'
        AND has({campaigns:Array(String)}, campaign_id)
        AND toDate(sent_at) IN (
            /*include campaign_days*/
        )
) AS behind
RIGHT JOIN (
    -- Like engagements_current without FINAL, which would merge all events of the account: first the ids
    -- that may matter, then the highest version of each.
    SELECT
        account,
        event_id,
        latest.type AS type,
        latest.occurred_at AS occurred_at,
        latest.message_id AS message_id,
        latest.recipient AS recipient,
        latest.campaign_id AS campaign_id,
        latest.link_id AS link_id,
        latest.url AS url,
        latest.person AS person,
        latest.automated AS automated,
        if(latest.link_id = '', latest.url, latest.link_id) AS link,
        latest.message_id != '' AND link != ''
            AND minIf(link, link != '') OVER near != maxIf(link, link != '') OVER near AS other_link_near
    FROM (
        SELECT
            account,
            event_id,
            argMax(
                tuple(type, occurred_at, message_id, recipient, campaign_id, link_id, url, person, automated)::Tuple(
                    type String,
                    occurred_at DateTime64(3, 'UTC'),
                    message_id String,
                    recipient String,
                    campaign_id String,
                    link_id String,
                    url String,
                    person String,
                    automated Bool
                ),
                version
            ) AS latest
        FROM engagements
        WHERE account = {account:String}
            AND event_id IN (
                SELECT event_id
                FROM engagements
                WHERE account = {account:String}
                    AND (campaign_id = '' OR has({campaigns:Array(String)}, campaign_id))
                    AND occurred_at >= since
            )
        GROUP BY account, event_id
    )
    WHERE latest.occurred_at >= since
        AND (latest.campaign_id = '' OR has({campaigns:Array(String)}, latest.campaign_id))
    WINDOW near AS (
        PARTITION BY latest.message_id, latest.type
        ORDER BY toUnixTimestamp64Milli(latest.occurred_at)
        RANGE BETWEEN /*include other_link_ms*/ PRECEDING AND /*include other_link_ms*/ FOLLOWING
    )
) AS events ON events.message_id = behind.message_id
WHERE events.campaign_id != '' OR behind.campaign_id != ''
COMMENT 'What people did in some campaigns of an account, each event with its campaign and its person.';
