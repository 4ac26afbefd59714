-- Migrations and views lead to this (python -m sinks.schema).

CREATE TABLE accounts
(
    `account` LowCardinality(String) COMMENT 'the tenant',
    `suppress_hard_bounces` Bool COMMENT 'whether strikes suppress a number',
    `strike_limit` UInt8 COMMENT 'strikes that suppress a number',
    `strikes_reset_on_delivery` Bool COMMENT 'whether a delivery to a number starts its count anew',
    `suppression_days` UInt16 COMMENT 'days a suppression by strikes lasts; 0: until released',
    `retry_soft_bounces` Bool COMMENT 'whether soft bounces are tried again',
    `retry_every_s` UInt32 COMMENT 'seconds between attempts',
    `retry_for_s` UInt32 COMMENT 'seconds from the first send; no attempt is due later',
    `validity_s` UInt32 COMMENT 'seconds until a pending message expires, when its send does not say',
    `time_zone` LowCardinality(String) COMMENT 'IANA time zone of its reports',
    `text_days` UInt16 COMMENT 'days its message texts are kept; 0: as the installation says',
    `recipient_days` UInt16 COMMENT 'days its recipients are kept; 0: as the installation says',
    `fail_reasons` Map(String, String) COMMENT 'its own words for failures, by provider:code or code',
    `updated_at` DateTime64(3, 'UTC') COMMENT 'when it was changed, as its publisher says, UTC; 1970: not said',
    `published_at` DateTime64(3, 'UTC') COMMENT 'Kafka timestamp of the record, UTC; 1970: none',
    `version` UInt64 COMMENT 'offset of the record; the highest stands',
    `is_deleted` UInt8 COMMENT '1: withdrawn, the defaults are in force',
    `codes` Map(String, String) COMMENT 'its own meanings of codes, by provider:code or code: bounce, scope and reason as JSON',
    `unsubscribe_binds` LowCardinality(String) DEFAULT 'marketing' COMMENT 'messages an unsubscribe binds: marketing (all but verification messages) or all'
)
ENGINE = ReplacingMergeTree(version, is_deleted)
ORDER BY (account)
SETTINGS default_compression_codec = 'ZSTD(3)', index_granularity = 8192
COMMENT 'Account settings as written: read accounts_current instead.';

CREATE VIEW accounts_current
(
    `account` LowCardinality(String) COMMENT 'the tenant',
    `suppress_hard_bounces` Bool COMMENT 'whether strikes suppress a number',
    `strike_limit` UInt8 COMMENT 'strikes that suppress a number',
    `strikes_reset_on_delivery` Bool COMMENT 'whether a delivery to a number resets its count',
    `suppression_days` Nullable(UInt16) COMMENT 'days a suppression by strikes lasts; NULL: until released',
    `retry_soft_bounces` Bool COMMENT 'whether soft bounces are tried again',
    `retry_every_s` UInt32 COMMENT 'seconds between attempts',
    `retry_for_s` UInt32 COMMENT 'seconds from the first send; no attempt is due later',
    `validity_s` UInt32 COMMENT 'seconds until a pending message expires, when its send does not say',
    `time_zone` LowCardinality(String) COMMENT 'IANA time zone of its reports',
    `text_days` Nullable(UInt16) COMMENT 'days its message texts are kept; NULL: as the installation says',
    `recipient_days` Nullable(UInt16) COMMENT 'days its recipients are kept; NULL: as the installation says',
    `fail_reasons` Map(String, String) COMMENT 'its own words for failures, by provider:code or code',
    `updated_at` Nullable(DateTime64(3, 'UTC')) COMMENT 'when it was changed, by its publisher\'s clock, UTC; NULL: not given',
    `published_at` Nullable(DateTime64(3, 'UTC')) COMMENT 'Kafka timestamp of the record, UTC; NULL: none',
    `version` UInt64 COMMENT 'offset of the record; the highest wins',
    `codes` Map(String, String) COMMENT 'its own meanings of codes, by provider:code or code: bounce, scope and reason as JSON',
    `unsubscribe_binds` LowCardinality(String) COMMENT 'messages an unsubscribe binds: marketing (all but verification messages) or all'
)
COMMENT 'Settings of the accounts that published any; the others have the defaults.'
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
FROM accounts
FINAL;

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
    `name` String COMMENT 'name that people see',
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
    `updated_at` DateTime64(3, 'UTC') COMMENT 'when it was changed last, UTC; the newest wins',
    `version` UInt64 COMMENT 'the highest wins: the newest updated_at'
)
COMMENT 'Campaigns as they are now.'
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
    `messages` UInt64 COMMENT 'all these messages: the sum of the counts'
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
    `messages` UInt64 COMMENT 'all these messages: the sum of the counts'
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
    `messages` UInt64 COMMENT 'all these messages: the sum of the counts'
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
    `version` UInt64 COMMENT 'the highest wins: the latest dead letter of a record'
)
COMMENT 'Refused records, one row each, with the reason and the original bytes.'
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
    `type` LowCardinality(String) COMMENT 'click, unsubscribe, resubscribe or conversion',
    `occurred_at` DateTime64(3, 'UTC') COMMENT 'when it happened, UTC' CODEC(Delta(8), ZSTD(3)),
    `message_id` String COMMENT 'message it belongs to; empty: unknown',
    `recipient` String COMMENT 'number of the person, E.164, or user id of WhatsApp; empty: unknown',
    `campaign_id` LowCardinality(String) COMMENT 'campaign it belongs to; empty: unknown',
    `link_id` LowCardinality(String) COMMENT 'link that was clicked; empty: unknown',
    `url` String COMMENT 'address that was opened; empty: unknown',
    `version` UInt64 COMMENT 'the highest stands: the event with the smallest occurred_at',
    `channel` LowCardinality(String) COMMENT 'sms or whatsapp, for an unsubscribe or resubscribe that names one; empty: none',
    `user_agent` String COMMENT 'program that clicked; empty: unknown',
    `automated` Bool COMMENT 'whether the publisher knows that a program clicked',
    `person` String DEFAULT recipient COMMENT 'the recipient in the canonical spelling of its number; empty: unknown',
    INDEX by_time occurred_at TYPE minmax GRANULARITY 1,
    INDEX by_message message_id TYPE bloom_filter(0.01) GRANULARITY 1,
    INDEX by_recipient recipient TYPE bloom_filter(0.01) GRANULARITY 1,
    INDEX by_person person TYPE bloom_filter(0.01) GRANULARITY 1
)
ENGINE = ReplacingMergeTree(version)
PARTITION BY toYYYYMM(occurred_at)
ORDER BY (account, event_id)
SETTINGS default_compression_codec = 'ZSTD(3)', index_granularity = 8192
COMMENT 'What people did (clicks, unsubscribes, new subscriptions, conversions) as written: read engagements_current instead.';

