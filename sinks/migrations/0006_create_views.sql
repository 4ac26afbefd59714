-- What people and BI tools read: one row each, FINAL inside, NULL for times that have not come.
-- Times alias themselves, so a filter on them sees NULL and not 1970.
CREATE OR REPLACE VIEW messages_current AS
SELECT
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
FROM messages FINAL
COMMENT 'One row a message, as it stands now. Start here.';

CREATE OR REPLACE VIEW orphans_current AS
SELECT
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
FROM orphans FINAL
COMMENT 'Messages known by receipts only: their send has not come (yet), or came before the states were dropped.';

CREATE OR REPLACE VIEW message_texts_current AS
SELECT
    account,
    message_id,
    attempt,
    sent_at,
    text,
    version
FROM message_texts FINAL
COMMENT 'Text of every attempt, as long as text_days allow.';

CREATE OR REPLACE VIEW engagements_current AS
SELECT
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
FROM engagements FINAL
COMMENT 'Clicks and unsubscribes, one row an event.';

CREATE OR REPLACE VIEW campaigns_current AS
SELECT
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
COMMENT 'Campaigns as they stand now.';

CREATE OR REPLACE VIEW counters_hour AS
SELECT
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
    submitted + queued + delivered + read + undelivered_soft + undelivered_hard + expired + rejected + deleted AS messages
FROM status_counters AS cells FINAL
WHERE kind = 'hour'
GROUP BY account, window_start, channel, source, country, provider
COMMENT 'Messages by current status in each hour of sent_at. Inbound messages and orphans are not counted.';

CREATE OR REPLACE VIEW counters_day AS
SELECT
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
    submitted + queued + delivered + read + undelivered_soft + undelivered_hard + expired + rejected + deleted AS messages
FROM status_counters AS cells FINAL
WHERE kind = 'day'
GROUP BY account, window_start, channel, source, country, provider
COMMENT 'Messages by current status in each UTC day of sent_at. Inbound messages and orphans are not counted.';

CREATE OR REPLACE VIEW counters_campaign AS
SELECT
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
    submitted + queued + delivered + read + undelivered_soft + undelivered_hard + expired + rejected + deleted AS messages
FROM status_counters AS cells FINAL
WHERE kind = 'campaign'
GROUP BY account, campaign_id
COMMENT 'Messages by current status in each campaign.';

CREATE OR REPLACE VIEW dead_letters AS
SELECT
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
FROM dead_letter_records FINAL
COMMENT 'Records nobody could use, one row each, with the reason and the original bytes.';
