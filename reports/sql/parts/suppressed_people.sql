SELECT
    recipient AS person,
    arrayStringConcat(arraySort(groupUniqArray(toString(channel))), ', ') AS suppressed
FROM suppressions
WHERE account = {account:String} AND suppressed
GROUP BY recipient
