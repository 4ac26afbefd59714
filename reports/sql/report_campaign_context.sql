SELECT
    name,
    campaign_id,
    message_type,
    text,
    creator,
    method,
    status,
    created_at,
    started_at,
    ended_at,
    audience,
    last_modified_by,
    updated_at
FROM campaigns_current
WHERE account = {account:String} AND campaign_id = {campaign:String}
