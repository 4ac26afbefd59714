SELECT
    link_id,
    url,
    count() AS clicks,
    uniqExactIf(recipient, recipient != '') AS unique_clicks
FROM reported_engagements(account = {account:String}, campaigns = [{campaign:String}])
WHERE type = 'click'
GROUP BY link_id, url
ORDER BY clicks DESC, link_id, url
