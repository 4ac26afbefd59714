SELECT
    sum(is_sent) AS sent,
    sum(is_submitted) AS submitted,
    sum(is_queued) AS queued,
    sum(is_delivered) AS delivered,
    sum(is_read) AS read,
    sum(is_undelivered) AS undelivered,
    sum(is_soft) AS soft,
    sum(is_hard) AS hard,
    sum(is_expired) AS expired,
    sum(is_deleted) AS deleted,
    sum(is_rejected) AS rejected,
    sum(is_failed) AS failed,
    sum(segments) AS segments,
    sum(credits) AS credits,
    if(sent = 0, NULL, delivered / sent) AS delivery_rate
FROM reported_messages
WHERE /*filters*/ true
