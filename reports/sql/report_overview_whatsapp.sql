SELECT
    /*include whatsapp*/
FROM reported_counts(whole_hours = {whole_hours:Bool})
WHERE /*filters*/ true
