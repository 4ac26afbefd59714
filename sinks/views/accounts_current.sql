CREATE OR REPLACE VIEW accounts_current
(
    account                   LowCardinality(String) COMMENT 'the tenant',
    suppress_hard_bounces     Bool COMMENT 'whether strikes suppress a number',
    strike_limit              UInt8 COMMENT 'strikes that suppress a number',
    strikes_reset_on_delivery Bool COMMENT 'whether a delivery to a number resets its count',
    suppression_days          Nullable(UInt16) COMMENT 'days a suppression by strikes lasts; NULL: until released',
    retry_soft_bounces        Bool COMMENT 'whether soft bounces are tried again',
    retry_every_s             UInt32 COMMENT 'seconds between attempts',
    retry_for_s               UInt32 COMMENT 'seconds from the first send; no attempt is due later',
    validity_s                UInt32 COMMENT 'seconds until a pending message expires, when its send does not say',
    time_zone                 LowCardinality(String) COMMENT 'IANA time zone of its reports',
    text_days                 Nullable(UInt16) COMMENT 'days its message texts are kept; NULL: as the installation says',
    recipient_days            Nullable(UInt16) COMMENT 'days its recipients are kept; NULL: as the installation says',
    fail_reasons              Map(String, String) COMMENT 'its own words for failures, by provider:code or code',
    updated_at                Nullable(DateTime64(3, 'UTC')) COMMENT 'when it was changed, by its publisher\'s clock, UTC; NULL: not given',
    published_at              Nullable(DateTime64(3, 'UTC')) COMMENT 'Kafka timestamp of the record, UTC; NULL: none',
    version                   UInt64 COMMENT 'offset of the record; the highest wins',
    codes                     Map(String, String) COMMENT 'its own meanings of codes, by provider:code or code: bounce, scope and reason as JSON',
    unsubscribe_binds         LowCardinality(String) COMMENT 'messages an unsubscribe binds: marketing (all but verification messages) or all'
)
AS SELECT
    account,
    suppress_hard_bounces,
    strike_limit,
    strikes_reset_on_delivery,
    nullIf(suppression_days, 0) AS suppression_days,
    retry_soft_bounces,
    retry_every_s,
    retry_for_s,
    validity_s,
    time_zone,
    nullIf(text_days, 0) AS text_days,
    nullIf(recipient_days, 0) AS recipient_days,
    fail_reasons,
    nullIf(updated_at, toDateTime64(0, 3, 'UTC')) AS updated_at,
    nullIf(published_at, toDateTime64(0, 3, 'UTC')) AS published_at,
    version,
    codes,
    unsubscribe_binds
FROM accounts FINAL
COMMENT 'Settings of the accounts that published any; the others have the defaults.';