CREATE VIEW engagements_current
(
    `account` LowCardinality(String) COMMENT 'tenant the message belongs to',
    `event_id` String COMMENT 'id of the event, unique in its account',
    `type` LowCardinality(String) COMMENT 'click, unsubscribe, resubscribe or conversion',
    `occurred_at` DateTime64(3, 'UTC') COMMENT 'when it happened, UTC',
    `message_id` String COMMENT 'message it belongs to; empty: unknown',
    `recipient` String COMMENT 'number of the person, E.164, or user id of WhatsApp; empty: unknown',
    `campaign_id` LowCardinality(String) COMMENT 'campaign it belongs to; empty: unknown',
    `link_id` LowCardinality(String) COMMENT 'link that was clicked; empty: unknown',
    `url` String COMMENT 'address that was opened; empty: unknown',
    `version` UInt64 COMMENT 'the highest wins: the event with the smallest occurred_at',
    `channel` LowCardinality(String) COMMENT 'sms or whatsapp, for an unsubscribe or resubscribe that names one; empty: none',
    `user_agent` String COMMENT 'program that clicked; empty: unknown',
    `automated` Bool COMMENT 'whether the publisher knows that a program clicked',
    `person` String COMMENT 'the recipient in the canonical spelling of its number; empty: unknown'
)
COMMENT 'What people did (clicks, unsubscribes, new subscriptions, conversions), one row an event.'
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
    version,
    channel,
    user_agent,
    automated,
    person
FROM engagements
FINAL;

CREATE TABLE message_texts
(
    `account` LowCardinality(String) COMMENT 'tenant the message belongs to',
    `message_id` String COMMENT 'message the text belongs to',
    `attempt` UInt16 COMMENT 'attempt the text was sent with',
    `sent_at` DateTime64(3, 'UTC') COMMENT 'when this attempt was sent, UTC; its time to live counts from here' CODEC(Delta(8), ZSTD(3)),
    `text` String COMMENT 'what was sent',
    `version` UInt64 COMMENT 'the highest stands: the send with the smallest sent_at',
    `source` LowCardinality(String) COMMENT 'what sent it; empty: written before it was kept, and by no verification'
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
    `text` String COMMENT 'what was sent; empty for verification messages: it is in the table only',
    `version` UInt64 COMMENT 'the highest wins: the send with the smallest sent_at',
    `source` LowCardinality(String) COMMENT 'what sent it; empty: written before it was kept, and by no verification'
)
COMMENT 'Text of every attempt, as long as text_days allow.'
AS SELECT
    account,
    message_id,
    attempt,
    sent_at,
    if((texts.source IN ('open_api_verification', 'verification')), '', texts.text) AS text,
    version,
    source
