-- Which days a campaign was sent on, without a look at its messages. Old versions of the counters are
-- read too, on purpose: a cell that became zero may only add a day, never hide one.
CREATE OR REPLACE VIEW reported_campaign_days
(
    account     LowCardinality(String) COMMENT 'tenant the campaign belongs to',
    campaign_id LowCardinality(String) COMMENT 'the campaign',
    day         Date COMMENT 'a UTC day that messages of it were sent on'
)
AS SELECT
    account,
    campaign_id,
    toDate(window_start) AS day
FROM status_counters
WHERE kind = 'campaign'
COMMENT 'The days each campaign was sent on, from the counters, some of them more than once: bounds for queries about its messages.';
