-- A user for the BI tool of one account: it can read only, and rows of that account only, in every
-- view and every report. Write the account for ACCOUNT and a name for `acme_analyst`, then run it
-- after users.sql:
--
--   clickhouse-client --user receipts --password --param_password='a long one' < analyst.sql
CREATE USER IF NOT EXISTS acme_analyst IDENTIFIED WITH sha256_password BY {password:String}
    DEFAULT ROLE reports_reader SETTINGS readonly = 2 CONST, PROFILE 'reports_reader';

GRANT reports_reader TO acme_analyst;

-- A table with a policy shows its rows only to those whom a policy lets see them: first all users.
-- (The server's own configuration usually does so too.)
CREATE ROW POLICY IF NOT EXISTS everybody ON
    receipts.accounts,
    receipts.campaigns,
    receipts.engagements,
    receipts.message_texts,
    receipts.messages,
    receipts.orphans,
    receipts.retry_requests,
    receipts.segments,
    receipts.status_counters,
    receipts.strikes,
    receipts.suppression_records,
    receipts.suppression_requests,
    receipts.suppression_versions
    USING 1 TO ALL;

-- Then less for this one. Views ask with the rights of whoever asks them, so it holds in views too.
CREATE ROW POLICY IF NOT EXISTS acme_analyst ON
    receipts.accounts,
    receipts.campaigns,
    receipts.engagements,
    receipts.message_texts,
    receipts.messages,
    receipts.orphans,
    receipts.retry_requests,
    receipts.segments,
    receipts.status_counters,
    receipts.strikes,
    receipts.suppression_records,
    receipts.suppression_requests,
    receipts.suppression_versions
    USING account = 'ACCOUNT' AS RESTRICTIVE TO acme_analyst;
