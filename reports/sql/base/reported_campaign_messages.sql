-- The messages of campaigns, found by the days the counters know: a campaign is looked up in its own
-- days, not in the whole history of its account. Old versions of the counters are read too, on purpose:
-- a cell that became zero may only add a day, never hide one.
CREATE OR REPLACE VIEW reported_campaign_messages
(
    /*include reported_columns*/
)
AS SELECT *
FROM reported_messages
WHERE account = {account:String}
    AND is_sent
    AND has({campaigns:Array(String)}, campaign_id)
    AND toDate(sent_at) IN (
        /*include campaign_days*/
    )
COMMENT 'Outbound messages of some campaigns of an account, as they are now.';
