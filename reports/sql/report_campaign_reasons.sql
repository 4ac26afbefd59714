SELECT
    fail_reason,
    count() AS failed,
    failed / sum(failed) OVER () AS share
FROM reported_campaign_messages(account = {account:String}, campaigns = [{campaign:String}])
WHERE is_failed
GROUP BY fail_reason
ORDER BY failed DESC, fail_reason
