-- What all migrations lead to (made by python -m sinks.schema).

CREATE TABLE campaigns
(
    `account` LowCardinality(String) COMMENT 'tenant the campaign belongs to',
    `campaign_id` String COMMENT 'id of the campaign, unique in its account',
    `name` String COMMENT 'what people call it',
    `message_type` LowCardinality(String) COMMENT 'type of its messages; empty: unknown',
    `text` String COMMENT 'template of its text; empty: unknown',
    `creator` LowCardinality(String) COMMENT 'who made it; empty: unknown',
    `method` LowCardinality(String) COMMENT 'broadcast, targeted or another word; empty: unknown',
    `status` LowCardinality(String) COMMENT 'draft, sending, finished or another word; empty: unknown',
    `target_audience` UInt64 COMMENT 'people it is meant for; 0: unknown',
    `audience` String COMMENT 'the segmentation in words; empty: unknown',
    `created_at` DateTime64(3, 'UTC') COMMENT 'when it was made, UTC; 1970: unknown',
    `started_at` DateTime64(3, 'UTC') COMMENT 'when sending began, UTC; 1970: unknown',
    `ended_at` DateTime64(3, 'UTC') COMMENT 'when sending ended, UTC; 1970: unknown',
    `last_modified_by` LowCardinality(String) COMMENT 'who changed it last; empty: unknown',
    `updated_at` DateTime64(3, 'UTC') COMMENT 'when it was changed last, UTC; the newest stands',
    `version` UInt64 COMMENT 'the highest stands: the newest updated_at'
)
ENGINE = ReplacingMergeTree(version)
ORDER BY (account, campaign_id)
SETTINGS default_compression_codec = 'ZSTD(3)', index_granularity = 8192
COMMENT 'Campaigns as written: read campaigns_current instead.';

CREATE VIEW campaigns_current
(
    `account` LowCardinality(String) COMMENT 'tenant the campaign belongs to',
    `campaign_id` String COMMENT 'id of the campaign, unique in its account',
    `name` String COMMENT 'what people call it',
    `message_type` LowCardinality(String) COMMENT 'type of its messages; empty: unknown',
    `text` String COMMENT 'template of its text; empty: unknown',
    `creator` LowCardinality(String) COMMENT 'who made it; empty: unknown',
    `method` LowCardinality(String) COMMENT 'broadcast, targeted or another word; empty: unknown',
    `status` LowCardinality(String) COMMENT 'draft, sending, finished or another word; empty: unknown',
    `target_audience` UInt64 COMMENT 'people it is meant for; 0: unknown',
    `audience` String COMMENT 'the segmentation in words; empty: unknown',
    `created_at` Nullable(DateTime64(3, 'UTC')) COMMENT 'when it was made, UTC; NULL: unknown',
    `started_at` Nullable(DateTime64(3, 'UTC')) COMMENT 'when sending began, UTC; NULL: unknown',
    `ended_at` Nullable(DateTime64(3, 'UTC')) COMMENT 'when sending ended, UTC; NULL: unknown',
    `last_modified_by` LowCardinality(String) COMMENT 'who changed it last; empty: unknown',
    `updated_at` DateTime64(3, 'UTC') COMMENT 'when it was changed last, UTC; the newest stands',
    `version` UInt64 COMMENT 'the highest stands: the newest updated_at'
)
COMMENT 'Campaigns as they stand now.'
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
FROM campaigns
FINAL;

