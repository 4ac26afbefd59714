SELECT
    country,
    /*include counts*/,
    sent / sum(sent) OVER () AS share
FROM reported_messages
WHERE /*filters*/ true
GROUP BY country
ORDER BY sent DESC, country
