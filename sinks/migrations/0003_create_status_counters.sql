-- Absolute values, zeroes included, so writing them twice changes nothing. A cell is owned by a
-- Kafka partition (shard); the views sum over shards.
CREATE TABLE IF NOT EXISTS status_counters
(
    kind             LowCardinality(String) COMMENT 'hour, day or campaign',
    account          LowCardinality(String) COMMENT 'tenant the messages belong to',
    window_start     DateTime64(3, 'UTC') CODEC(Delta, ZSTD(3)) COMMENT 'start of the hour or day of sent_at, UTC; for campaign the day of sent_at',
    channel          LowCardinality(String) COMMENT 'sms or whatsapp; empty for campaign',
    source           LowCardinality(String) COMMENT 'what sent the messages; empty for campaign',
    country          LowCardinality(String) COMMENT 'country of the recipients; empty: unknown, or campaign',
    provider         LowCardinality(String) COMMENT 'provider of the latest attempt; empty: unknown, or campaign',
    campaign_id      LowCardinality(String) COMMENT 'campaign for kind campaign, else empty',
    shard            UInt16 COMMENT 'Kafka partition that owns the cell',
    submitted        UInt64 COMMENT 'messages now submitted',
    queued           UInt64 COMMENT 'messages now queued',
    delivered        UInt64 COMMENT 'messages now delivered and not read',
    read             UInt64 COMMENT 'messages now read',
    undelivered_soft UInt64 COMMENT 'messages now undelivered for a temporary reason, expired ones not included',
    undelivered_hard UInt64 COMMENT 'messages now undelivered for good',
    expired          UInt64 COMMENT 'messages whose validity ran out while they were pending',
    rejected         UInt64 COMMENT 'messages now rejected',
    deleted          UInt64 COMMENT 'messages now deleted by the network',
    segments         UInt64 COMMENT 'message parts of all these messages',
    credits          Decimal(38, 6) COMMENT 'credits of all these messages',
    version          UInt64 COMMENT 'orders the writes of one cell; the highest stands'
)
ENGINE = ReplacingMergeTree(version)
PARTITION BY toYYYYMM(window_start)
ORDER BY (kind, account, window_start, channel, source, country, provider, campaign_id, shard)
SETTINGS default_compression_codec = 'ZSTD(3)'
COMMENT 'Counter cells as written: read counters_hour, counters_day and counters_campaign instead.';
