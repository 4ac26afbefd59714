SELECT
    /*include slot*/ AS slot,
    /*include whatsapp*/
FROM reported_messages
WHERE /*filters*/ true
GROUP BY slot
ORDER BY slot
