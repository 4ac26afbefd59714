-- An event is known by its event_id; the same id with another content is a mistake of its producer
-- and the earlier one stands.
CREATE TABLE IF NOT EXISTS engagements
(
    account     LowCardinality(String) COMMENT 'tenant the message belongs to',
    event_id    String COMMENT 'id of the event, unique in its account',
    type        LowCardinality(String) COMMENT 'click or unsubscribe',
    occurred_at DateTime64(3, 'UTC') CODEC(Delta, ZSTD(3)) COMMENT 'when it happened, UTC',
    message_id  String COMMENT 'message it belongs to; empty: unknown',
    recipient   String COMMENT 'number of the person, E.164; empty: unknown',
    campaign_id LowCardinality(String) COMMENT 'campaign it belongs to; empty: unknown',
    link_id     LowCardinality(String) COMMENT 'link that was clicked; empty: unknown',
    url         String COMMENT 'address that was opened; empty: unknown',
    version     UInt64 COMMENT 'the highest stands: the event with the smallest occurred_at',
    INDEX by_time occurred_at TYPE minmax GRANULARITY 1,
    INDEX by_message message_id TYPE bloom_filter(0.01) GRANULARITY 1,
    INDEX by_recipient recipient TYPE bloom_filter(0.01) GRANULARITY 1
)
ENGINE = ReplacingMergeTree(version)
PARTITION BY toYYYYMM(occurred_at)
ORDER BY (account, event_id)
SETTINGS default_compression_codec = 'ZSTD(3)'
COMMENT 'Clicks and unsubscribes as written: read engagements_current instead.';

CREATE TABLE IF NOT EXISTS campaigns
(
    account          LowCardinality(String) COMMENT 'tenant the campaign belongs to',
    campaign_id      String COMMENT 'id of the campaign, unique in its account',
    name             String COMMENT 'what people call it',
    message_type     LowCardinality(String) COMMENT 'type of its messages; empty: unknown',
    text             String COMMENT 'template of its text; empty: unknown',
    creator          LowCardinality(String) COMMENT 'who made it; empty: unknown',
    method           LowCardinality(String) COMMENT 'broadcast, targeted or another word; empty: unknown',
    status           LowCardinality(String) COMMENT 'draft, sending, finished or another word; empty: unknown',
    target_audience  UInt64 COMMENT 'people it is meant for; 0: unknown',
    audience         String COMMENT 'the segmentation in words; empty: unknown',
    created_at       DateTime64(3, 'UTC') COMMENT 'when it was made, UTC; 1970: unknown',
    started_at       DateTime64(3, 'UTC') COMMENT 'when sending began, UTC; 1970: unknown',
    ended_at         DateTime64(3, 'UTC') COMMENT 'when sending ended, UTC; 1970: unknown',
    last_modified_by LowCardinality(String) COMMENT 'who changed it last; empty: unknown',
    updated_at       DateTime64(3, 'UTC') COMMENT 'when it was changed last, UTC; the newest stands',
    version          UInt64 COMMENT 'the highest stands: the newest updated_at'
)
ENGINE = ReplacingMergeTree(version)
ORDER BY (account, campaign_id)
SETTINGS default_compression_codec = 'ZSTD(3)'
COMMENT 'Campaigns as written: read campaigns_current instead.';
