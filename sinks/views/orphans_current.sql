CREATE OR REPLACE VIEW orphans_current
(
    account             LowCardinality(String) COMMENT 'tenant the receipts name',
    message_id          String COMMENT 'message the receipts name; no send of it is known',
    status              LowCardinality(String) COMMENT 'status by the receipts, in the words of messages_current',
    bounce              LowCardinality(String) COMMENT 'soft or hard failure; empty: no bounce',
    scope               LowCardinality(String) COMMENT 'whose fault a failure is; empty: unknown or no failure',
    error_code          LowCardinality(String) COMMENT 'code the provider gave for a failure; empty: none',
    fail_reason         LowCardinality(String) COMMENT 'why it failed, in words for people; empty: unknown or not failed',
    provider            LowCardinality(String) COMMENT 'provider of the receipt that decides; empty: unknown',
    provider_message_id String COMMENT 'id the provider gave the message; empty: unknown',
    recipient           String COMMENT 'number the receipts name, E.164; empty: unknown',
    occurred_at         Nullable(DateTime64(3, 'UTC')) COMMENT 'time of the receipt that decides, UTC; NULL: none',
    queued_at           Nullable(DateTime64(3, 'UTC')) COMMENT 'first seen queued, UTC; NULL: not yet',
    delivered_at        Nullable(DateTime64(3, 'UTC')) COMMENT 'first seen delivered or read, UTC; NULL: not yet',
    read_at             Nullable(DateTime64(3, 'UTC')) COMMENT 'first seen read, UTC; NULL: not yet',
    version             UInt64 COMMENT 'orders the writes of one message; the highest wins',
    error_text          LowCardinality(String) COMMENT 'words the provider gave for a failure; empty: none'
)
AS SELECT
    account,
    message_id,
    status,
    bounce,
    scope,
    error_code,
    fail_reason,
    provider,
    provider_message_id,
    recipient,
    nullIf(occurred_at, toDateTime64(0, 3, 'UTC')) AS occurred_at,
    nullIf(queued_at, toDateTime64(0, 3, 'UTC')) AS queued_at,
    nullIf(delivered_at, toDateTime64(0, 3, 'UTC')) AS delivered_at,
    nullIf(read_at, toDateTime64(0, 3, 'UTC')) AS read_at,
    version,
    error_text
FROM orphans FINAL
COMMENT 'Messages known by receipts only: their send has not come (yet), or came before the states were dropped.';
