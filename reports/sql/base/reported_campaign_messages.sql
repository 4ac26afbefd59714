-- The messages of campaigns, found by the days the counters know: a campaign is looked up in its own
-- days, not in the whole history of its account.
CREATE OR REPLACE VIEW reported_campaign_messages
(
    /*include message_columns*/
)
AS SELECT *
FROM reported_messages
WHERE account = {account:String}
    AND is_sent
    AND has({campaigns:Array(String)}, campaign_id)
    AND toDate(sent_at) IN (
        SELECT day FROM reported_campaign_days
        WHERE account = {account:String} AND has({campaigns:Array(String)}, campaign_id)
    )
COMMENT 'Outbound messages of some campaigns of an account, as they stand now.';
