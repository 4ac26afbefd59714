-- One row per message. sent_at stands in the sort key so that FINAL keeps partition pruning
-- (research: without it every query reads the whole table). A conflict that moves sent_at leaves a
-- row under the old key; the sink deletes it with is_deleted = 1.
CREATE TABLE IF NOT EXISTS messages
(
    account         LowCardinality(String) COMMENT 'tenant the message belongs to',
    message_id      String COMMENT 'id given by the sending service, unique in its account',
    channel         LowCardinality(String) COMMENT 'sms or whatsapp',
    direction       LowCardinality(String) COMMENT 'outbound, or inbound for a received message',
    source          LowCardinality(String) COMMENT 'what sent it: direct, verification, open_api_direct, open_api_verification, campaign or program',
    sender_id       LowCardinality(String) COMMENT 'number or name the recipient sees as sender; empty: unknown',
    sent_by         LowCardinality(String) COMMENT 'person or service that sent it; empty: unknown',
    campaign_id     LowCardinality(String) COMMENT 'campaign it belongs to; empty: none',
    message_type    LowCardinality(String) COMMENT 'campaign, notification or another word of the sender; empty: unknown',
    recipient       String COMMENT 'number of the other side, E.164',
    country         LowCardinality(String) COMMENT 'ISO 3166-1 alpha-2 of the recipient; empty: unknown',
    external_id     String COMMENT 'id of the message or contact in a system of the sender; empty: none',
    email           String COMMENT 'e-mail address of the recipient, if the sender knows it; empty: none',
    platform        LowCardinality(String) COMMENT 'platform the message was sent from; empty: unknown',
    provider        LowCardinality(String) COMMENT 'provider of the latest attempt; empty: unknown',
    segments        UInt32 COMMENT 'message parts charged, summed over attempts',
    credits         Decimal(18, 6) COMMENT 'price in credits, summed over attempts',
    attempts        UInt16 COMMENT 'highest attempt known; 1: never retried',
    sent_at         DateTime64(3, 'UTC') CODEC(Delta, ZSTD(3)) COMMENT 'when attempt 1 was sent, UTC',
    status          LowCardinality(String) COMMENT 'submitted, queued, delivered, read, undelivered, rejected, deleted, or received when inbound',
    platform_status LowCardinality(String) COMMENT 'what the platform did: submitted or rejected; empty when inbound',
    carrier_status  LowCardinality(String) COMMENT 'what the network did: queued, delivered or undelivered; empty when rejected or inbound',
    bounce          LowCardinality(String) COMMENT 'soft or hard failure; empty: no bounce',
    scope           LowCardinality(String) COMMENT 'whose fault a failure is: recipient, content, sender, account, route, network, policy or time; empty: unknown or no failure',
    error_code      LowCardinality(String) COMMENT 'code the provider gave for a failure; empty: none',
    fail_reason     LowCardinality(String) COMMENT 'reason the provider gave for a failure, or expired; empty: none',
    queued_at       DateTime64(3, 'UTC') COMMENT 'first seen queued, UTC; 1970: not yet',
    delivered_at    DateTime64(3, 'UTC') COMMENT 'first seen delivered or read, UTC; 1970: not yet',
    read_at         DateTime64(3, 'UTC') COMMENT 'first seen read, UTC; 1970: not yet',
    finalized_at    DateTime64(3, 'UTC') COMMENT 'when the outcome was known (delivered, failed or expired), UTC; 1970: pending',
    clicked_at      DateTime64(3, 'UTC') COMMENT 'first click on a link of the message, UTC; 1970: none',
    unsubscribed_at DateTime64(3, 'UTC') COMMENT 'first unsubscribe through the message, UTC; 1970: none',
    version         UInt64 COMMENT 'orders the writes of one message; the highest stands',
    is_deleted      UInt8 COMMENT '1 deletes the row under this sort key',
    INDEX by_message message_id TYPE bloom_filter(0.001) GRANULARITY 1,
    INDEX by_recipient recipient TYPE bloom_filter(0.01) GRANULARITY 1,
    INDEX by_external_id external_id TYPE bloom_filter(0.001) GRANULARITY 1
)
ENGINE = ReplacingMergeTree(version, is_deleted)
PARTITION BY toYYYYMM(sent_at)
ORDER BY (account, sent_at, message_id)
SETTINGS default_compression_codec = 'ZSTD(3)'
COMMENT 'Messages as written, old versions included: read messages_current instead.';

-- States whose send is unknown: they have no sent_at, so no place in messages. When the send arrives
-- the row is deleted here and the message appears there.
CREATE TABLE IF NOT EXISTS orphans
(
    account             LowCardinality(String) COMMENT 'tenant the receipts name',
    message_id          String COMMENT 'message the receipts name; no send of it is known',
    status              LowCardinality(String) COMMENT 'what the receipts say: queued, delivered, read, undelivered, rejected, deleted or submitted',
    bounce              LowCardinality(String) COMMENT 'soft or hard failure; empty: no bounce',
    scope               LowCardinality(String) COMMENT 'whose fault a failure is; empty: unknown or no failure',
    error_code          LowCardinality(String) COMMENT 'code the provider gave for a failure; empty: none',
    fail_reason         LowCardinality(String) COMMENT 'reason the provider gave for a failure; empty: none',
    provider            LowCardinality(String) COMMENT 'provider of the receipt that decides; empty: unknown',
    provider_message_id String COMMENT 'id the provider gave the message; empty: unknown',
    recipient           String COMMENT 'number the receipts name, E.164; empty: unknown',
    occurred_at         DateTime64(3, 'UTC') COMMENT 'time of the receipt that decides, UTC; 1970: none',
    queued_at           DateTime64(3, 'UTC') COMMENT 'first seen queued, UTC; 1970: not yet',
    delivered_at        DateTime64(3, 'UTC') COMMENT 'first seen delivered or read, UTC; 1970: not yet',
    read_at             DateTime64(3, 'UTC') COMMENT 'first seen read, UTC; 1970: not yet',
    version             UInt64 COMMENT 'orders the writes of one message; the highest stands',
    is_deleted          UInt8 COMMENT '1: the send arrived, the message is in messages'
)
ENGINE = ReplacingMergeTree(version, is_deleted)
ORDER BY (account, message_id)
SETTINGS default_compression_codec = 'ZSTD(3)'
COMMENT 'Receipts without a send as written: read orphans_current instead.';
