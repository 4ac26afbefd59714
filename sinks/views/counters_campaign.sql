CREATE OR REPLACE VIEW counters_campaign
(
    account          LowCardinality(String) COMMENT 'tenant the messages belong to',
    campaign_id      LowCardinality(String) COMMENT 'the campaign',
    /*include count_columns*/
)
AS SELECT
    account,
    campaign_id,
    /*include count_sums*/
FROM status_counters AS cells FINAL
WHERE kind = 'campaign'
GROUP BY account, campaign_id
HAVING messages > 0
COMMENT 'Messages by current status in each campaign.';
