-- Attempts of one message whose time of sending is known: the first, and those with a text.
(
    SELECT groupArray(tuple(sent_at, attempt)::Tuple(sent_at DateTime64(3, 'UTC'), attempt UInt16))
    FROM (
        SELECT toUInt16(1) AS attempt, sent_at
        FROM reported_messages
        WHERE /*filters*/ true
        UNION ALL
        SELECT attempt, sent_at
        FROM message_texts_current
        WHERE /*filters*/ true AND attempt > 1
    )
) AS sends
