WITH page AS (
    SELECT *
    FROM suppressions
    WHERE /*filters*/ true
    ORDER BY since DESC, recipient, channel
    LIMIT {limit:UInt64} OFFSET {offset:UInt64}
)
SELECT
    page.recipient AS recipient,
    page.channel AS channel,
    arrayStringConcat(page.reasons, ', ') AS reasons,
    page.since AS since,
    page.until AS until,
    page.binds AS binds,
    toUInt64(page.strikes) AS strikes,
    arrayStringConcat(arraySlice(struck.strikes.message_id, 1, page.strikes), ', ') AS messages
FROM page
LEFT JOIN (
    SELECT recipient, channel, strikes
    FROM reported_strikes
    WHERE account = {account:String} AND recipient IN (SELECT recipient FROM page)
) AS struck ON struck.recipient = page.recipient AND struck.channel = page.channel
ORDER BY since DESC, recipient, channel
