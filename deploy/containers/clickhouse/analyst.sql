-- A read-only user for the BI tool of one account. It sees only rows of that account, in every view
-- and report. Replace ACCOUNT by the account and `acme_analyst` by a name, then run it after
-- users.sql:
--
--   (echo "SET param_password = 'a long one';"; cat analyst.sql) | CLICKHOUSE_PASSWORD=... clickhouse-client --user receipts
CREATE USER IF NOT EXISTS acme_analyst IDENTIFIED WITH sha256_password BY {password:String}
    DEFAULT ROLE reports_reader SETTINGS readonly = 2 CONST, PROFILE 'reports_reader';

GRANT reports_reader TO acme_analyst;

-- A table with a row policy hides its rows from users without one: first allow all users. (The
-- configuration of the server usually does so too.)
CREATE ROW POLICY IF NOT EXISTS everybody ON
    receipts.accounts,
    receipts.campaigns,
    receipts.engagements,
    receipts.message_texts,
    receipts.messages,
    receipts.orphans,
    receipts.receipt_events,
    receipts.retry_requests,
    receipts.segments,
    receipts.status_counters,
    receipts.strikes,
    receipts.suppression_records,
    receipts.suppression_requests,
    receipts.suppression_versions,
    receipts.unmatched_receipt_records
    USING 1 TO ALL;

-- Then restrict this user. Views run with the rights of the user who queries them, so the
-- restriction applies in views too.
CREATE ROW POLICY IF NOT EXISTS acme_analyst ON
    receipts.accounts,
    receipts.campaigns,
    receipts.engagements,
    receipts.message_texts,
    receipts.messages,
    receipts.orphans,
    receipts.receipt_events,
    receipts.retry_requests,
    receipts.segments,
    receipts.status_counters,
    receipts.strikes,
    receipts.suppression_records,
    receipts.suppression_requests,
    receipts.suppression_versions,
    receipts.unmatched_receipt_records
    USING account = 'ACCOUNT' AS RESTRICTIVE TO acme_analyst;