FROM message_texts AS texts
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
    `recipient` String COMMENT 'number of the other side, E.164; a user id of WhatsApp; of an inbound message any sender',
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
    `error_text` LowCardinality(String) DEFAULT if((scope = 'time') AND (fail_reason = 'expired'), '', fail_reason) COMMENT 'words the provider gave for a failure; empty: none',
    `fail_reason` LowCardinality(String) COMMENT 'why it failed, in words for people, or expired; empty: not failed',
    `failed_attempt` UInt16 DEFAULT if((status IN ('undelivered', 'rejected', 'deleted')), attempts, 0) COMMENT 'attempt whose failure decides; 0: not failed',
    `no_retry_reason` LowCardinality(String) COMMENT 'why no further attempt was asked for: off, too_late, too_many (attempts), expired, suppressed or final; empty: one was or will be, or none is needed',
    `next_attempt_at` DateTime64(3, 'UTC') COMMENT 'when the next attempt is or was due, UTC; 1970: none',
    `queued_at` DateTime64(3, 'UTC') COMMENT 'first seen queued, UTC; 1970: not yet',
    `delivered_at` DateTime64(3, 'UTC') COMMENT 'first seen delivered or read, UTC; 1970: not yet',
    `read_at` DateTime64(3, 'UTC') COMMENT 'first seen read, UTC; 1970: not yet',
    `finalized_at` DateTime64(3, 'UTC') COMMENT 'when the outcome was known (delivered, failed or expired), UTC; 1970: pending',
    `clicked_at` DateTime64(3, 'UTC') COMMENT 'first click of a person on a link of the message, UTC; 1970: none',
    `unsubscribed_at` DateTime64(3, 'UTC') COMMENT 'first unsubscribe through the message, UTC; 1970: none',
    `sent_to_suppressed` Bool COMMENT 'whether it was sent although its number was suppressed before',
    `version` UInt64 COMMENT 'orders the writes of one message; the highest stands',
    `is_deleted` UInt8 COMMENT '1 deletes the row under this sort key',
    `outcome` LowCardinality(String) MATERIALIZED multiIf(status != 'undelivered', status, (fail_reason = 'expired') AND (scope = 'time') AND (error_code = '') AND (error_text = ''), 'expired', concat('undelivered_', bounce)) COMMENT 'the one word a message is counted under: submitted, queued, delivered, read, undelivered_soft, undelivered_hard, expired, rejected, deleted; received when inbound',
    `person` String DEFAULT recipient COMMENT 'the recipient in the canonical spelling of its number; compare people by it',
    `provider_message_id` String COMMENT 'id the provider gave the latest attempt, by its send or by the receipt that decides; empty: unknown',
    `template` LowCardinality(String) COMMENT 'template it was made from; empty: unknown',
    `category` LowCardinality(String) COMMENT 'marketing, utility or another word of the sender; empty: unknown',
    `reference` String COMMENT 'reference of the sender; empty: none',
    `mccmnc` LowCardinality(String) COMMENT 'mobile country and network code, of the latest receipt with one',
    `price` Decimal(18, 6) COMMENT 'price by the receipts in currency, summed over attempts; 0 without a currency: unknown',
    `currency` LowCardinality(String) COMMENT 'ISO 4217 of the price; of two, the latest; empty: unknown',
    `converted_at` DateTime64(3, 'UTC') COMMENT 'when the goal of the message was reached, UTC; 1970: not yet',
    `automated_clicked_at` DateTime64(3, 'UTC') COMMENT 'first click by a program (link preview, scanner), UTC; 1970: none',
    `repaired` Array(LowCardinality(String)) COMMENT 'fields of its events that were wrong and were mended or left out',
    INDEX by_message message_id TYPE bloom_filter(0.001) GRANULARITY 1,
    INDEX by_recipient recipient TYPE bloom_filter(0.01) GRANULARITY 1,
    INDEX by_external_id external_id TYPE bloom_filter(0.001) GRANULARITY 1,
    INDEX by_email email TYPE bloom_filter(0.001) GRANULARITY 1,
    INDEX by_campaign campaign_id TYPE bloom_filter(0.001) GRANULARITY 1,
    INDEX by_person person TYPE bloom_filter(0.01) GRANULARITY 1,
    INDEX by_provider_message_id provider_message_id TYPE bloom_filter(0.001) GRANULARITY 1,
    INDEX by_external_id_in_any_case lowerUTF8(external_id) TYPE bloom_filter(0.01) GRANULARITY 1,
    INDEX by_email_in_any_case lowerUTF8(email) TYPE bloom_filter(0.01) GRANULARITY 1
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
    `recipient` String COMMENT 'number of the other side, E.164; a user id of WhatsApp; of an inbound message any sender',
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
    `fail_reason` LowCardinality(String) COMMENT 'why it failed, in words for people, or expired; empty: not failed',
    `queued_at` Nullable(DateTime64(3, 'UTC')) COMMENT 'first seen queued, UTC; NULL: not yet',
    `delivered_at` Nullable(DateTime64(3, 'UTC')) COMMENT 'first seen delivered or read, UTC; NULL: not yet',
    `read_at` Nullable(DateTime64(3, 'UTC')) COMMENT 'first seen read, UTC; NULL: not yet',
    `finalized_at` Nullable(DateTime64(3, 'UTC')) COMMENT 'when the outcome was known (delivered, failed or expired), UTC; NULL: pending',
    `clicked_at` Nullable(DateTime64(3, 'UTC')) COMMENT 'first click of a person on a link of the message, UTC; NULL: none',
    `unsubscribed_at` Nullable(DateTime64(3, 'UTC')) COMMENT 'first unsubscribe through the message, UTC; NULL: none',
    `version` UInt64 COMMENT 'orders the writes of one message; the highest wins',
    `error_text` LowCardinality(String) COMMENT 'words the provider gave for a failure; empty: none',
    `failed_attempt` Nullable(UInt16) COMMENT 'attempt whose failure decides; NULL: not failed',
    `no_retry_reason` LowCardinality(String) COMMENT 'why no further attempt was requested: off, too_late, too_many (attempts), expired, suppressed or final; empty: one was or will be, or none is needed',
    `next_attempt_at` Nullable(DateTime64(3, 'UTC')) COMMENT 'when the next attempt is or was due, UTC; NULL: none',
    `sent_to_suppressed` Bool COMMENT 'whether it was sent although its number was suppressed before',
    `outcome` LowCardinality(String) COMMENT 'the one word a message is counted under: submitted, queued, delivered, read, undelivered_soft, undelivered_hard, expired, rejected, deleted; received when inbound',
    `person` String COMMENT 'the recipient in the canonical spelling of its number; compare people by it',
    `provider_message_id` String COMMENT 'id the provider gave the latest attempt, by its send or by the receipt that decides; empty: unknown',
    `template` LowCardinality(String) COMMENT 'template it was made from; empty: unknown',
    `category` LowCardinality(String) COMMENT 'marketing, utility or another word of the sender; empty: unknown',
    `reference` String COMMENT 'reference of the sender; empty: none',
    `mccmnc` LowCardinality(String) COMMENT 'mobile country and network code, of the latest receipt with one',
    `price` Decimal(18, 6) COMMENT 'price by the receipts in currency, summed over attempts; 0 without a currency: unknown',
    `currency` LowCardinality(String) COMMENT 'ISO 4217 of the price; of two, the latest; empty: unknown',
    `converted_at` Nullable(DateTime64(3, 'UTC')) COMMENT 'when the goal of the message was reached, UTC; NULL: not yet',
    `automated_clicked_at` Nullable(DateTime64(3, 'UTC')) COMMENT 'first click by a program (link preview, scanner), UTC; NULL: none',
    `repaired` Array(LowCardinality(String)) COMMENT 'fields of its events that were wrong and were mended or left out'
)
COMMENT 'One row a message, as it is now. Start here.'
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
    version,
    error_text,
    nullIf(failed_attempt, 0) AS failed_attempt,
    no_retry_reason,
    nullIf(next_attempt_at, toDateTime64(0, 3, 'UTC')) AS next_attempt_at,
    sent_to_suppressed,
    outcome,
    person,
    provider_message_id,
    template,
    category,
    reference,
    mccmnc,
    price,
    currency,
    nullIf(converted_at, toDateTime64(0, 3, 'UTC')) AS converted_at,
    nullIf(automated_clicked_at, toDateTime64(0, 3, 'UTC')) AS automated_clicked_at,
    repaired
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
    `error_text` LowCardinality(String) DEFAULT fail_reason COMMENT 'words the provider gave for a failure; empty: none',
    `fail_reason` LowCardinality(String) COMMENT 'why it failed, in words for people; empty: unknown or not failed',
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
    `status` LowCardinality(String) COMMENT 'status by the receipts, in the words of messages_current',
    `bounce` LowCardinality(String) COMMENT 'soft or hard failure; empty: no bounce',
    `scope` LowCardinality(String) COMMENT 'whose fault a failure is; empty: unknown or no failure',
    `error_code` LowCardinality(String) COMMENT 'code the provider gave for a failure; empty: none',
    `fail_reason` LowCardinality(String) COMMENT 'why it failed, in words for people; empty: unknown or not failed',
    `provider` LowCardinality(String) COMMENT 'provider of the receipt that decides; empty: unknown',
    `provider_message_id` String COMMENT 'id the provider gave the message; empty: unknown',
    `recipient` String COMMENT 'number the receipts name, E.164; empty: unknown',
    `occurred_at` Nullable(DateTime64(3, 'UTC')) COMMENT 'time of the receipt that decides, UTC; NULL: none',
    `queued_at` Nullable(DateTime64(3, 'UTC')) COMMENT 'first seen queued, UTC; NULL: not yet',
    `delivered_at` Nullable(DateTime64(3, 'UTC')) COMMENT 'first seen delivered or read, UTC; NULL: not yet',
    `read_at` Nullable(DateTime64(3, 'UTC')) COMMENT 'first seen read, UTC; NULL: not yet',
    `version` UInt64 COMMENT 'orders the writes of one message; the highest wins',
    `error_text` LowCardinality(String) COMMENT 'words the provider gave for a failure; empty: none'
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
    version,
    error_text
