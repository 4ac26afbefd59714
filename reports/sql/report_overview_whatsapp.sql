SELECT
    /*include whatsapp*/
FROM reported_messages
WHERE /*filters*/ true
