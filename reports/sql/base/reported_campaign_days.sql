-- Which days a campaign was sent on, without a look at its messages. Old versions of the counters are
-- read too, on purpose: a cell that became zero may only make the span longer, never too short.
CREATE OR REPLACE VIEW reported_campaign_days
(
    account     LowCardinality(String) COMMENT 'tenant the campaign belongs to',
    campaign_id LowCardinality(String) COMMENT 'the campaign',
    since       DateTime64(3, 'UTC') COMMENT 'start of the first UTC day it was sent on',
    until       DateTime64(3, 'UTC') COMMENT 'end of the last UTC day it was sent on: no message was sent at this moment or later'
)
AS SELECT
    account,
    campaign_id,
    min(window_start) AS since,
    max(window_start) + INTERVAL 1 DAY AS until
FROM status_counters
WHERE kind = 'campaign'
GROUP BY account, campaign_id
COMMENT 'The span of days of each campaign, from the counters: bounds for queries about its messages.';