FROM orphans
FINAL;

CREATE TABLE receipt_events
(
    `account` LowCardinality(String) COMMENT 'tenant the receipt names',
    `message_id` String COMMENT 'message the receipt is about',
    `occurred_at` DateTime64(3, 'UTC') COMMENT 'when it happened, by the provider, UTC; its time to live counts from here' CODEC(Delta(8), ZSTD(3)),
    `partition` Int32 COMMENT 'partition of its record in the topic receipts',
    `offset` Int64 COMMENT 'offset of its record',
    `attempt` UInt8 COMMENT 'attempt it names; 0: none',
    `status` LowCardinality(String) COMMENT 'status it gives, in our words, or unknown',
    `bounce` LowCardinality(String) COMMENT 'soft or hard, as it gives it; empty: not given',
    `scope` LowCardinality(String) COMMENT 'whose fault, as it gives it; empty: not given',
    `error_code` LowCardinality(String) COMMENT 'code of the provider; empty: none',
    `error_text` String COMMENT 'words of the provider; empty: none',
    `provider` LowCardinality(String) COMMENT 'the provider; empty: not given',
    `provider_message_id` String COMMENT 'id the provider gave the message; empty: unknown',
    `recipient` String COMMENT 'number the receipt names; empty: none',
    `part` UInt8 COMMENT 'part of a long message it is about; 0: the whole',
    `parts` UInt8 COMMENT 'parts of the message; 0: not given',
    `mccmnc` LowCardinality(String) COMMENT 'mobile country and network code; empty: not given',
    `price` Decimal(18, 6) COMMENT 'price it gives; 0 without a currency: none',
    `currency` LowCardinality(String) COMMENT 'ISO 4217 of the price; empty: none',
    `received_at` DateTime64(3, 'UTC') COMMENT 'when the publisher received it, UTC; 1970: not given',
    `published_at` DateTime64(3, 'UTC') COMMENT 'Kafka timestamp of the record, UTC; 1970: none',
    `repaired` Array(LowCardinality(String)) COMMENT 'fields that were wrong and were mended or left out',
    `provider_status` LowCardinality(String) COMMENT 'status in the provider\'s own word; empty: not given'
)
ENGINE = ReplacingMergeTree
PARTITION BY toDate(occurred_at)
ORDER BY (account, message_id, occurred_at, partition, offset)
TTL toDateTime(occurred_at) + toIntervalDay(30)
SETTINGS default_compression_codec = 'ZSTD(3)', ttl_only_drop_parts = 1, index_granularity = 8192
COMMENT 'Receipts as they came: read receipt_events_current instead.';

