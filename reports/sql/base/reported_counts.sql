-- What counts of a period are summed from: the counters by hour, where the period and its zone are of
-- whole hours, else the messages one by one (half-hour zones). The counters equal the messages, and a
-- week of them is read in less time; they follow within a commit of the worker. Rows are cells as the
-- owners of partitions wrote them.
CREATE OR REPLACE VIEW reported_counts
(
    account        LowCardinality(String) COMMENT 'tenant the messages belong to',
    sent_at        DateTime64(3, 'UTC') COMMENT 'start of the hour of sending, or the moment itself, UTC',
    channel        LowCardinality(String) COMMENT 'sms or whatsapp',
    source         LowCardinality(String) COMMENT 'what sent the messages',
    country        LowCardinality(String) COMMENT 'country of the recipients; empty: unknown',
    provider       LowCardinality(String) COMMENT 'provider of the latest attempt; empty: unknown',
    is_sent        UInt64 COMMENT 'outbound messages this row stands for; the other columns count among them',
    is_submitted   UInt64 COMMENT 'messages the platform took',
    is_queued      UInt64 COMMENT 'messages the network has not decided about yet',
    is_delivered   UInt64 COMMENT 'messages delivered or read',
    is_read        UInt64 COMMENT 'messages read',
    is_undelivered UInt64 COMMENT 'submitted messages that failed',
    is_soft        UInt64 COMMENT 'messages undelivered for a temporary reason, expired ones included',
    is_hard        UInt64 COMMENT 'messages undelivered for good',
    is_expired     UInt64 COMMENT 'messages whose validity ran out while they were pending',
    is_deleted     UInt64 COMMENT 'messages deleted by the network',
    is_rejected    UInt64 COMMENT 'messages rejected',
    is_failed      UInt64 COMMENT 'messages undelivered or rejected',
    segments       UInt64 COMMENT 'message parts of all these messages',
    credits        Decimal(38, 6) COMMENT 'credits of all these messages'
)
AS SELECT
    account,
    sent_at,
    channel,
    source,
    country,
    provider,
    is_submitted + is_rejected AS is_sent,
    is_queued + is_delivered + is_undelivered AS is_submitted,
    submitted + queued AS is_queued,
    delivered + read AS is_delivered,
    read AS is_read,
    is_soft + is_hard + is_deleted AS is_undelivered,
    undelivered_soft + expired AS is_soft,
    undelivered_hard AS is_hard,
    expired AS is_expired,
    deleted AS is_deleted,
    rejected AS is_rejected,
    is_undelivered + is_rejected AS is_failed,
    segments,
    credits
FROM (
    SELECT
        account, window_start AS sent_at, channel, source, country, provider,
        submitted, queued, delivered, read, undelivered_soft, undelivered_hard, expired, rejected, deleted,
        segments, credits
    FROM status_counters FINAL
    WHERE {whole_hours:Bool} AND kind = 'hour'
    UNION ALL
    SELECT
        account, sent_at, channel, source, country, provider,
        outcome = 'submitted', outcome = 'queued', outcome = 'delivered', outcome = 'read',
        outcome = 'undelivered_soft', outcome = 'undelivered_hard', outcome = 'expired',
        outcome = 'rejected', outcome = 'deleted',
        segments, credits
    FROM messages FINAL
    WHERE NOT {whole_hours:Bool} AND outcome != 'received'
)
COMMENT 'Counts of messages by hour, or message by message. Filter it by account and sent_at.';
