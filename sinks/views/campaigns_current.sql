CREATE OR REPLACE VIEW campaigns_current
(
    account          LowCardinality(String) COMMENT 'tenant the campaign belongs to',
    campaign_id      String COMMENT 'id of the campaign, unique in its account',
    name             String COMMENT 'name that people see',
    message_type     LowCardinality(String) COMMENT 'type of its messages; empty: unknown',
    text             String COMMENT 'template of its text; empty: unknown',
    creator          LowCardinality(String) COMMENT 'who made it; empty: unknown',
    method           LowCardinality(String) COMMENT 'broadcast, targeted or another word; empty: unknown',
    status           LowCardinality(String) COMMENT 'draft, sending, finished or another word; empty: unknown',
    target_audience  UInt64 COMMENT 'people it is meant for; 0: unknown',
    audience         String COMMENT 'the segmentation in words; empty: unknown',
    created_at       Nullable(DateTime64(3, 'UTC')) COMMENT 'when it was made, UTC; NULL: unknown',
    started_at       Nullable(DateTime64(3, 'UTC')) COMMENT 'when sending began, UTC; NULL: unknown',
    ended_at         Nullable(DateTime64(3, 'UTC')) COMMENT 'when sending ended, UTC; NULL: unknown',
    last_modified_by LowCardinality(String) COMMENT 'who changed it last; empty: unknown',
    updated_at       DateTime64(3, 'UTC') COMMENT 'when it was changed last, UTC; the newest wins',
    version          UInt64 COMMENT 'the highest wins: the newest updated_at'
)
AS SELECT
    account,
    campaign_id,
    name,
    message_type,
    text,
    creator,
    method,
    status,
    target_audience,
    audience,
    nullIf(created_at, toDateTime64(0, 3, 'UTC')) AS created_at,
    nullIf(started_at, toDateTime64(0, 3, 'UTC')) AS started_at,
    nullIf(ended_at, toDateTime64(0, 3, 'UTC')) AS ended_at,
    last_modified_by,
    updated_at,
    version
FROM campaigns FINAL
COMMENT 'Campaigns as they are now.';