CREATE VIEW counters_campaign
(
    `account` LowCardinality(String) COMMENT 'tenant the messages belong to',
    `campaign_id` LowCardinality(String) COMMENT 'the campaign',
    `submitted` UInt64 COMMENT 'messages now submitted',
    `queued` UInt64 COMMENT 'messages now queued',
    `delivered` UInt64 COMMENT 'messages now delivered and not read',
    `read` UInt64 COMMENT 'messages now read',
    `undelivered_soft` UInt64 COMMENT 'messages now undelivered for a temporary reason, expired ones not included',
    `undelivered_hard` UInt64 COMMENT 'messages now undelivered for good',
    `expired` UInt64 COMMENT 'messages whose validity ran out while they were pending',
    `rejected` UInt64 COMMENT 'messages now rejected',
    `deleted` UInt64 COMMENT 'messages now deleted by the network',
    `segments` UInt64 COMMENT 'message parts of all these messages',
    `credits` Decimal(38, 6) COMMENT 'credits of all these messages',
    `messages` UInt64 COMMENT 'all these messages: the sum of the nine counts before'
)
COMMENT 'Messages by current status in each campaign.'
AS SELECT
    account,
    campaign_id,
    sum(cells.submitted) AS submitted,
    sum(cells.queued) AS queued,
    sum(cells.delivered) AS delivered,
    sum(cells.read) AS read,
    sum(cells.undelivered_soft) AS undelivered_soft,
    sum(cells.undelivered_hard) AS undelivered_hard,
    sum(cells.expired) AS expired,
    sum(cells.rejected) AS rejected,
    sum(cells.deleted) AS deleted,
    sum(cells.segments) AS segments,
    sum(cells.credits) AS credits,
    (((((((submitted + queued) + delivered) + read) + undelivered_soft) + undelivered_hard) + expired) + rejected) + deleted AS messages
FROM status_counters AS cells
FINAL
WHERE kind = 'campaign'
GROUP BY
    account,
    campaign_id
HAVING messages > 0;

CREATE VIEW counters_day
(
    `account` LowCardinality(String) COMMENT 'tenant the messages belong to',
    `window_start` DateTime64(3, 'UTC') COMMENT 'start of the day of sent_at, UTC',
    `channel` LowCardinality(String) COMMENT 'sms or whatsapp',
    `source` LowCardinality(String) COMMENT 'what sent the messages',
    `country` LowCardinality(String) COMMENT 'country of the recipients; empty: unknown',
    `provider` LowCardinality(String) COMMENT 'provider of the latest attempt; empty: unknown',
    `submitted` UInt64 COMMENT 'messages now submitted',
    `queued` UInt64 COMMENT 'messages now queued',
    `delivered` UInt64 COMMENT 'messages now delivered and not read',
    `read` UInt64 COMMENT 'messages now read',
    `undelivered_soft` UInt64 COMMENT 'messages now undelivered for a temporary reason, expired ones not included',
    `undelivered_hard` UInt64 COMMENT 'messages now undelivered for good',
    `expired` UInt64 COMMENT 'messages whose validity ran out while they were pending',
    `rejected` UInt64 COMMENT 'messages now rejected',
    `deleted` UInt64 COMMENT 'messages now deleted by the network',
    `segments` UInt64 COMMENT 'message parts of all these messages',
    `credits` Decimal(38, 6) COMMENT 'credits of all these messages',
    `messages` UInt64 COMMENT 'all these messages: the sum of the nine counts before'
)
COMMENT 'Messages by current status in each UTC day of sent_at. Inbound messages and orphans are not counted.'
AS SELECT
    account,
    window_start,
    channel,
    source,
    country,
    provider,
    sum(cells.submitted) AS submitted,
    sum(cells.queued) AS queued,
    sum(cells.delivered) AS delivered,
    sum(cells.read) AS read,
    sum(cells.undelivered_soft) AS undelivered_soft,
    sum(cells.undelivered_hard) AS undelivered_hard,
    sum(cells.expired) AS expired,
    sum(cells.rejected) AS rejected,
    sum(cells.deleted) AS deleted,
    sum(cells.segments) AS segments,
    sum(cells.credits) AS credits,
    (((((((submitted + queued) + delivered) + read) + undelivered_soft) + undelivered_hard) + expired) + rejected) + deleted AS messages
FROM status_counters AS cells
FINAL
WHERE kind = 'day'
GROUP BY
    account,
    window_start,
    channel,
    source,
    country,
    provider
HAVING messages > 0;

