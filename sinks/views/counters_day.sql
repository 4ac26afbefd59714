CREATE OR REPLACE VIEW counters_day
(
    account          LowCardinality(String) COMMENT 'tenant the messages belong to',
    window_start     DateTime64(3, 'UTC') COMMENT 'start of the day of sent_at, UTC',
    channel          LowCardinality(String) COMMENT 'sms or whatsapp',
    source           LowCardinality(String) COMMENT 'what sent the messages',
    country          LowCardinality(String) COMMENT 'country of the recipients; empty: unknown',
    provider         LowCardinality(String) COMMENT 'provider of the latest attempt; empty: unknown',
    /*include count_columns*/
)
AS SELECT
    account,
    window_start,
    channel,
    source,
    country,
    provider,
    /*include count_sums*/
FROM status_counters AS cells FINAL
WHERE kind = 'day'
GROUP BY account, window_start, channel, source, country, provider
HAVING messages > 0
COMMENT 'Messages by current status in each UTC day of sent_at. Inbound messages and orphans are not counted.';
