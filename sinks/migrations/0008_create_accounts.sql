-- Whole settings, as the topic holds them: the last record published for an account stands, so its
-- offset is the version (one account is one key, so one partition).
CREATE TABLE IF NOT EXISTS accounts
(
    account                   LowCardinality(String) COMMENT 'the tenant',
    suppress_hard_bounces     Bool COMMENT 'whether strikes suppress a number',
    strike_limit              UInt8 COMMENT 'strikes that suppress a number',
    strikes_reset_on_delivery Bool COMMENT 'whether a delivery to a number starts its count anew',
    suppression_days          UInt16 COMMENT 'days a suppression by strikes lasts; 0: until released',
    retry_soft_bounces        Bool COMMENT 'whether soft bounces are tried again',
    retry_every_s             UInt32 COMMENT 'seconds between attempts',
    retry_for_s               UInt32 COMMENT 'seconds from the first send; no attempt is due later',
    validity_s                UInt32 COMMENT 'seconds until a pending message expires, when its send does not say',
    time_zone                 LowCardinality(String) COMMENT 'IANA time zone of its reports',
    text_days                 UInt16 COMMENT 'days its message texts are kept; 0: as the installation says',
    recipient_days            UInt16 COMMENT 'days its recipients are kept; 0: as the installation says',
    fail_reasons              Map(String, String) COMMENT 'its own words for failures, by provider:code or code',
    updated_at                DateTime64(3, 'UTC') COMMENT 'when it was changed, as its publisher says, UTC; 1970: not said',
    published_at              DateTime64(3, 'UTC') COMMENT 'Kafka timestamp of the record, UTC; 1970: none',
    version                   UInt64 COMMENT 'offset of the record; the highest stands',
    is_deleted                UInt8 COMMENT '1: withdrawn, the defaults are in force'
)
ENGINE = ReplacingMergeTree(version, is_deleted)
ORDER BY (account)
SETTINGS default_compression_codec = 'ZSTD(3)'
COMMENT 'Account settings as written: read accounts_current instead.';
