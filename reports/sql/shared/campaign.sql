SELECT
    section,
    link_id,
    url,
    clicks,
    automated_clicks,
    unique_clicks,
    unsubscribes,
    conversions,
    (
        SELECT nullIf(max(target_audience), 0)
        FROM campaigns_current
        WHERE account = {account:String} AND campaign_id = {campaign:String}
    ) AS target_audience,
    messages.*,
    soft + hard AS bounced
FROM (
    SELECT
        if(grouping(link_id) = 1, 'totals', 'links') AS section,
        link_id,
        url,
        countIf(type = 'click' AND NOT automated) AS clicks,
        countIf(type = 'click' AND automated) AS automated_clicks,
        uniqExactIf(person, type = 'click' AND NOT automated AND person != '') AS unique_clicks,
        uniqExactIf(person, type = 'unsubscribe' AND person != '') AS unsubscribes,
        uniqExactIf(person, type = 'conversion' AND person != '') AS conversions
    FROM reported_engagements(account = {account:String}, campaigns = [{campaign:String}])
    GROUP BY GROUPING SETS ((), (link_id, url)) -- () is a row of zeroes where there are no events
    HAVING section = 'totals' OR clicks > 0 OR automated_clicks > 0
) AS engagements
CROSS JOIN (
    SELECT
        /*include counts*/
    FROM reported_campaign_messages(account = {account:String}, campaigns = [{campaign:String}])
) AS messages
