SELECT
    /*include slot*/ AS slot,
    /*include counts*/
FROM reported_counts(whole_hours = {whole_hours:Bool})
WHERE /*filters*/ true
GROUP BY slot
ORDER BY slot
