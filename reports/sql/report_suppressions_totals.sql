SELECT
    uniqExact(recipient) AS numbers,
    uniqExactIf(recipient, has(reasons, 'hard_bounces')) AS hard_bounces,
    uniqExactIf(recipient, has(reasons, 'unsubscribed')) AS unsubscribed,
    uniqExactIf(recipient, has(reasons, 'manual')) AS manual
FROM suppressions
WHERE /*filters*/ true