CREATE VIEW counters_hour
(
    `account` LowCardinality(String) COMMENT 'tenant the messages belong to',
    `window_start` DateTime64(3, 'UTC') COMMENT 'start of the hour of sent_at, UTC',
    `channel` LowCardinality(String) COMMENT 'sms or whatsapp',
    `source` LowCardinality(String) COMMENT 'what sent the messages',
    `country` LowCardinality(String) COMMENT 'country of the recipients; empty: unknown',
    `provider` LowCardinality(String) COMMENT 'provider of the latest attempt; empty: unknown',
    `submitted` UInt64 COMMENT 'messages now submitted',
    `queued` UInt64 COMMENT 'messages now queued',
    `delivered` UInt64 COMMENT 'messages now delivered and not read',
    `read` UInt64 COMMENT 'messages now read',
    `undelivered_soft` UInt64 COMMENT 'messages now undelivered for a temporary reason, expired ones not included',
    `undelivered_hard` UInt64 COMMENT 'messages now undelivered for good',
    `expired` UInt64 COMMENT 'messages whose validity ran out while they were pending',
    `rejected` UInt64 COMMENT 'messages now rejected',
    `deleted` UInt64 COMMENT 'messages now deleted by the network',
    `segments` UInt64 COMMENT 'message parts of all these messages',
    `credits` Decimal(38, 6) COMMENT 'credits of all these messages',
    `messages` UInt64 COMMENT 'all these messages: the sum of the nine counts before'
)
COMMENT 'Messages by current status in each hour of sent_at. Inbound messages and orphans are not counted.'
AS SELECT
    account,
    window_start,
    channel,
    source,
    country,
    provider,
    sum(cells.submitted) AS submitted,
    sum(cells.queued) AS queued,
    sum(cells.delivered) AS delivered,
    sum(cells.read) AS read,
    sum(cells.undelivered_soft) AS undelivered_soft,
    sum(cells.undelivered_hard) AS undelivered_hard,
    sum(cells.expired) AS expired,
    sum(cells.rejected) AS rejected,
    sum(cells.deleted) AS deleted,
    sum(cells.segments) AS segments,
    sum(cells.credits) AS credits,
    (((((((submitted + queued) + delivered) + read) + undelivered_soft) + undelivered_hard) + expired) + rejected) + deleted AS messages
FROM status_counters AS cells
FINAL
WHERE kind = 'hour'
GROUP BY
    account,
    window_start,
    channel,
    source,
    country,
    provider
HAVING messages > 0;

CREATE TABLE dead_letter_records
(
    `topic` LowCardinality(String) COMMENT 'topic the record came from',
    `partition` Int32 COMMENT 'partition the record came from',
    `offset` Int64 COMMENT 'offset of the record in that partition',
    `time` DateTime64(3, 'UTC') COMMENT 'Kafka timestamp of the record, UTC; 1970: none',
    `reason` LowCardinality(String) COMMENT 'reason code',
    `detail` String COMMENT 'field and what was wrong with it',
    `key` String COMMENT 'original key, bytes; empty when has_key is 0',
    `value` String COMMENT 'original value, bytes; empty when has_value is 0',
    `has_key` UInt8 COMMENT '0: the record had no key',
    `has_value` UInt8 COMMENT '0: the record had no value',
    `dead_offset` Int64 COMMENT 'offset of the dead letter itself in the dead-letters topic',
    `version` UInt64 COMMENT 'the highest stands: the latest dead letter of a record'
)
ENGINE = ReplacingMergeTree(version)
PARTITION BY toYYYYMM(time)
ORDER BY (topic, partition, offset)
SETTINGS default_compression_codec = 'ZSTD(3)', index_granularity = 8192
COMMENT 'Dead letters as written: read dead_letters instead.';

CREATE VIEW dead_letters
(
    `topic` LowCardinality(String) COMMENT 'topic the record came from',
    `partition` Int32 COMMENT 'partition the record came from',
    `offset` Int64 COMMENT 'offset of the record in that partition',
    `time` Nullable(DateTime64(3, 'UTC')) COMMENT 'Kafka timestamp of the record, UTC; NULL: none',
    `reason` LowCardinality(String) COMMENT 'reason code',
    `detail` String COMMENT 'field and what was wrong with it',
    `key` Nullable(String) COMMENT 'original key, bytes; NULL: the record had none',
    `value` Nullable(String) COMMENT 'original value, bytes; NULL: the record had none',
    `dead_offset` Int64 COMMENT 'offset of the dead letter itself in the dead-letters topic',
    `version` UInt64 COMMENT 'the highest stands: the latest dead letter of a record'
)
COMMENT 'Records nobody could use, one row each, with the reason and the original bytes.'
AS SELECT
    topic,
    partition,
    offset,
    nullIf(time, toDateTime64(0, 3, 'UTC')) AS time,
    reason,
    detail,
    if(has_key, key, NULL) AS key,
    if(has_value, value, NULL) AS value,
    dead_offset,
    version
