WITH
    found AS (
        SELECT *
        FROM reported_messages
        WHERE /*filters*/ true
    )
SELECT
    if(has({by:Array(String)}, 'external_id'), external_id, '') AS external_id,
    if(has({by:Array(String)}, 'number'), person, '') AS recipient,
    if(has({by:Array(String)}, 'message_id'), message_id, '') AS message_id,
    if(has({by:Array(String)}, 'campaign'), campaign_id, '') AS campaign_id,
    if(has({by:Array(String)}, 'platform'), platform, '') AS platform,
    if(has({by:Array(String)}, 'country'), country, '') AS country,
    if(has({by:Array(String)}, 'provider'), provider, '') AS provider,
    if(has({by:Array(String)}, 'hour'), toDateTime(toStartOfHour(delivered_at, {zone:String}), 'UTC'), NULL) AS hour,
    count() AS delivered,
    delivered / sum(delivered) OVER () AS share,
    sum(is_read) AS read,
    sum(is_clicked) AS clicked,
    sum(segments) AS segments,
    sum(credits) AS credits
FROM found
GROUP BY ALL
ORDER BY delivered DESC, external_id, recipient, message_id, campaign_id, platform, country, provider, hour
LIMIT {limit:UInt64} OFFSET {offset:UInt64}