CREATE VIEW receipt_events_current
(
    `account` LowCardinality(String) COMMENT 'tenant the receipt names',
    `message_id` String COMMENT 'message the receipt is about',
    `occurred_at` DateTime64(3, 'UTC') COMMENT 'when it happened, by the provider, UTC; its time to live counts from here',
    `attempt` Nullable(UInt8) COMMENT 'attempt it names; NULL: none',
    `status` LowCardinality(String) COMMENT 'status it gives, in our words, or unknown',
    `bounce` LowCardinality(String) COMMENT 'soft or hard, as it gives it; empty: not given',
    `scope` LowCardinality(String) COMMENT 'whose fault, as it gives it; empty: not given',
    `error_code` LowCardinality(String) COMMENT 'code of the provider; empty: none',
    `error_text` String COMMENT 'words of the provider; empty: none',
    `provider` LowCardinality(String) COMMENT 'the provider; empty: not given',
    `provider_message_id` String COMMENT 'id the provider gave the message; empty: unknown',
    `recipient` String COMMENT 'number the receipt names; empty: none',
    `part` Nullable(UInt8) COMMENT 'part of a long message it is about; NULL: the whole',
    `parts` Nullable(UInt8) COMMENT 'parts of the message; NULL: not given',
    `mccmnc` LowCardinality(String) COMMENT 'mobile country and network code; empty: not given',
    `price` Nullable(Decimal(18, 6)) COMMENT 'price it gives, with its sign; NULL: none',
    `currency` LowCardinality(String) COMMENT 'ISO 4217 of the price; empty: none',
    `received_at` Nullable(DateTime64(3, 'UTC')) COMMENT 'when the publisher received it, UTC; NULL: not given',
    `published_at` Nullable(DateTime64(3, 'UTC')) COMMENT 'Kafka timestamp of the record, UTC; NULL: none',
    `repaired` Array(LowCardinality(String)) COMMENT 'fields that were wrong and were mended or left out',
    `partition` Int32 COMMENT 'partition of its record in the topic receipts',
    `offset` Int64 COMMENT 'offset of its record',
    `provider_status` LowCardinality(String) COMMENT 'status in the provider\'s own word; empty: not given'
)
COMMENT 'Every receipt as it came, one row each, as long as events_days allow.'
AS SELECT
    account,
    message_id,
    occurred_at,
    nullIf(attempt, 0) AS attempt,
    status,
    bounce,
    scope,
    error_code,
    error_text,
    provider,
    provider_message_id,
    recipient,
    nullIf(part, 0) AS part,
    nullIf(parts, 0) AS parts,
    mccmnc,
    if(currency = '', NULL, price) AS price,
    currency,
    nullIf(received_at, toDateTime64(0, 3, 'UTC')) AS received_at,
    nullIf(published_at, toDateTime64(0, 3, 'UTC')) AS published_at,
    repaired,
    partition,
    offset,
    provider_status
FROM receipt_events
FINAL;

CREATE TABLE retry_requests
(
    `account` LowCardinality(String) COMMENT 'tenant the message belongs to',
    `message_id` String COMMENT 'message to send again',
    `attempt` UInt16 COMMENT 'attempt to make',
    `first_sent_at` DateTime64(3, 'UTC') COMMENT 'when attempt 1 was sent, UTC' CODEC(Delta(8), ZSTD(3)),
    `due_at` DateTime64(3, 'UTC') COMMENT 'when the attempt was due, UTC',
    `recipient` String COMMENT 'number to send to, E.164',
    `channel` LowCardinality(String) COMMENT 'sms or whatsapp',
    `published_at` DateTime64(3, 'UTC') COMMENT 'Kafka timestamp of the record, UTC; 1970: none',
    `version` UInt64 COMMENT 'the highest stands: the request published first'
)
ENGINE = ReplacingMergeTree(version)
PARTITION BY toYYYYMM(first_sent_at)
ORDER BY (account, message_id, attempt)
SETTINGS default_compression_codec = 'ZSTD(3)', index_granularity = 8192
COMMENT 'Retry requests as written: read retry_requests_current instead.';

CREATE VIEW retry_requests_current
(
    `id` String COMMENT 'id of the request: account, message_id and attempt',
    `account` LowCardinality(String) COMMENT 'tenant the message belongs to',
    `message_id` String COMMENT 'message to send again',
    `attempt` UInt16 COMMENT 'attempt to make',
    `first_sent_at` DateTime64(3, 'UTC') COMMENT 'when attempt 1 was sent, UTC',
    `due_at` DateTime64(3, 'UTC') COMMENT 'when the attempt was due, UTC',
    `recipient` String COMMENT 'number to send to, E.164',
    `channel` LowCardinality(String) COMMENT 'sms or whatsapp',
    `published_at` Nullable(DateTime64(3, 'UTC')) COMMENT 'Kafka timestamp of the record, UTC; NULL: none',
    `version` UInt64 COMMENT 'the highest wins: the request published first'
)
COMMENT 'Attempts requested of the senders, one row each.'
AS SELECT
    concat(account, '/', message_id, '/', toString(attempt)) AS id,
    account,
    message_id,
    attempt,
    first_sent_at,
    due_at,
    recipient,
    channel,
    nullIf(published_at, toDateTime64(0, 3, 'UTC')) AS published_at,
    version
