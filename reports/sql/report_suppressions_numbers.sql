WITH page AS (
    SELECT *
    FROM suppressions
    WHERE /*filters*/ true
    ORDER BY since DESC, recipient
    LIMIT {limit:UInt64} OFFSET {offset:UInt64}
)
SELECT
    page.recipient AS recipient,
    arrayStringConcat(page.reasons, ', ') AS reasons,
    page.since AS since,
    page.until AS until,
    toUInt64(page.strikes) AS strikes,
    arrayStringConcat(arraySlice(struck.strikes.message_id, 1, page.strikes), ', ') AS messages
FROM page
LEFT JOIN (
    SELECT recipient, strikes
    FROM reported_strikes
    WHERE account = {account:String} AND recipient IN (SELECT recipient FROM page)
) AS struck ON struck.recipient = page.recipient
ORDER BY since DESC, recipient
