WITH sent.message_id != '' AS has_send
SELECT
    if(has_send, sent.status, orphan.status) AS status,
    if(has_send, sent.fail_reason, orphan.fail_reason) AS fail_reason,
    if(has_send, sent.bounce, orphan.bounce) AS bounce,
    if(has_send, sent.scope, orphan.scope) AS scope,
    if(has_send, sent.error_code, orphan.error_code) AS error_code,
    if(has_send, sent.error_text, orphan.error_text) AS error_text,
    sent.attempts AS attempts,
    sent.failed_attempt AS failed_attempt,
    if(has_send, sent.queued_at, orphan.queued_at) AS queued_at,
    if(has_send, sent.delivered_at, orphan.delivered_at) AS delivered_at,
    if(has_send, sent.read_at, orphan.read_at) AS read_at,
    sent.finalized_at AS finalized_at,
    sent.clicked_at AS clicked_at,
    sent.automated_clicked_at AS automated_clicked_at,
    sent.converted_at AS converted_at,
    sent.unsubscribed_at AS unsubscribed_at,
    arrayStringConcat(sent.repaired, ', ') AS repaired
FROM /*include one_message*/
