-- Receipts of one message. One that names no attempt is about the latest one sent before it.
SELECT
    *,
    ifNull(attempt, greatest(1, arrayMax(arrayMap(
        send -> if(send.sent_at <= occurred_at, send.attempt, 1), sends
    )))) AS of_attempt
FROM receipt_events_current
WHERE /*filters*/ true
