SELECT
    platform,
    count() AS sent,
    sum(is_delivered) AS delivered,
    sum(is_failed) AS failed
FROM reported_campaign_messages(account = {account:String}, campaigns = [{campaign:String}])
GROUP BY platform
ORDER BY sent DESC, platform
