WITH
    held AS (
        SELECT *
        FROM suppressions
        WHERE account = {account:String}
            AND suppressed
            AND (
                {identifier:String} IN ('', 'number') AND recipient = {person:String}
                OR recipient IN (
                    SELECT person
                    FROM reported_messages
                    WHERE /*filters*/ true
                )
            )
    ),
    decided AS (
        -- The latest unsubscribe and the latest decision by hand, by number and channel.
        SELECT
            recipient,
            of_channel AS channel,
            argMaxIf((who, why), at, action = 'unsubscribe') AS unsubscribed,
            argMaxIf((who, why), at, action = 'suppress') AS by_hand
        FROM suppression_requests FINAL
        ARRAY JOIN if(channel = '', /*include channels*/, [toString(channel)]) AS of_channel
        WHERE account = {account:String} AND recipient IN (SELECT recipient FROM held)
        GROUP BY recipient, of_channel
    ),
    struck AS (
        SELECT recipient, channel, strikes
        FROM reported_strikes
        WHERE account = {account:String} AND recipient IN (SELECT recipient FROM held)
    )
SELECT
    held.recipient AS recipient,
    held.channel AS channel,
    held.since AS since,
    arrayStringConcat(arrayFilter(text -> text != '', [
        if(has(held.reasons, 'hard_bounces'), concat(
            toString(held.strikes), if(held.strikes = 1, ' hard bounce (message ', ' hard bounces (messages '),
            arrayStringConcat(arraySlice(struck.strikes.message_id, 1, held.strikes), ', '), ')'
        ), ''),
        if(has(held.reasons, 'unsubscribed'), concat(
            'unsubscribed', if(decided.unsubscribed.2 = '', '', concat(' (', decided.unsubscribed.2, ')'))
        ), ''),
        if(has(held.reasons, 'manual'), concat('by hand', multiIf(
            decided.by_hand.1 = '' AND decided.by_hand.2 = '', '',
            concat(' (', arrayStringConcat(arrayFilter(text -> text != '', [decided.by_hand.1, decided.by_hand.2]), ': '), ')')
        )), '')
    ]), '; ') AS why,
    held.until AS until,
    held.binds AS binds
FROM held
LEFT JOIN struck ON struck.recipient = held.recipient AND struck.channel = held.channel
LEFT JOIN decided ON decided.recipient = held.recipient AND decided.channel = held.channel
ORDER BY since DESC, recipient, channel
