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
    /*include figure_columns*/,
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
    /*include figure_values*/,
    segments,
    credits
FROM (
    SELECT
        account, window_start AS sent_at, channel, source, country, provider,
        /*include count_names*/,
        segments, credits
    FROM status_counters FINAL
    WHERE {whole_hours:Bool} AND kind = 'hour'
    UNION ALL
    SELECT
        account, sent_at, channel, source, country, provider,
        /*include count_conditions*/,
        segments, credits
    FROM messages FINAL
    WHERE NOT {whole_hours:Bool} AND outcome != 'received'
)
COMMENT 'Counts of messages by hour, or message by message. Filter it by account and sent_at.';
