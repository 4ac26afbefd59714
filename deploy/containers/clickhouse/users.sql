-- The user of the report pages and of `receipts report`: it reads the tables and views, and saves
-- segments. Run it once, as a user who may make users; it may be run again:
--
--   clickhouse-client --user receipts --password --param_password='a long one' < deploy/containers/clickhouse/users.sql
--
-- then give it to the pages:
--   RECEIPTS_PAGES_CLICKHOUSE_URL=http://reports_pages:PASSWORD@clickhouse:8123/receipts
-- The database is `receipts` here; write yours where it has another name.
CREATE SETTINGS PROFILE IF NOT EXISTS reports_reader SETTINGS
    allow_ddl = 0 CONST,
    max_execution_time = 300 MIN 1 MAX 3600,
    max_memory_usage = 4000000000 MIN 1000000 MAX 8000000000,
    max_concurrent_queries_for_user = 32 CONST;

CREATE ROLE IF NOT EXISTS reports_reader SETTINGS PROFILE 'reports_reader';

GRANT SELECT ON receipts.* TO reports_reader;

-- Refused records of all accounts, as they came: not for people who look at reports.
REVOKE SELECT ON receipts.dead_letters, SELECT ON receipts.dead_letter_records FROM reports_reader;

CREATE USER IF NOT EXISTS reports_pages IDENTIFIED WITH sha256_password BY {password:String}
    DEFAULT ROLE reports_reader SETTINGS PROFILE 'reports_reader';

GRANT reports_reader TO reports_pages;

-- The only thing that pages write. Without it segments cannot be saved, and all else works.
GRANT INSERT ON receipts.segments TO reports_pages;
