-- Segments that people made of recipients (issue 5): the definition is stored, who belongs to it is
-- asked when it is needed. The only table the report pages write to.
CREATE TABLE IF NOT EXISTS segments
(
    account    LowCardinality(String) COMMENT 'tenant the segment belongs to',
    name       String COMMENT 'name of the segment, unique in its account',
    definition String COMMENT 'who belongs to it, as JSON',
    updated_at DateTime64(3, 'UTC') COMMENT 'when it was saved last, UTC',
    version    UInt64 COMMENT 'the highest stands: the segment saved last',
    is_deleted UInt8 COMMENT '1: the segment was deleted'
)
ENGINE = ReplacingMergeTree(version, is_deleted)
ORDER BY (account, name)
COMMENT 'Segments as saved: read segments_current instead.';

CREATE OR REPLACE VIEW segments_current
(
    account    LowCardinality(String) COMMENT 'tenant the segment belongs to',
    name       String COMMENT 'name of the segment, unique in its account',
    definition String COMMENT 'who belongs to it, as JSON',
    updated_at DateTime64(3, 'UTC') COMMENT 'when it was saved last, UTC',
    version    UInt64 COMMENT 'the highest stands: the segment saved last'
)
AS SELECT
    account,
    name,
    definition,
    updated_at,
    version
FROM segments FINAL
COMMENT 'Segments people made of recipients, one row each.';

-- Reports find people by e-mail as well. Parts written before get the index when they are merged.
ALTER TABLE messages ADD INDEX IF NOT EXISTS by_email email TYPE bloom_filter(0.001) GRANULARITY 1;