FROM retry_requests
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

CREATE TABLE segments
(
    `account` LowCardinality(String) COMMENT 'tenant the segment belongs to',
    `name` String COMMENT 'name of the segment, unique in its account',
    `definition` String COMMENT 'who belongs to it, as JSON',
    `updated_at` DateTime64(3, 'UTC') COMMENT 'when it was saved last, UTC',
    `version` UInt64 COMMENT 'the highest stands: the segment saved last',
    `is_deleted` UInt8 COMMENT '1: the segment was deleted'
)
ENGINE = ReplacingMergeTree(version, is_deleted)
ORDER BY (account, name)
SETTINGS index_granularity = 8192
COMMENT 'Segments as saved: read segments_current instead.';

CREATE VIEW segments_current
(
    `account` LowCardinality(String) COMMENT 'tenant the segment belongs to',
    `name` String COMMENT 'name of the segment, unique in its account',
    `definition` String COMMENT 'who belongs to it, as JSON',
    `updated_at` DateTime64(3, 'UTC') COMMENT 'when it was saved last, UTC',
    `version` UInt64 COMMENT 'the highest wins: the segment saved last'
)
COMMENT 'Segments people made of recipients, one row each.'
AS SELECT
    account,
    name,
    definition,
    updated_at,
    version
FROM segments
FINAL;

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

CREATE TABLE strikes
(
    `account` LowCardinality(String) COMMENT 'tenant the message belongs to',
    `recipient` String COMMENT 'number that is struck, E.164, in its canonical spelling, or a user id of WhatsApp',
    `sent_at` DateTime64(3, 'UTC') COMMENT 'when attempt 1 of the message was sent, UTC' CODEC(Delta(8), ZSTD(3)),
    `message_id` String COMMENT 'the message',
    `struck` Bool COMMENT 'false: the strike was withdrawn',
    `occurred_at` DateTime64(3, 'UTC') COMMENT 'time of the receipt that struck, UTC',
    `code` LowCardinality(String) COMMENT 'code the provider gave; empty: none',
    `version` UInt64 COMMENT 'version of the message; the highest stands',
    `channel` LowCardinality(String) COMMENT 'channel it counts on; empty: all, as written before channels were known',
    INDEX by_message message_id TYPE bloom_filter(0.01) GRANULARITY 1
)
ENGINE = ReplacingMergeTree(version)
PARTITION BY toYYYYMM(sent_at)
ORDER BY (account, recipient, sent_at, message_id)
SETTINGS default_compression_codec = 'ZSTD(3)', index_granularity = 8192
COMMENT 'Strikes as written: read strikes_current instead.';

CREATE VIEW strikes_current
(
    `account` LowCardinality(String) COMMENT 'tenant the message belongs to',
    `recipient` String COMMENT 'number that is struck, E.164, in its canonical spelling, or a user id of WhatsApp',
    `sent_at` DateTime64(3, 'UTC') COMMENT 'when attempt 1 of the message was sent, UTC',
    `message_id` String COMMENT 'the message',
    `struck` Bool COMMENT 'false: the strike was withdrawn',
    `occurred_at` DateTime64(3, 'UTC') COMMENT 'time of the receipt that struck, UTC',
    `code` LowCardinality(String) COMMENT 'code the provider gave; empty: none',
    `version` UInt64 COMMENT 'version of the message; the highest wins',
    `channel` LowCardinality(String) COMMENT 'channel it counts on; empty: all, as written before channels were known'
)
COMMENT 'Messages that ended as hard and the recipient\'s own fault, one row each; withdrawn ones stay, with struck = false. Whether one counts depends on releases too: see suppressions.'
AS SELECT
    account,
    recipient,
    sent_at,
    message_id,
    struck,
    occurred_at,
    code,
    version,
    channel
FROM strikes
FINAL;

CREATE VIEW suppression_history
(
    `account` LowCardinality(String) COMMENT 'tenant the number is a recipient of',
    `recipient` String COMMENT 'the number, E.164, in its canonical spelling, or a user id of WhatsApp',
    `suppressed` Bool COMMENT 'whether it must not be sent to on this channel',
    `reasons` Array(LowCardinality(String)) COMMENT 'why: hard_bounces, unsubscribed, manual; empty: not suppressed',
    `since` Nullable(DateTime64(3, 'UTC')) COMMENT 'suppressed since, UTC; NULL: not suppressed',
    `until` Nullable(DateTime64(3, 'UTC')) COMMENT 'suppressed until, UTC; NULL: until released, or not suppressed',
    `strikes` UInt16 COMMENT 'strikes that counted then',
    `published_at` Nullable(DateTime64(3, 'UTC')) COMMENT 'Kafka timestamp of the record, UTC; NULL: none',
    `version` UInt64 COMMENT 'orders the writes of one number',
    `channel` LowCardinality(String) COMMENT 'channel it is about: sms or whatsapp',
    `binds` LowCardinality(String) COMMENT 'messages not to send: all, or marketing (all but verification messages); empty: not suppressed'
)
COMMENT 'Every change of a suppression that was published, one row for each channel. Changes made while no sink ran may be missing: the topic is compacted.'
AS SELECT
    account,
    recipient,
    suppressed,
    reasons,
    nullIf(since, toDateTime64(0, 3, 'UTC')) AS since,
    nullIf(until, toDateTime64(0, 3, 'UTC')) AS until,
    strikes,
    nullIf(published_at, toDateTime64(0, 3, 'UTC')) AS published_at,
    version,
    arrayJoin(if(stored.channel = '', ['sms', 'whatsapp'], [stored.channel])) AS channel,
    multiIf(NOT suppressed, '', stored.binds != '', stored.binds, reasons = ['unsubscribed'], 'marketing', 'all') AS binds
