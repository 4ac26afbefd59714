-- The messages of campaigns, found by the days the counters know: a campaign is looked up in its own
-- days, not in the whole history of its account.
CREATE OR REPLACE VIEW reported_campaign_messages
(
    account            LowCardinality(String) COMMENT 'tenant the message belongs to',
    message_id         String COMMENT 'id given by the sending service, unique in its account',
    channel            LowCardinality(String) COMMENT 'sms or whatsapp',
    direction          LowCardinality(String) COMMENT 'outbound, or inbound for a received message',
    source             LowCardinality(String) COMMENT 'what sent it: direct, verification, open_api_direct, open_api_verification, campaign or program',
    sender_id          LowCardinality(String) COMMENT 'number or name the recipient sees as sender; empty: unknown',
    sent_by            LowCardinality(String) COMMENT 'person or service that sent it; empty: unknown',
    campaign_id        LowCardinality(String) COMMENT 'campaign it belongs to; empty: none',
    message_type       LowCardinality(String) COMMENT 'campaign, notification or another word of the sender; empty: unknown',
    recipient          String COMMENT 'number of the other side, E.164',
    country            LowCardinality(String) COMMENT 'ISO 3166-1 alpha-2 of the recipient; empty: unknown',
    external_id        String COMMENT 'id of the message or contact in a system of the sender; empty: none',
    email              String COMMENT 'e-mail address of the recipient, if the sender knows it; empty: none',
    platform           LowCardinality(String) COMMENT 'platform the message was sent from; empty: unknown',
    provider           LowCardinality(String) COMMENT 'provider of the latest attempt; empty: unknown',
    segments           UInt32 COMMENT 'message parts charged, summed over attempts',
    credits            Decimal(18, 6) COMMENT 'price in credits, summed over attempts',
    attempts           UInt16 COMMENT 'highest attempt known; 1: never retried',
    sent_at            DateTime64(3, 'UTC') COMMENT 'when attempt 1 was sent, UTC',
    status             LowCardinality(String) COMMENT 'submitted, queued, delivered, read, undelivered, rejected, deleted, or received when inbound',
    platform_status    LowCardinality(String) COMMENT 'what the platform did: submitted or rejected; empty when inbound',
    carrier_status     LowCardinality(String) COMMENT 'what the network did: queued, delivered or undelivered; empty when rejected or inbound',
    bounce             LowCardinality(String) COMMENT 'soft or hard failure; empty: no bounce',
    scope              LowCardinality(String) COMMENT 'whose fault a failure is: recipient, content, sender, account, route, network, policy or time; empty: unknown or no failure',
    error_code         LowCardinality(String) COMMENT 'code the provider gave for a failure; empty: none',
    fail_reason        LowCardinality(String) COMMENT 'why it failed, in words for people, or expired; empty: not failed',
    queued_at          Nullable(DateTime64(3, 'UTC')) COMMENT 'first seen queued, UTC; NULL: not yet',
    delivered_at       Nullable(DateTime64(3, 'UTC')) COMMENT 'first seen delivered or read, UTC; NULL: not yet',
    read_at            Nullable(DateTime64(3, 'UTC')) COMMENT 'first seen read, UTC; NULL: not yet',
    finalized_at       Nullable(DateTime64(3, 'UTC')) COMMENT 'when the outcome was known (delivered, failed or expired), UTC; NULL: pending',
    clicked_at         Nullable(DateTime64(3, 'UTC')) COMMENT 'first click on a link of the message, UTC; NULL: none',
    unsubscribed_at    Nullable(DateTime64(3, 'UTC')) COMMENT 'first unsubscribe through the message, UTC; NULL: none',
    version            UInt64 COMMENT 'orders the writes of one message; the highest stands',
    error_text         LowCardinality(String) COMMENT 'words the provider gave for a failure; empty: none',
    failed_attempt     Nullable(UInt16) COMMENT 'attempt whose failure decides; NULL: not failed',
    no_retry_reason    LowCardinality(String) COMMENT 'why no further attempt was asked for: off, too_late, too_many (attempts), expired, suppressed or final; empty: one was or will be, or none is needed',
    next_attempt_at    Nullable(DateTime64(3, 'UTC')) COMMENT 'when the next attempt is or was due, UTC; NULL: none',
    sent_to_suppressed Bool COMMENT 'whether it was sent although its number was suppressed before',
    outcome            LowCardinality(String) COMMENT 'the one word a message is counted under: submitted, queued, delivered, read, undelivered_soft, undelivered_hard, expired, rejected, deleted; received when inbound',
    is_sent            UInt8 COMMENT '1: an outbound message; sent = submitted + rejected',
    is_submitted       UInt8 COMMENT '1: the platform took it; submitted = queued + delivered + undelivered',
    is_queued          UInt8 COMMENT '1: submitted, and the network has not decided yet; on WhatsApp pages pending',
    is_delivered       UInt8 COMMENT '1: delivered or read',
    is_read            UInt8 COMMENT '1: read; read messages are delivered too',
    is_undelivered     UInt8 COMMENT '1: submitted, and the network did not deliver it: soft, hard, expired or deleted',
    is_soft            UInt8 COMMENT '1: undelivered for a temporary reason, expired ones included',
    is_hard            UInt8 COMMENT '1: undelivered for good',
    is_expired         UInt8 COMMENT '1: undelivered because its validity ran out while it was pending; among the soft ones',
    is_deleted         UInt8 COMMENT '1: the network deleted the number or the message',
    is_rejected        UInt8 COMMENT '1: the platform or the provider refused it',
    is_failed          UInt8 COMMENT '1: undelivered or rejected',
    is_clicked         UInt8 COMMENT '1: a link of it was clicked',
    is_unsubscribed    UInt8 COMMENT '1: its recipient unsubscribed through it',
    seconds_to_deliver Nullable(Float64) COMMENT 'seconds from sending to delivery; NULL: not delivered'
)
AS SELECT *
FROM reported_messages
WHERE account = {account:String}
    AND is_sent
    AND has({campaigns:Array(String)}, campaign_id)
    AND toDate(sent_at) IN (
        SELECT day FROM reported_campaign_days
        WHERE account = {account:String} AND has({campaigns:Array(String)}, campaign_id)
    )
COMMENT 'Outbound messages of some campaigns of an account, as they stand now.';