FROM dead_letter_records
FINAL;

CREATE TABLE engagements
(
    `account` LowCardinality(String) COMMENT 'tenant the message belongs to',
    `event_id` String COMMENT 'id of the event, unique in its account',
    `type` LowCardinality(String) COMMENT 'click or unsubscribe',
    `occurred_at` DateTime64(3, 'UTC') COMMENT 'when it happened, UTC' CODEC(Delta(8), ZSTD(3)),
    `message_id` String COMMENT 'message it belongs to; empty: unknown',
    `recipient` String COMMENT 'number of the person, E.164; empty: unknown',
    `campaign_id` LowCardinality(String) COMMENT 'campaign it belongs to; empty: unknown',
    `link_id` LowCardinality(String) COMMENT 'link that was clicked; empty: unknown',
    `url` String COMMENT 'address that was opened; empty: unknown',
    `version` UInt64 COMMENT 'the highest stands: the event with the smallest occurred_at',
    INDEX by_time occurred_at TYPE minmax GRANULARITY 1,
    INDEX by_message message_id TYPE bloom_filter(0.01) GRANULARITY 1,
    INDEX by_recipient recipient TYPE bloom_filter(0.01) GRANULARITY 1
)
ENGINE = ReplacingMergeTree(version)
PARTITION BY toYYYYMM(occurred_at)
ORDER BY (account, event_id)
SETTINGS default_compression_codec = 'ZSTD(3)', index_granularity = 8192
COMMENT 'Clicks and unsubscribes as written: read engagements_current instead.';

CREATE VIEW engagements_current
(
    `account` LowCardinality(String) COMMENT 'tenant the message belongs to',
    `event_id` String COMMENT 'id of the event, unique in its account',
    `type` LowCardinality(String) COMMENT 'click or unsubscribe',
    `occurred_at` DateTime64(3, 'UTC') COMMENT 'when it happened, UTC',
    `message_id` String COMMENT 'message it belongs to; empty: unknown',
    `recipient` String COMMENT 'number of the person, E.164; empty: unknown',
    `campaign_id` LowCardinality(String) COMMENT 'campaign it belongs to; empty: unknown',
    `link_id` LowCardinality(String) COMMENT 'link that was clicked; empty: unknown',
    `url` String COMMENT 'address that was opened; empty: unknown',
    `version` UInt64 COMMENT 'the highest stands: the event with the smallest occurred_at'
)
COMMENT 'Clicks and unsubscribes, one row an event.'
AS SELECT
    account,
    event_id,
    type,
    occurred_at,
    message_id,
    recipient,
    campaign_id,
    link_id,
    url,
    version
FROM engagements
FINAL;

CREATE TABLE message_texts
(
    `account` LowCardinality(String) COMMENT 'tenant the message belongs to',
    `message_id` String COMMENT 'message the text belongs to',
    `attempt` UInt16 COMMENT 'attempt the text was sent with',
    `sent_at` DateTime64(3, 'UTC') COMMENT 'when this attempt was sent, UTC; its time to live counts from here' CODEC(Delta(8), ZSTD(3)),
    `text` String COMMENT 'what was sent',
    `version` UInt64 COMMENT 'the highest stands: the send with the smallest sent_at'
)
ENGINE = ReplacingMergeTree(version)
PARTITION BY toYYYYMM(sent_at)
ORDER BY (account, message_id, attempt)
TTL toDateTime(sent_at) + toIntervalDay(90)
SETTINGS default_compression_codec = 'ZSTD(3)', index_granularity = 8192
COMMENT 'Texts of sends as written: read message_texts_current instead.';

