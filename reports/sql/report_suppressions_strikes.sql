WITH
    numbers AS (
        SELECT *
        FROM suppressions
        WHERE /*filters*/ true
    ),
    page AS (
        SELECT
            numbers.recipient AS recipient,
            numbers.channel AS channel,
            numbers.since AS since,
            arrayJoin(arraySlice(struck.strikes, 1, numbers.strikes)) AS strike
        FROM numbers
        INNER JOIN (
            SELECT recipient, channel, strikes
            FROM reported_strikes
            WHERE account = {account:String} AND recipient IN (SELECT recipient FROM numbers)
        ) AS struck ON struck.recipient = numbers.recipient AND struck.channel = numbers.channel
        ORDER BY since DESC, recipient, channel, strike DESC
        LIMIT {limit:UInt64} OFFSET {offset:UInt64}
    )
SELECT
    page.recipient AS recipient,
    page.channel AS channel,
    page.strike.message_id AS message_id,
    page.strike.sent_at AS sent_at,
    page.strike.occurred_at AS struck_at,
    page.strike.code AS code,
    behind.fail_reason AS fail_reason,
    behind.campaign_id AS campaign_id
FROM page
LEFT JOIN (
    SELECT message_id, fail_reason, campaign_id
    FROM reported_messages
    WHERE account = {account:String}
        AND sent_at IN (SELECT strike.sent_at FROM page)
        AND message_id IN (SELECT strike.message_id FROM page)
) AS behind ON behind.message_id = page.strike.message_id
ORDER BY page.since DESC, page.recipient, page.channel, page.strike DESC
