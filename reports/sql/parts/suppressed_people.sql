SELECT
    recipient AS person,
    arrayStringConcat(arraySort(groupUniqArray(toString(channel))), ', ') AS suppressed
FROM reported_suppressions
WHERE account = {account:String}
GROUP BY recipient
