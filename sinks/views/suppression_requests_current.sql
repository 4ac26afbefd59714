CREATE OR REPLACE VIEW suppression_requests_current
(
    account   LowCardinality(String) COMMENT 'tenant the number is a recipient of',
    recipient String COMMENT 'the number, E.164, in its canonical spelling, or a user id of WhatsApp',
    at        DateTime64(3, 'UTC') COMMENT 'when it was decided, UTC',
    action    LowCardinality(String) COMMENT 'suppress, release, resubscribe or unsubscribe',
    who       LowCardinality(String) COMMENT 'who decided; empty: not given',
    why       String COMMENT 'why; for an unsubscribe through a message its message_id; empty: not given',
    channel   LowCardinality(String) COMMENT 'channel it binds; empty: all'
)
AS SELECT
    account,
    recipient,
    at,
    action,
    who,
    why,
    channel
FROM suppression_requests FINAL
COMMENT 'What people and recipients decided about numbers, one row a request.';
