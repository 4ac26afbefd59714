WITH
    /*include message_facts*/,
    /*include message_sends*/
SELECT
    place AS attempt,
    max(facts.requested_at) AS requested_at,
    max(facts.due_at) AS due_at,
    max(facts.sent_at) AS sent_at,
    sum(facts.receipts) AS receipts,
    max(facts.statuses) AS statuses,
    max(facts.error_code) AS error_code,
    max(facts.error_text) AS error_text,
    max(facts.provider) AS provider,
    (place = ifNull(message.failed_attempt, 0))::Bool AS decides
FROM (
    SELECT
        toUInt16(arrayJoin(range(1, message.attempts + 1))) AS place,
        NULL AS requested_at, NULL AS due_at, NULL AS sent_at, 0 AS receipts,
        '' AS statuses, '' AS error_code, '' AS error_text, '' AS provider
    UNION ALL
    SELECT arrayJoin(sends).attempt, NULL, NULL, arrayJoin(sends).sent_at, 0, '', '', '', ''
    UNION ALL
    SELECT attempt, published_at, due_at, NULL, 0, '', '', '', ''
    FROM retry_requests_current
    WHERE /*filters*/ true
    UNION ALL
    SELECT
        of_attempt, NULL, NULL, NULL, count(),
        arrayStringConcat(arrayDistinct(arraySort(groupArray((occurred_at, status))).2), ', '),
        argMaxIf(error_code, occurred_at, error_code != ''),
        argMaxIf(error_text, occurred_at, error_text != ''),
        argMaxIf(provider, occurred_at, provider != '')
    FROM (
        /*include message_receipts*/
    )
    GROUP BY of_attempt
) AS facts
GROUP BY place
ORDER BY place
LIMIT {limit:UInt64} OFFSET {offset:UInt64}
