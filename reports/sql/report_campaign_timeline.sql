WITH
    deliveries AS (
        SELECT delivered_at
        FROM reported_campaign_messages(account = {account:String}, campaigns = [{campaign:String}])
        WHERE is_delivered
    ),
    (SELECT dateDiff('second', min(delivered_at), max(delivered_at)) FROM deliveries) AS span_s
SELECT
    toDateTime(multiIf(
        span_s <= 21600, toStartOfFiveMinutes(delivered_at, {zone:String}),
        span_s <= 259200, toStartOfHour(delivered_at, {zone:String}),
        toStartOfDay(delivered_at, {zone:String})
    ), 'UTC') AS slot,
    count() AS delivered
FROM deliveries
GROUP BY slot
ORDER BY slot
