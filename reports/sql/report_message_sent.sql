WITH (SELECT any(content) FROM /*texts*/ reported_texts WHERE /*filters*/ true) AS text
SELECT
    message_id,
    channel,
    direction,
    recipient,
    country,
    sender_id,
    sent_at,
    source,
    campaign_id,
    message_type,
    template,
    category,
    reference,
    sent_by,
    external_id,
    email,
    platform,
    provider,
    provider_message_id,
    mccmnc,
    segments,
    credits,
    if(currency = '', NULL, price) AS price,
    currency,
    text AS content
FROM reported_messages
WHERE /*filters*/ true
ORDER BY version DESC
LIMIT 1