CREATE VIEW message_texts_current
(
    `account` LowCardinality(String) COMMENT 'tenant the message belongs to',
    `message_id` String COMMENT 'message the text belongs to',
    `attempt` UInt16 COMMENT 'attempt the text was sent with',
    `sent_at` DateTime64(3, 'UTC') COMMENT 'when this attempt was sent, UTC; its time to live counts from here',
    `text` String COMMENT 'what was sent',
    `version` UInt64 COMMENT 'the highest stands: the send with the smallest sent_at'
)
COMMENT 'Text of every attempt, as long as text_days allow.'
AS SELECT
    account,
    message_id,
    attempt,
    sent_at,
    text,
    version
FROM message_texts
FINAL;

CREATE TABLE messages
(
    `account` LowCardinality(String) COMMENT 'tenant the message belongs to',
    `message_id` String COMMENT 'id given by the sending service, unique in its account',
    `channel` LowCardinality(String) COMMENT 'sms or whatsapp',
    `direction` LowCardinality(String) COMMENT 'outbound, or inbound for a received message',
    `source` LowCardinality(String) COMMENT 'what sent it: direct, verification, open_api_direct, open_api_verification, campaign or program',
    `sender_id` LowCardinality(String) COMMENT 'number or name the recipient sees as sender; empty: unknown',
    `sent_by` LowCardinality(String) COMMENT 'person or service that sent it; empty: unknown',
    `campaign_id` LowCardinality(String) COMMENT 'campaign it belongs to; empty: none',
    `message_type` LowCardinality(String) COMMENT 'campaign, notification or another word of the sender; empty: unknown',
    `recipient` String COMMENT 'number of the other side, E.164',
    `country` LowCardinality(String) COMMENT 'ISO 3166-1 alpha-2 of the recipient; empty: unknown',
    `external_id` String COMMENT 'id of the message or contact in a system of the sender; empty: none',
    `email` String COMMENT 'e-mail address of the recipient, if the sender knows it; empty: none',
    `platform` LowCardinality(String) COMMENT 'platform the message was sent from; empty: unknown',
    `provider` LowCardinality(String) COMMENT 'provider of the latest attempt; empty: unknown',
    `segments` UInt32 COMMENT 'message parts charged, summed over attempts',
    `credits` Decimal(18, 6) COMMENT 'price in credits, summed over attempts',
    `attempts` UInt16 COMMENT 'highest attempt known; 1: never retried',
    `sent_at` DateTime64(3, 'UTC') COMMENT 'when attempt 1 was sent, UTC' CODEC(Delta(8), ZSTD(3)),
    `status` LowCardinality(String) COMMENT 'submitted, queued, delivered, read, undelivered, rejected, deleted, or received when inbound',
    `platform_status` LowCardinality(String) COMMENT 'what the platform did: submitted or rejected; empty when inbound',
    `carrier_status` LowCardinality(String) COMMENT 'what the network did: queued, delivered or undelivered; empty when rejected or inbound',
    `bounce` LowCardinality(String) COMMENT 'soft or hard failure; empty: no bounce',
    `scope` LowCardinality(String) COMMENT 'whose fault a failure is: recipient, content, sender, account, route, network, policy or time; empty: unknown or no failure',
    `error_code` LowCardinality(String) COMMENT 'code the provider gave for a failure; empty: none',
    `fail_reason` LowCardinality(String) COMMENT 'reason the provider gave for a failure, or expired; empty: none',
    `queued_at` DateTime64(3, 'UTC') COMMENT 'first seen queued, UTC; 1970: not yet',
    `delivered_at` DateTime64(3, 'UTC') COMMENT 'first seen delivered or read, UTC; 1970: not yet',
    `read_at` DateTime64(3, 'UTC') COMMENT 'first seen read, UTC; 1970: not yet',
    `finalized_at` DateTime64(3, 'UTC') COMMENT 'when the outcome was known (delivered, failed or expired), UTC; 1970: pending',
    `clicked_at` DateTime64(3, 'UTC') COMMENT 'first click on a link of the message, UTC; 1970: none',
    `unsubscribed_at` DateTime64(3, 'UTC') COMMENT 'first unsubscribe through the message, UTC; 1970: none',
    `version` UInt64 COMMENT 'orders the writes of one message; the highest stands',
    `is_deleted` UInt8 COMMENT '1 deletes the row under this sort key',
    INDEX by_message message_id TYPE bloom_filter(0.001) GRANULARITY 1,
    INDEX by_recipient recipient TYPE bloom_filter(0.01) GRANULARITY 1,
    INDEX by_external_id external_id TYPE bloom_filter(0.001) GRANULARITY 1
)
ENGINE = ReplacingMergeTree(version, is_deleted)
PARTITION BY toYYYYMM(sent_at)
ORDER BY (account, sent_at, message_id)
SETTINGS default_compression_codec = 'ZSTD(3)', index_granularity = 8192
COMMENT 'Messages as written, old versions included: read messages_current instead.';

