CREATE OR REPLACE VIEW engagements_current
(
    account     LowCardinality(String) COMMENT 'tenant the message belongs to',
    event_id    String COMMENT 'id of the event, unique in its account',
    type        LowCardinality(String) COMMENT 'click, unsubscribe, resubscribe or conversion',
    occurred_at DateTime64(3, 'UTC') COMMENT 'when it happened, UTC',
    message_id  String COMMENT 'message it belongs to; empty: unknown',
    recipient   String COMMENT 'number of the person, E.164, or user id of WhatsApp; empty: unknown',
    campaign_id LowCardinality(String) COMMENT 'campaign it belongs to; empty: unknown',
    link_id     LowCardinality(String) COMMENT 'link that was clicked; empty: unknown',
    url         String COMMENT 'address that was opened; empty: unknown',
    version     UInt64 COMMENT 'the highest wins: the event with the smallest occurred_at',
    channel     LowCardinality(String) COMMENT 'sms or whatsapp, for an unsubscribe or resubscribe that names one; empty: none',
    user_agent  String COMMENT 'program that clicked; empty: unknown',
    automated   Bool COMMENT 'whether the publisher knows that a program clicked',
    person      String COMMENT 'the recipient in the canonical spelling of its number; empty: unknown'
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
    version,
    channel,
    user_agent,
    automated,
    person
FROM engagements FINAL
COMMENT 'What people did (clicks, unsubscribes, new subscriptions, conversions), one row an event.';
