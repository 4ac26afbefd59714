WITH
    (
        SELECT groupArray((campaign_id, last_sent))
        FROM (
            SELECT
                campaign_id,
                max(sent_at) AS last_sent
            FROM reported_messages
            WHERE account = {account:String}
                AND sent_at >= {since:DateTime64(3, 'UTC')}
                AND is_sent
                AND campaign_id != ''
            GROUP BY campaign_id
            HAVING countIf(/*filters*/ true) > 0
            ORDER BY last_sent DESC, campaign_id
            LIMIT {limit:UInt64} OFFSET {offset:UInt64}
        )
    ) AS page,
    listed AS (
        SELECT found.1 AS campaign_id, found.2 AS last_sent
        FROM (SELECT arrayJoin(page) AS found)
    ),
    named AS (
        SELECT campaign_id, name, last_modified_by
        FROM campaigns_current
        WHERE account = {account:String}
    ),
    counted AS (
        SELECT campaign_id, messages AS sent, delivered + read AS delivered
        FROM counters_campaign
        WHERE account = {account:String}
    ),
    clicked AS (
        SELECT
            campaign_id,
            countIf(NOT automated) AS clicks,
            countIf(automated) AS automated_clicks,
            uniqExactIf(person, person != '' AND NOT automated) AS unique_clicks
        FROM reported_engagements(
            account = {account:String},
            campaigns = page.1
        )
        WHERE type = 'click'
        GROUP BY campaign_id
    )
SELECT
    named.name AS name,
    listed.campaign_id AS campaign_id,
    named.last_modified_by AS last_modified_by,
    counted.sent AS sent,
    counted.delivered AS delivered,
    clicked.clicks AS clicks,
    clicked.unique_clicks AS unique_clicks,
    clicked.automated_clicks AS automated_clicks,
    listed.last_sent AS last_sent
FROM listed
LEFT JOIN named ON named.campaign_id = listed.campaign_id
LEFT JOIN counted ON counted.campaign_id = listed.campaign_id
LEFT JOIN clicked ON clicked.campaign_id = listed.campaign_id
ORDER BY last_sent DESC, campaign_id