CREATE VIEW messages_current
(
    `account` LowCardinality(String) COMMENT 'tenant the message belongs to',
    `message_id` String COMMENT 'id given by the sending service, unique in its account',
    `channel` LowCardinality(String) COMMENT 'sms or whatsapp',
    `direction` LowCardinality(String) COMMENT 'outbound, or inbound for a received message',
    `source` LowCardinality(String) COMMENT 'what sent it: direct, verification, open_api_direct, open_api_verification, campaign or program',
    `sender_id` LowCardinality(String) COMMENT 'number or name the recipient sees as sender; empty: unknown',
    `sent_by` LowCardinality(String) COMMENT 'person or service that sent it; empty: unknown',
    `campaign_id` LowCardinality(String) COMMENT 'campaign it belongs to; empty: none',
    `message_type` LowCardinality(String) COMMENT 'campaign, notification or another word of the sender; empty: unknown',
    `recipient` String COMMENT 'number of the other side, E.164',
    `country` LowCardinality(String) COMMENT 'ISO 3166-1 alpha-2 of the recipient; empty: unknown',
    `external_id` String COMMENT 'id of the message or contact in a system of the sender; empty: none',
    `email` String COMMENT 'e-mail address of the recipient, if the sender knows it; empty: none',
    `platform` LowCardinality(String) COMMENT 'platform the message was sent from; empty: unknown',
    `provider` LowCardinality(String) COMMENT 'provider of the latest attempt; empty: unknown',
    `segments` UInt32 COMMENT 'message parts charged, summed over attempts',
    `credits` Decimal(18, 6) COMMENT 'price in credits, summed over attempts',
    `attempts` UInt16 COMMENT 'highest attempt known; 1: never retried',
    `sent_at` DateTime64(3, 'UTC') COMMENT 'when attempt 1 was sent, UTC',
    `status` LowCardinality(String) COMMENT 'submitted, queued, delivered, read, undelivered, rejected, deleted, or received when inbound',
    `platform_status` LowCardinality(String) COMMENT 'what the platform did: submitted or rejected; empty when inbound',
    `carrier_status` LowCardinality(String) COMMENT 'what the network did: queued, delivered or undelivered; empty when rejected or inbound',
    `bounce` LowCardinality(String) COMMENT 'soft or hard failure; empty: no bounce',
    `scope` LowCardinality(String) COMMENT 'whose fault a failure is: recipient, content, sender, account, route, network, policy or time; empty: unknown or no failure',
    `error_code` LowCardinality(String) COMMENT 'code the provider gave for a failure; empty: none',
    `fail_reason` LowCardinality(String) COMMENT 'reason the provider gave for a failure, or expired; empty: none',
    `queued_at` Nullable(DateTime64(3, 'UTC')) COMMENT 'first seen queued, UTC; NULL: not yet',
    `delivered_at` Nullable(DateTime64(3, 'UTC')) COMMENT 'first seen delivered or read, UTC; NULL: not yet',
    `read_at` Nullable(DateTime64(3, 'UTC')) COMMENT 'first seen read, UTC; NULL: not yet',
    `finalized_at` Nullable(DateTime64(3, 'UTC')) COMMENT 'when the outcome was known (delivered, failed or expired), UTC; NULL: pending',
    `clicked_at` Nullable(DateTime64(3, 'UTC')) COMMENT 'first click on a link of the message, UTC; NULL: none',
    `unsubscribed_at` Nullable(DateTime64(3, 'UTC')) COMMENT 'first unsubscribe through the message, UTC; NULL: none',
    `version` UInt64 COMMENT 'orders the writes of one message; the highest stands'
)
COMMENT 'One row a message, as it stands now. Start here.'
AS SELECT
    account,
    message_id,
    channel,
    direction,
    source,
    sender_id,
    sent_by,
    campaign_id,
    message_type,
    recipient,
    country,
    external_id,
    email,
    platform,
    provider,
    segments,
    credits,
    attempts,
    sent_at,
    status,
    platform_status,
    carrier_status,
    bounce,
    scope,
    error_code,
    fail_reason,
    nullIf(queued_at, toDateTime64(0, 3, 'UTC')) AS queued_at,
    nullIf(delivered_at, toDateTime64(0, 3, 'UTC')) AS delivered_at,
    nullIf(read_at, toDateTime64(0, 3, 'UTC')) AS read_at,
    nullIf(finalized_at, toDateTime64(0, 3, 'UTC')) AS finalized_at,
    nullIf(clicked_at, toDateTime64(0, 3, 'UTC')) AS clicked_at,
    nullIf(unsubscribed_at, toDateTime64(0, 3, 'UTC')) AS unsubscribed_at,
    version
