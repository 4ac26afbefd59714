SELECT
    country,
    sent / sum(sent) OVER () AS share,
    /*include counts*/
FROM reported_counts(whole_hours = {whole_hours:Bool})
WHERE /*filters*/ true
GROUP BY country
ORDER BY sent DESC, country
