WITH
    found AS (
        SELECT *
        FROM reported_messages
        WHERE /*filters*/ true
    )
SELECT
    /*include dimensions*/,
    /*include speed*/
FROM found
GROUP BY ALL
ORDER BY sent DESC, country, provider, source, slot
LIMIT {limit:UInt64} OFFSET {offset:UInt64}
