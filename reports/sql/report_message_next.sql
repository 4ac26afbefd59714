WITH
    sent.message_id != '' AS has_send,
    sent.is_failed AND sent.no_retry_reason = '' AND sent.next_attempt_at IS NOT NULL AS is_retried,
    (SELECT max(attempt) FROM retry_requests_current WHERE /*filters*/ true) AS latest_request,
    toString(ifNull(sent.failed_attempt, 0) + 1) AS next_attempt,
    /*include message_facts*/
SELECT
    multiIf(
        has_send AND sent.is_queued, 'a receipt is awaited',
        is_retried AND latest_request > sent.failed_attempt,
        concat('attempt ', next_attempt, ' was requested of the sender'),
        is_retried, concat('attempt ', next_attempt, ' will be requested of the sender'),
        'nothing'
    ) AS next_step,
    multiIf(
        NOT has_send, 'its send is not known: it has not arrived, or its time of keeping is over',
        sent.direction = 'inbound', 'it was received, not sent',
        sent.is_delivered, 'it was delivered',
        sent.is_queued, 'the network has not decided; without a receipt it expires when its validity ends',
        is_retried, 'the failure is temporary, and there is time for another attempt',
        transform(
            sent.no_retry_reason,
            ['off', 'too_late', 'too_many', 'expired', 'suppressed', 'final'],
            [
                'the failure is temporary, but the account has retries switched off',
                'the failure is temporary, but the time for retries or the validity is over',
                'the failure is temporary, but there were as many attempts as are allowed',
                'its validity ended before the network decided',
                'the failure is temporary, but the number was suppressed when the attempt was due',
                'the failure is permanent: another attempt would fail too, or must not be made'
            ],
            'no decision is stored'
        )
    ) AS why,
    sent.next_attempt_at AS next_attempt_at,
    has_send AND sent.sent_to_suppressed AS sent_to_suppressed,
    suppression.bound AS suppressed,
    suppression.since AS suppressed_since,
    suppression.until AS suppressed_until,
    suppression.reasons AS suppression_reasons
FROM /*include one_message*/
CROSS JOIN (
    SELECT
        multiIf(
            count() = 0, 'no',
            countIf(binds != 'marketing') > 0, 'yes, for all messages',
            'yes, for all but verification messages'
        ) AS bound,
        min(suppressions.since) AS since,
        if(countIf(suppressions.until IS NULL) > 0, NULL, max(suppressions.until)) AS until,
        arrayStringConcat(arraySort(groupUniqArrayArray(suppressions.reasons)), ', ') AS reasons
    FROM suppressions
    WHERE account = {account:String}
        AND recipient = number
        AND channel IN ('', message.channel)
        AND suppressed
) AS suppression