FROM suppression_versions AS stored
FINAL;

CREATE TABLE suppression_records
(
    `account` LowCardinality(String) COMMENT 'tenant the number is a recipient of',
    `recipient` String COMMENT 'the number, E.164, in its canonical spelling, or a user id of WhatsApp',
    `suppressed` Bool COMMENT 'whether it must not be sent to',
    `reasons` Array(LowCardinality(String)) COMMENT 'why: hard_bounces, unsubscribed, manual; empty: not suppressed',
    `since` DateTime64(3, 'UTC') COMMENT 'suppressed since, UTC; 1970: not suppressed',
    `until` DateTime64(3, 'UTC') COMMENT 'suppressed until, UTC; 1970: until released, or not suppressed',
    `strikes` UInt16 COMMENT 'strikes that count now',
    `published_at` DateTime64(3, 'UTC') COMMENT 'Kafka timestamp of the record, UTC; 1970: none',
    `version` UInt64 COMMENT 'orders the writes of one number; the highest stands',
    `channel` LowCardinality(String) COMMENT 'channel it is about; empty: all, as written before channels were known',
    `binds` LowCardinality(String) COMMENT 'messages not to send: all, or marketing (all but verification messages); empty: not suppressed'
)
ENGINE = ReplacingMergeTree(version)
PRIMARY KEY (account, recipient)
ORDER BY (account, recipient, channel)
SETTINGS default_compression_codec = 'ZSTD(3)', index_granularity = 8192
COMMENT 'Suppressions as written: read suppressions instead.';

CREATE TABLE suppression_requests
(
    `account` LowCardinality(String) COMMENT 'tenant the number is a recipient of',
    `recipient` String COMMENT 'the number, E.164, in its canonical spelling, or a user id of WhatsApp',
    `at` DateTime64(3, 'UTC') COMMENT 'when it was decided, UTC',
    `action` LowCardinality(String) COMMENT 'suppress, release, resubscribe or unsubscribe',
    `who` LowCardinality(String) COMMENT 'who decided; empty: not said',
    `why` String COMMENT 'why; of an unsubscribe through a message its message_id; empty: not said',
    `channel` LowCardinality(String) COMMENT 'channel it binds; empty: all'
)
ENGINE = ReplacingMergeTree
PRIMARY KEY (account, recipient, at)
ORDER BY (account, recipient, at, action, who, why, channel)
SETTINGS default_compression_codec = 'ZSTD(3)', index_granularity = 8192
COMMENT 'Suppression requests as written: read suppression_requests_current instead.';

CREATE VIEW suppression_requests_current
(
    `account` LowCardinality(String) COMMENT 'tenant the number is a recipient of',
    `recipient` String COMMENT 'the number, E.164, in its canonical spelling, or a user id of WhatsApp',
    `at` DateTime64(3, 'UTC') COMMENT 'when it was decided, UTC',
    `action` LowCardinality(String) COMMENT 'suppress, release, resubscribe or unsubscribe',
    `who` LowCardinality(String) COMMENT 'who decided; empty: not given',
    `why` String COMMENT 'why; for an unsubscribe through a message its message_id; empty: not given',
    `channel` LowCardinality(String) COMMENT 'channel it binds; empty: all'
)
COMMENT 'What people and recipients decided about numbers, one row a request.'
AS SELECT
    account,
    recipient,
    at,
    action,
    who,
    why,
    channel
FROM suppression_requests
FINAL;

CREATE TABLE suppression_versions
(
    `account` LowCardinality(String) COMMENT 'tenant the number is a recipient of',
    `recipient` String COMMENT 'the number, E.164',
    `suppressed` Bool COMMENT 'whether it must not be sent to',
    `reasons` Array(LowCardinality(String)) COMMENT 'why: hard_bounces, unsubscribed, manual; empty: not suppressed',
    `since` DateTime64(3, 'UTC') COMMENT 'suppressed since, UTC; 1970: not suppressed',
    `until` DateTime64(3, 'UTC') COMMENT 'suppressed until, UTC; 1970: until released, or not suppressed',
    `strikes` UInt16 COMMENT 'strikes that counted then',
    `published_at` DateTime64(3, 'UTC') COMMENT 'Kafka timestamp of the record, UTC; 1970: none',
    `version` UInt64 COMMENT 'orders the writes of one number',
    `channel` LowCardinality(String) COMMENT 'channel it is about; empty: all, as written before channels were known',
    `binds` LowCardinality(String) COMMENT 'messages not to send: all, or marketing (all but verification messages); empty: not suppressed'
)
ENGINE = ReplacingMergeTree
PRIMARY KEY (account, recipient, version)
ORDER BY (account, recipient, version, channel)
SETTINGS default_compression_codec = 'ZSTD(3)', index_granularity = 8192
COMMENT 'Suppressions as they were published, as written: read suppression_history instead.';

