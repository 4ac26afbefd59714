(
    SELECT account, message_id, argMax(text, attempt) AS content
    FROM message_texts FINAL
    GROUP BY account, message_id
)
