CREATE OR REPLACE VIEW retry_requests_current
(
    id            String COMMENT 'id of the request: account, message_id and attempt',
    account       LowCardinality(String) COMMENT 'tenant the message belongs to',
    message_id    String COMMENT 'message to send again',
    attempt       UInt16 COMMENT 'attempt to make',
    first_sent_at DateTime64(3, 'UTC') COMMENT 'when attempt 1 was sent, UTC',
    due_at        DateTime64(3, 'UTC') COMMENT 'when the attempt was due, UTC',
    recipient     String COMMENT 'number to send to, E.164',
    channel       LowCardinality(String) COMMENT 'sms or whatsapp',
    published_at  Nullable(DateTime64(3, 'UTC')) COMMENT 'Kafka timestamp of the record, UTC; NULL: none',
    version       UInt64 COMMENT 'the highest wins: the request published first'
)
AS SELECT
    concat(account, '/', message_id, '/', toString(attempt)) AS id,
    account,
    message_id,
    attempt,
    first_sent_at,
    due_at,
    recipient,
    channel,
    nullIf(published_at, toDateTime64(0, 3, 'UTC')) AS published_at,
    version
FROM retry_requests FINAL
COMMENT 'Attempts requested of the senders, one row each.';
