(
    SELECT {message_id:String} AS message_id
    WHERE EXISTS (
        /*include known_message*/
    )
) AS requested
LEFT JOIN (
    SELECT *
    FROM reported_messages
    WHERE /*filters*/ true
    ORDER BY version DESC
    LIMIT 1
) AS sent ON sent.message_id = requested.message_id
LEFT JOIN (
    SELECT *
    FROM orphans_current
    WHERE /*filters*/ true
) AS orphan ON orphan.message_id = requested.message_id
