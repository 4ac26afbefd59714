-- Clicks and unsubscribes of campaigns. An event belongs to the campaign it names; when it names none,
-- to that of its message. Its person is the number it names; when it names none, that of its message,
-- if the message belongs to the same campaign. Clocks differ: events count from the day
-- before the first message on. The events are the right side, which the join keeps in memory: they are
-- few compared to the messages.
CREATE OR REPLACE VIEW reported_engagements
(
    account     LowCardinality(String) COMMENT 'tenant the campaign belongs to',
    event_id    String COMMENT 'id of the event, unique in its account',
    type        LowCardinality(String) COMMENT 'click or unsubscribe',
    occurred_at DateTime64(3, 'UTC') COMMENT 'when it happened, UTC',
    campaign_id LowCardinality(String) COMMENT 'campaign it belongs to',
    message_id  String COMMENT 'message it came through; empty: unknown',
    recipient   String COMMENT 'number of the person, E.164; empty: unknown',
    link_id     LowCardinality(String) COMMENT 'link that was clicked; empty: unknown',
    url         String COMMENT 'address that was opened; empty: unknown'
)
AS WITH (
    SELECT minOrNull(day) - 1
    FROM (
        /*include campaign_days*/
    )
) AS since
SELECT
    events.account AS account,
    events.event_id AS event_id,
    events.type AS type,
    events.occurred_at AS occurred_at,
    if(events.campaign_id = '', behind.campaign_id, events.campaign_id) AS campaign_id,
    events.message_id AS message_id,
    multiIf(
        events.recipient != '', events.recipient,
        events.campaign_id IN ('', behind.campaign_id), behind.recipient,
        ''
    ) AS recipient,
    events.link_id AS link_id,
    events.url AS url
FROM (
    -- Like reported_campaign_messages with three columns: that is planned in half the time.
    SELECT message_id, campaign_id, recipient
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
        latest.url AS url
    FROM (
        SELECT
            account,
            event_id,
            argMax(
                tuple(type, occurred_at, message_id, recipient, campaign_id, link_id, url)::Tuple(
                    type String,
                    occurred_at DateTime64(3, 'UTC'),
                    message_id String,
                    recipient String,
                    campaign_id String,
                    link_id String,
                    url String
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
) AS events ON events.message_id = behind.message_id
WHERE events.campaign_id != '' OR behind.campaign_id != ''
COMMENT 'Clicks and unsubscribes of some campaigns of an account, each with its campaign and its person.';