FROM messages
FINAL;

CREATE TABLE orphans
(
    `account` LowCardinality(String) COMMENT 'tenant the receipts name',
    `message_id` String COMMENT 'message the receipts name; no send of it is known',
    `status` LowCardinality(String) COMMENT 'what the receipts say: queued, delivered, read, undelivered, rejected, deleted or submitted',
    `bounce` LowCardinality(String) COMMENT 'soft or hard failure; empty: no bounce',
    `scope` LowCardinality(String) COMMENT 'whose fault a failure is; empty: unknown or no failure',
    `error_code` LowCardinality(String) COMMENT 'code the provider gave for a failure; empty: none',
    `fail_reason` LowCardinality(String) COMMENT 'reason the provider gave for a failure; empty: none',
    `provider` LowCardinality(String) COMMENT 'provider of the receipt that decides; empty: unknown',
    `provider_message_id` String COMMENT 'id the provider gave the message; empty: unknown',
    `recipient` String COMMENT 'number the receipts name, E.164; empty: unknown',
    `occurred_at` DateTime64(3, 'UTC') COMMENT 'time of the receipt that decides, UTC; 1970: none',
    `queued_at` DateTime64(3, 'UTC') COMMENT 'first seen queued, UTC; 1970: not yet',
    `delivered_at` DateTime64(3, 'UTC') COMMENT 'first seen delivered or read, UTC; 1970: not yet',
    `read_at` DateTime64(3, 'UTC') COMMENT 'first seen read, UTC; 1970: not yet',
    `version` UInt64 COMMENT 'orders the writes of one message; the highest stands',
    `is_deleted` UInt8 COMMENT '1: the send arrived, the message is in messages'
)
ENGINE = ReplacingMergeTree(version, is_deleted)
ORDER BY (account, message_id)
SETTINGS default_compression_codec = 'ZSTD(3)', index_granularity = 8192
COMMENT 'Receipts without a send as written: read orphans_current instead.';

