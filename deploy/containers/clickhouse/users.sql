-- The user of the report pages and of `receipts report`: it reads tables and views, and saves
-- segments. Run it as a user who may create users; repeating it is safe:
--
--   (echo "SET param_password = 'a long one';"; cat deploy/containers/clickhouse/users.sql) | CLICKHOUSE_PASSWORD=... clickhouse-client --user receipts
--
-- then configure the pages:
--   RECEIPTS_PAGES_CLICKHOUSE_URL=http://reports_pages:PASSWORD@clickhouse:8123/receipts
-- Replace `receipts` if the database has another name.
CREATE SETTINGS PROFILE IF NOT EXISTS reports_reader SETTINGS
    allow_ddl = 0 CONST,
    max_execution_time = 300 MIN 1 MAX 3600,
    max_memory_usage = 4000000000 MIN 1000000 MAX 8000000000,
    max_concurrent_queries_for_user = 32 CONST;

CREATE ROLE IF NOT EXISTS reports_reader SETTINGS PROFILE 'reports_reader';

GRANT SELECT ON receipts.* TO reports_reader;

-- One-time codes: nobody with this role reads the texts of verification messages, in tables, views or
-- reports. An installation that shows them (RECEIPTS_SHOW_VERIFICATION_TEXT) drops the second policy.
CREATE ROW POLICY IF NOT EXISTS everybody ON receipts.message_texts USING 1 TO ALL;

CREATE ROW POLICY IF NOT EXISTS no_verification_texts ON receipts.message_texts
    USING source NOT IN ('verification', 'open_api_verification') AS RESTRICTIVE TO reports_reader;

-- Refused records of all accounts: not for users of reports.
REVOKE SELECT ON receipts.dead_letters, SELECT ON receipts.dead_letter_records FROM reports_reader;

CREATE USER IF NOT EXISTS reports_pages IDENTIFIED WITH sha256_password BY {password:String}
    DEFAULT ROLE reports_reader SETTINGS PROFILE 'reports_reader';

GRANT reports_reader TO reports_pages;

-- Pages write nothing else. Without it segments cannot be saved.
GRANT INSERT ON receipts.segments TO reports_pages;
