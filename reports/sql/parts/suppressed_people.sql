SELECT
    recipient AS person,
    arrayStringConcat(arraySort(groupUniqArray(toString(channel))), ', ') AS suppressed
FROM suppressions AS known
WHERE account = {account:String} AND known.suppressed
GROUP BY recipient
