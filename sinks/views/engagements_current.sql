CREATE OR REPLACE VIEW engagements_current
(
    account     LowCardinality(String) COMMENT 'tenant the message belongs to',
    event_id    String COMMENT 'id of the event, unique in its account',
    type        LowCardinality(String) COMMENT 'click or unsubscribe',
    occurred_at DateTime64(3, 'UTC') COMMENT 'when it happened, UTC',
    message_id  String COMMENT 'message it belongs to; empty: unknown',
    recipient   String COMMENT 'number of the person, E.164; empty: unknown',
    campaign_id LowCardinality(String) COMMENT 'campaign it belongs to; empty: unknown',
    link_id     LowCardinality(String) COMMENT 'link that was clicked; empty: unknown',
    url         String COMMENT 'address that was opened; empty: unknown',
    version     UInt64 COMMENT 'the highest wins: the event with the smallest occurred_at'
)
AS SELECT
    account,
    event_id,
    type,
    occurred_at,
    message_id,
    recipient,
    campaign_id,
    link_id,
    url,
    version
FROM engagements FINAL
COMMENT 'Clicks and unsubscribes, one row an event.';
