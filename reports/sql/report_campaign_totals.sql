WITH
    messages AS (
        SELECT
            /*include counts*/
        FROM reported_campaign_messages(account = {account:String}, campaigns = [{campaign:String}])
    ),
    engagements AS (
        SELECT
            countIf(type = 'click') AS clicks,
            uniqExactIf(recipient, type = 'click' AND recipient != '') AS unique_clicks,
            uniqExactIf(recipient, type = 'unsubscribe' AND recipient != '') AS unsubscribes
        FROM reported_engagements(account = {account:String}, campaigns = [{campaign:String}])
    )
SELECT
    (
        SELECT nullIf(max(target_audience), 0)
        FROM campaigns_current
        WHERE account = {account:String} AND campaign_id = {campaign:String}
    ) AS target_audience,
    messages.*,
    soft + hard AS bounced,
    engagements.*
FROM messages
CROSS JOIN engagements
