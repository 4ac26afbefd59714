sum(is_sent) AS sent,
    sum(is_delivered) AS delivered,
    sum(is_read) AS read,
    sum(is_queued) AS pending,
    sum(is_failed) AS failed
