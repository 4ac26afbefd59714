SELECT
    multiIf(
        grouping(slot) = 0 AND grouping(of_whatsapp) = 0, 'whatsapp_slots',
        grouping(slot) = 0, 'slots',
        grouping(of_whatsapp) = 0, 'whatsapp',
        'totals'
    ) AS section,
    slot,
    sum(is_queued) AS pending,
    /*include counts*/
FROM (
    SELECT
        /*include slot*/ AS slot,
        channel = 'whatsapp' AS of_whatsapp,
        /*include figure_names*/, segments, credits
    FROM reported_counts(whole_hours = {whole_hours:Bool})
    WHERE /*filters*/ true
    UNION ALL
    -- Who sent nothing, and nothing on WhatsApp, reads zeroes.
    SELECT toDateTime({since:DateTime64(3, 'UTC')}, 'UTC'), 1, /*include no_figures*/, 0, 0
)
GROUP BY slot, of_whatsapp WITH CUBE
HAVING (of_whatsapp OR grouping(of_whatsapp) = 1) AND (sent > 0 OR grouping(slot) = 1)
