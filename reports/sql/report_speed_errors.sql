WITH
    found AS (
        SELECT *
        FROM reported_messages
        WHERE /*filters*/ true
    )
SELECT
    error_code,
    fail_reason,
    bounce,
    /*include dimensions*/,
    count() AS failed,
    failed / sum(failed) OVER () AS share
FROM found
GROUP BY ALL
ORDER BY failed DESC, error_code, fail_reason, bounce, country, provider, source, slot
LIMIT {limit:UInt64} OFFSET {offset:UInt64}
