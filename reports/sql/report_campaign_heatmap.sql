SELECT
    toDayOfWeek(delivered_at, 0, {zone:String}) AS weekday,
    toHour(delivered_at, {zone:String}) AS hour,
    count() AS delivered
FROM reported_campaign_messages(account = {account:String}, campaigns = [{campaign:String}])
WHERE is_delivered
GROUP BY weekday, hour
ORDER BY weekday, hour
