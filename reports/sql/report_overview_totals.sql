SELECT
    /*include counts*/
FROM reported_messages
WHERE /*filters*/ true
