SELECT
    country,
    sent / sum(sent) OVER () AS share,
    /*include counts*/
FROM reported_messages
WHERE /*filters*/ true
GROUP BY country
ORDER BY sent DESC, country
