-- One row a message: what its highest version says of its recipient.
CREATE TABLE IF NOT EXISTS strikes
(
    account     LowCardinality(String) COMMENT 'tenant the message belongs to',
    recipient   String COMMENT 'number that is struck, E.164',
    sent_at     DateTime64(3, 'UTC') CODEC(Delta, ZSTD(3)) COMMENT 'when attempt 1 of the message was sent, UTC',
    message_id  String COMMENT 'the message',
    struck      Bool COMMENT 'false: the strike was withdrawn',
    occurred_at DateTime64(3, 'UTC') COMMENT 'time of the receipt that struck, UTC',
    code        LowCardinality(String) COMMENT 'code the provider gave; empty: none',
    version     UInt64 COMMENT 'version of the message; the highest stands',
    INDEX by_message message_id TYPE bloom_filter(0.01) GRANULARITY 1
)
ENGINE = ReplacingMergeTree(version)
PARTITION BY toYYYYMM(sent_at)
ORDER BY (account, recipient, sent_at, message_id)
SETTINGS default_compression_codec = 'ZSTD(3)'
COMMENT 'Strikes as written: read strikes_current instead.';

CREATE TABLE IF NOT EXISTS suppression_records
(
    account      LowCardinality(String) COMMENT 'tenant the number is a recipient of',
    recipient    String COMMENT 'the number, E.164',
    suppressed   Bool COMMENT 'whether it must not be sent to',
    reasons      Array(LowCardinality(String)) COMMENT 'why: hard_bounces, unsubscribed, manual; empty: not suppressed',
    since        DateTime64(3, 'UTC') COMMENT 'suppressed since, UTC; 1970: not suppressed',
    until        DateTime64(3, 'UTC') COMMENT 'suppressed until, UTC; 1970: until released, or not suppressed',
    strikes      UInt16 COMMENT 'strikes that count now',
    published_at DateTime64(3, 'UTC') COMMENT 'Kafka timestamp of the record, UTC; 1970: none',
    version      UInt64 COMMENT 'orders the writes of one number; the highest stands'
)
ENGINE = ReplacingMergeTree(version)
ORDER BY (account, recipient)
SETTINGS default_compression_codec = 'ZSTD(3)'
COMMENT 'Suppressions as written: read suppressions instead.';

-- The same rows, none replaced by a later one: equal versions are the same record.
CREATE TABLE IF NOT EXISTS suppression_versions
(
    account      LowCardinality(String) COMMENT 'tenant the number is a recipient of',
    recipient    String COMMENT 'the number, E.164',
    suppressed   Bool COMMENT 'whether it must not be sent to',
    reasons      Array(LowCardinality(String)) COMMENT 'why: hard_bounces, unsubscribed, manual; empty: not suppressed',
    since        DateTime64(3, 'UTC') COMMENT 'suppressed since, UTC; 1970: not suppressed',
    until        DateTime64(3, 'UTC') COMMENT 'suppressed until, UTC; 1970: until released, or not suppressed',
    strikes      UInt16 COMMENT 'strikes that counted then',
    published_at DateTime64(3, 'UTC') COMMENT 'Kafka timestamp of the record, UTC; 1970: none',
    version      UInt64 COMMENT 'orders the writes of one number'
)
ENGINE = ReplacingMergeTree
ORDER BY (account, recipient, version)
SETTINGS default_compression_codec = 'ZSTD(3)'
COMMENT 'Suppressions as they were published, as written: read suppression_history instead.';

-- A request has no id: the same words at the same time are the same request, so all of it stands in
-- the sort key (and only the beginning of it in the index).
CREATE TABLE IF NOT EXISTS suppression_requests
(
    account   LowCardinality(String) COMMENT 'tenant the number is a recipient of',
    recipient String COMMENT 'the number, E.164',
    at        DateTime64(3, 'UTC') COMMENT 'when it was decided, UTC',
    action    LowCardinality(String) COMMENT 'suppress, release, resubscribe or unsubscribe',
    who       LowCardinality(String) COMMENT 'who decided; empty: not said',
    why       String COMMENT 'why; of an unsubscribe through a message its message_id; empty: not said'
)
ENGINE = ReplacingMergeTree
PRIMARY KEY (account, recipient, at)
ORDER BY (account, recipient, at, action, who, why)
SETTINGS default_compression_codec = 'ZSTD(3)'
COMMENT 'Suppression requests as written: read suppression_requests_current instead.';
