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
            dateDiff('hour', min(five_minutes) OVER (), max(five_minutes) OVER ()) AS hours
        FROM counted
    )
SELECT
    toDateTime(multiIf(
        hours < 6, five_minutes,
        hours < 72, toStartOfHour(five_minutes, {zone:String}),
        toStartOfDay(five_minutes, {zone:String})
    ), 'UTC') AS slot,
    sum(deliveries) AS delivered
FROM spanned
GROUP BY slot
ORDER BY slot
