WITH
    counted AS (
        SELECT
            toStartOfFiveMinutes(delivered_at, {zone:String}) AS five_minutes,
            count() AS deliveries
        FROM reported_campaign_messages(account = {account:String}, campaigns = [{campaign:String}])
        WHERE is_delivered
        GROUP BY five_minutes
    ),
    spanned AS (
        SELECT
            five_minutes,
            deliveries,
            dateDiff('second', min(five_minutes) OVER (), max(five_minutes) OVER ()) AS span_s
        FROM counted
    )
SELECT
    toDateTime(multiIf(
        span_s < 6 * 3600, five_minutes,
        span_s < 72 * 3600, toStartOfHour(five_minutes, {zone:String}),
        toStartOfDay(five_minutes, {zone:String})
    ), 'UTC') AS slot,
    sum(deliveries) AS delivered
FROM spanned
GROUP BY slot
ORDER BY slot
