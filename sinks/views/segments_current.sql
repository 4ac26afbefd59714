CREATE OR REPLACE VIEW segments_current
(
    account    LowCardinality(String) COMMENT 'tenant the segment belongs to',
    name       String COMMENT 'name of the segment, unique in its account',
    definition String COMMENT 'who belongs to it, as JSON',
    updated_at DateTime64(3, 'UTC') COMMENT 'when it was saved last, UTC',
    version    UInt64 COMMENT 'the highest wins: the segment saved last'
)
AS SELECT
    account,
    name,
    definition,
    updated_at,
    version
FROM segments FINAL
COMMENT 'Segments people made of recipients, one row each.';
