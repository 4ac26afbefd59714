SELECT
    section,
    platform,
    weekday,
    hour,
    toDateTime(multiIf(
        span_s < 6 * 3600, five_minutes,
        span_s < 72 * 3600, toStartOfHour(five_minutes, {zone:String}),
        toStartOfDay(five_minutes, {zone:String})
    ), 'UTC') AS slot,
    fail_reason,
    sum(messages) AS sent,
    sum(arrived) AS delivered,
    sum(lost) AS failed,
    failed / nullIf(sum(failed) OVER (PARTITION BY section), 0) AS share,
    multiIf(section = 'platforms', sent, section = 'reasons', failed, 0) AS weight
FROM (
    SELECT
        *,
        dateDiff('second', min(five_minutes) OVER (PARTITION BY section), max(five_minutes) OVER (PARTITION BY section)) AS span_s
    FROM (
        SELECT
            multiIf(
                grouping(platform) = 0, 'platforms',
                grouping(weekday) = 0, 'heatmap',
                grouping(five_minutes) = 0, 'timeline',
                'reasons'
            ) AS section,
            platform,
            if(is_delivered, toDayOfWeek(delivered_at, 0, {zone:String}), 0) AS weekday,
            if(is_delivered, toHour(delivered_at, {zone:String}), 0) AS hour,
            if(is_delivered, toStartOfFiveMinutes(assumeNotNull(delivered_at), {zone:String}), toDateTime(0, {zone:String})) AS five_minutes,
            fail_reason,
            count() AS messages,
            sum(is_delivered) AS arrived,
            sum(is_failed) AS lost
        FROM reported_campaign_messages(account = {account:String}, campaigns = [{campaign:String}])
        GROUP BY GROUPING SETS ((platform), (weekday, hour), (five_minutes), (fail_reason))
        HAVING section = 'platforms' OR (section = 'reasons' AND lost > 0)
            OR (section IN ('heatmap', 'timeline') AND arrived > 0)
    )
)
GROUP BY section, platform, weekday, hour, slot, fail_reason
