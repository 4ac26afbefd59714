-- Clicks and unsubscribes of campaigns. An event belongs to the campaign it names; when it names none,
-- to that of its message. Its person is the number it names; when it names none, that of its message,
-- if the message belongs to the same campaign. Clocks differ: events count from the day
-- before the first message on. The events are the right side, which the join keeps in memory: they are
-- few beside the messages.
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
AS SELECT
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
FROM reported_campaign_messages(account = {account:String}, campaigns = {campaigns:Array(String)}) AS behind
RIGHT JOIN (
    SELECT *
    FROM engagements_current
    WHERE account = {account:String}
        AND (campaign_id = '' OR has({campaigns:Array(String)}, campaign_id))
        AND occurred_at >= (
            SELECT minOrNull(day) - 1 FROM reported_campaign_days
            WHERE account = {account:String} AND has({campaigns:Array(String)}, campaign_id)
        )
) AS events ON events.message_id = behind.message_id
WHERE events.campaign_id != '' OR behind.campaign_id != ''
COMMENT 'Clicks and unsubscribes of some campaigns of an account, each with its campaign and its person.';
