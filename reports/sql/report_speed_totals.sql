SELECT
    /*include speed*/
FROM reported_messages
WHERE /*filters*/ true
