WITH
    /*include message_facts*/,
    /*include message_sends*/,
    (SELECT any(fail_reasons) FROM accounts FINAL WHERE account = {account:String}) AS own_reasons,
    (SELECT any(codes) FROM accounts FINAL WHERE account = {account:String}) AS own_codes,
    lower(concat(provider, ':', error_code)) AS long_code,
    lower(error_code) AS short_code
SELECT
    at, event, status, error_code, error_text, attempt, part, detail, provider, published_at, received_at,
    bounce, scope, provider_message_id, recipient, mccmnc, price, currency, repaired,
    if(error_code = '', '', if(own_reasons[long_code] != '', own_reasons[long_code], own_reasons[short_code])) AS own_reason,
    if(error_code = '', '', if(own_codes[long_code] != '', own_codes[long_code], own_codes[short_code])) AS own_meaning,
    provider_status
FROM (
    SELECT
        occurred_at AS at,
        published_at,
        'receipt' AS event,
        if(attempt IS NULL, concat(toString(of_attempt), ', not named'), toString(of_attempt)) AS attempt,
        if(part IS NULL, '', concat(toString(part), ' of ', toString(parts))) AS part,
        status,
        error_code,
        error_text,
        '' AS detail,
        if(provider = '', message.provider, provider) AS provider,
        bounce,
        scope,
        provider_message_id,
        recipient,
        mccmnc,
        price,
        currency,
        received_at,
        arrayStringConcat(repaired, ', ') AS repaired,
        1 AS place,
        partition,
        offset,
        provider_status
    FROM (
        /*include message_receipts*/
    )
    UNION ALL
    SELECT
        at, published_at, event, attempt, '', status, code, '', detail, '', '', '', '', '', '',
        NULL, '', NULL, '', place, 0, 0, ''
    FROM (
        SELECT
            arrayJoin(sends).sent_at AS at,
            NULL::Nullable(DateTime64(3, 'UTC')) AS published_at,
            if(message.direction = 'inbound', 'received', 'sent') AS event,
            toString(arrayJoin(sends).attempt) AS attempt,
            '' AS status,
            '' AS code,
            '' AS detail,
            0 AS place
        UNION ALL
        SELECT
            ifNull(published_at, due_at), published_at, 'retry requested', toString(attempt), '', '',
            '', 2
        FROM retry_requests_current
        WHERE /*filters*/ true
        UNION ALL
        SELECT
            assumeNotNull(finalized_at), NULL, 'expired', toString(failed_attempt), 'undelivered', '',
            'its validity ended', 2
        FROM reported_messages
        WHERE /*filters*/ true AND is_expired AND finalized_at IS NOT NULL
        UNION ALL
        SELECT
            occurred_at, NULL,
            if(type = 'click' AND by_program, 'click by a program', type),
            '', '', '', if(type = 'click', link, channel), 3
        FROM (
            SELECT
                type,
                occurred_at,
                channel,
                if(url = '', link_id, url) AS link,
                if(link_id = '', url, link_id) AS own_link,
                groupArrayIf((occurred_at, own_link), type = 'click' AND own_link != '') OVER () AS clicks,
                -- As reported_engagements decides: which clicks are those of a program.
                automated
                    OR ifNull(abs(dateDiff('millisecond', message.delivered_at, occurred_at)) <= /*include after_delivery_ms*/, false)
                    OR own_link != '' AND arrayExists(
                        click -> click.2 != own_link
                            AND abs(dateDiff('millisecond', click.1, occurred_at)) <= /*include other_link_ms*/,
                        clicks
                    ) AS by_program
            FROM engagements FINAL
            WHERE /*filters*/ true
        )
        UNION ALL
        SELECT
            occurred_at, NULL, if(struck, 'strike', 'strike withdrawn'), '', '', code,
            'a hard bounce that counts against the number', 4
        FROM strikes_current
        WHERE /*filters*/ true
        UNION ALL
        SELECT
            at, NULL, concat('request: ', action), '', '', '',
            arrayStringConcat(arrayFilter(word -> word != '', [who, why, channel]), ', '), 5
        FROM suppression_requests FINAL
        WHERE account = {account:String}
            AND recipient = number
            AND number != ''
            AND (why = concat('message ', {message_id:String})
                OR message.person != '' AND channel IN ('', message.channel) AND at >= message.sent_at)
    )
)
ORDER BY at, place, published_at, partition, offset, event, detail
LIMIT {limit:UInt64} OFFSET {offset:UInt64}