CREATE VIEW orphans_current
(
    `account` LowCardinality(String) COMMENT 'tenant the receipts name',
    `message_id` String COMMENT 'message the receipts name; no send of it is known',
    `status` LowCardinality(String) COMMENT 'what the receipts say: queued, delivered, read, undelivered, rejected, deleted or submitted',
    `bounce` LowCardinality(String) COMMENT 'soft or hard failure; empty: no bounce',
    `scope` LowCardinality(String) COMMENT 'whose fault a failure is; empty: unknown or no failure',
    `error_code` LowCardinality(String) COMMENT 'code the provider gave for a failure; empty: none',
    `fail_reason` LowCardinality(String) COMMENT 'reason the provider gave for a failure; empty: none',
    `provider` LowCardinality(String) COMMENT 'provider of the receipt that decides; empty: unknown',
    `provider_message_id` String COMMENT 'id the provider gave the message; empty: unknown',
    `recipient` String COMMENT 'number the receipts name, E.164; empty: unknown',
    `occurred_at` Nullable(DateTime64(3, 'UTC')) COMMENT 'time of the receipt that decides, UTC; NULL: none',
    `queued_at` Nullable(DateTime64(3, 'UTC')) COMMENT 'first seen queued, UTC; NULL: not yet',
    `delivered_at` Nullable(DateTime64(3, 'UTC')) COMMENT 'first seen delivered or read, UTC; NULL: not yet',
    `read_at` Nullable(DateTime64(3, 'UTC')) COMMENT 'first seen read, UTC; NULL: not yet',
    `version` UInt64 COMMENT 'orders the writes of one message; the highest stands'
)
COMMENT 'Messages known by receipts only: their send has not come (yet), or came before the states were dropped.'
AS SELECT
    account,
    message_id,
    status,
    bounce,
    scope,
    error_code,
    fail_reason,
    provider,
    provider_message_id,
    recipient,
    nullIf(occurred_at, toDateTime64(0, 3, 'UTC')) AS occurred_at,
    nullIf(queued_at, toDateTime64(0, 3, 'UTC')) AS queued_at,
    nullIf(delivered_at, toDateTime64(0, 3, 'UTC')) AS delivered_at,
    nullIf(read_at, toDateTime64(0, 3, 'UTC')) AS read_at,
    version
FROM orphans
FINAL;

CREATE TABLE schema_migrations
(
    `number` UInt32 COMMENT 'number of the migration',
    `name` String COMMENT 'name of its file',
    `checksum` String COMMENT 'SHA-256 of its file',
    `applied_at` DateTime64(3, 'UTC') DEFAULT now64(3) COMMENT 'when it was applied, UTC'
)
ENGINE = ReplacingMergeTree(applied_at)
ORDER BY (number, checksum)
SETTINGS index_granularity = 8192
COMMENT 'Migrations applied to this database.';

CREATE TABLE status_counters
(
    `kind` LowCardinality(String) COMMENT 'hour, day or campaign',
    `account` LowCardinality(String) COMMENT 'tenant the messages belong to',
    `window_start` DateTime64(3, 'UTC') COMMENT 'start of the hour or day of sent_at, UTC; for campaign the day of sent_at' CODEC(Delta(8), ZSTD(3)),
    `channel` LowCardinality(String) COMMENT 'sms or whatsapp; empty for campaign',
    `source` LowCardinality(String) COMMENT 'what sent the messages; empty for campaign',
    `country` LowCardinality(String) COMMENT 'country of the recipients; empty: unknown, or campaign',
    `provider` LowCardinality(String) COMMENT 'provider of the latest attempt; empty: unknown, or campaign',
    `campaign_id` LowCardinality(String) COMMENT 'campaign for kind campaign, else empty',
    `shard` UInt16 COMMENT 'Kafka partition that owns the cell',
    `submitted` UInt64 COMMENT 'messages now submitted',
    `queued` UInt64 COMMENT 'messages now queued',
    `delivered` UInt64 COMMENT 'messages now delivered and not read',
    `read` UInt64 COMMENT 'messages now read',
    `undelivered_soft` UInt64 COMMENT 'messages now undelivered for a temporary reason, expired ones not included',
    `undelivered_hard` UInt64 COMMENT 'messages now undelivered for good',
    `expired` UInt64 COMMENT 'messages whose validity ran out while they were pending',
    `rejected` UInt64 COMMENT 'messages now rejected',
    `deleted` UInt64 COMMENT 'messages now deleted by the network',
    `segments` UInt64 COMMENT 'message parts of all these messages',
    `credits` Decimal(38, 6) COMMENT 'credits of all these messages',
    `version` UInt64 COMMENT 'orders the writes of one cell; the highest stands'
)
ENGINE = ReplacingMergeTree(version)
PARTITION BY toYYYYMM(window_start)
ORDER BY (kind, account, window_start, channel, source, country, provider, campaign_id, shard)
SETTINGS default_compression_codec = 'ZSTD(3)', index_granularity = 8192
COMMENT 'Counter cells as written: read counters_hour, counters_day and counters_campaign instead.';