CREATE VIEW suppressions
(
    `account` LowCardinality(String) COMMENT 'tenant the number is a recipient of',
    `recipient` String COMMENT 'the number, E.164, in its canonical spelling, or a user id of WhatsApp',
    `suppressed` Bool COMMENT 'whether it must not be sent to on this channel',
    `reasons` Array(LowCardinality(String)) COMMENT 'why: hard_bounces, unsubscribed, manual; empty: not suppressed',
    `since` Nullable(DateTime64(3, 'UTC')) COMMENT 'suppressed since, UTC; NULL: not suppressed',
    `until` Nullable(DateTime64(3, 'UTC')) COMMENT 'suppressed until, UTC; NULL: until released, or not suppressed',
    `strikes` UInt16 COMMENT 'strikes that count now',
    `published_at` Nullable(DateTime64(3, 'UTC')) COMMENT 'Kafka timestamp of the record, UTC; NULL: none',
    `version` UInt64 COMMENT 'orders the writes of one number; the highest wins',
    `channel` LowCardinality(String) COMMENT 'channel it is about: sms or whatsapp',
    `binds` LowCardinality(String) COMMENT 'messages not to send: all, or marketing (all but verification messages); empty: not suppressed'
)
COMMENT 'Numbers that are or were suppressed or struck, one row for each number and channel, as they are now.'
AS SELECT
    account,
    recipient,
    suppressed,
    reasons,
    nullIf(since, toDateTime64(0, 3, 'UTC')) AS since,
    nullIf(until, toDateTime64(0, 3, 'UTC')) AS until,
    strikes,
    nullIf(published_at, toDateTime64(0, 3, 'UTC')) AS published_at,
    version,
    arrayJoin(if(stored.channel = '', ['sms', 'whatsapp'], [stored.channel])) AS channel,
    multiIf(NOT suppressed, '', stored.binds != '', stored.binds, reasons = ['unsubscribed'], 'marketing', 'all') AS binds
FROM
(
    SELECT
        *,
        max(version) OVER (PARTITION BY account, recipient) AS latest
    FROM suppression_records
    FINAL
) AS stored
WHERE version = latest;

CREATE TABLE unmatched_receipt_records
(
    `account` LowCardinality(String) COMMENT 'tenant whose endpoint the provider called',
    `id` String COMMENT 'the same for every record about a receipt: a digest of its content',
    `received_at` DateTime64(3, 'UTC') COMMENT 'when the provider called, UTC; its time to live counts from here' CODEC(Delta(8), ZSTD(3)),
    `message_id` String COMMENT 'its message, found after all; empty: not known',
    `reported` Bool COMMENT 'whether it was ever without its message; false: found at once, written since it may wait under another key',
    `at` DateTime64(3, 'UTC') COMMENT 'when it was reported, or found, UTC',
    `endpoint` LowCardinality(String) COMMENT 'endpoint that the provider called',
    `provider` LowCardinality(String) COMMENT 'provider whose table of codes explains it',
    `provider_message_id` String COMMENT 'id the provider gave the message; empty: none',
    `reference` String COMMENT 'reference that the provider repeats; empty: none',
    `recipient` String COMMENT 'number the receipt names; empty: none',
    `status` LowCardinality(String) COMMENT 'status it gives, in our words, or unknown',
    `provider_status` LowCardinality(String) COMMENT 'status it gives, in the provider\'s own word; empty: none',
    `error_code` LowCardinality(String) COMMENT 'code of the provider; empty: none',
    `error_text` String COMMENT 'words of the provider; empty: none',
    `occurred_at` DateTime64(3, 'UTC') COMMENT 'when it happened, by the provider, UTC; 1970: not given',
    `version` UInt64 COMMENT 'the highest wins: a row with a message, then the later at'
)
ENGINE = ReplacingMergeTree(version)
PARTITION BY toDate(received_at)
ORDER BY (account, id)
TTL toDateTime(received_at) + toIntervalDay(30)
SETTINGS default_compression_codec = 'ZSTD(3)', ttl_only_drop_parts = 1, index_granularity = 8192
COMMENT 'Receipts without a message as written: read unmatched_receipts instead.';

CREATE VIEW unmatched_receipts
(
    `account` LowCardinality(String) COMMENT 'tenant whose endpoint the provider called',
    `id` String COMMENT 'the same for every record about a receipt: a digest of its content',
    `received_at` DateTime64(3, 'UTC') COMMENT 'when the provider called, UTC; its time to live counts from here',
    `found` Bool COMMENT 'whether its message was found after all',
    `message_id` String COMMENT 'its message, found after all; empty: not known',
    `at` DateTime64(3, 'UTC') COMMENT 'when it was reported, or found, UTC',
    `endpoint` LowCardinality(String) COMMENT 'endpoint that the provider called',
    `provider` LowCardinality(String) COMMENT 'provider whose table of codes explains it',
    `provider_message_id` String COMMENT 'id the provider gave the message; empty: none',
    `reference` String COMMENT 'reference that the provider repeats; empty: none',
    `recipient` String COMMENT 'number the receipt names; empty: none',
    `status` LowCardinality(String) COMMENT 'status it gives, in our words, or unknown',
    `provider_status` LowCardinality(String) COMMENT 'status it gives, in the provider\'s own word; empty: none',
    `error_code` LowCardinality(String) COMMENT 'code of the provider; empty: none',
    `error_text` String COMMENT 'words of the provider; empty: none',
    `occurred_at` Nullable(DateTime64(3, 'UTC')) COMMENT 'when it happened, by the provider, UTC; NULL: not given'
)
COMMENT 'Receipts that were reported without their message, one row each, as long as events_days allow; found: what became of them.'
AS SELECT
    account,
    id,
    received_at,
    message_id != '' AS found,
    message_id,
    at,
    endpoint,
    provider,
    provider_message_id,
    reference,
    recipient,
    status,
    provider_status,
    error_code,
    error_text,
    nullIf(occurred_at, toDateTime64(0, 3, 'UTC')) AS occurred_at
FROM unmatched_receipt_records
FINAL
WHERE reported;

