-- The read-only user of the dashboards in deploy/monitoring/grafana. It sees all accounts; for a
-- Grafana that shows one account only, use the user of analyst.sql. Run it after users.sql, as a user
-- who may create users; repeating it is safe:
--
--   (echo "SET param_password = 'a long one';"; cat deploy/containers/clickhouse/grafana.sql) | CLICKHOUSE_PASSWORD=... clickhouse-client --user receipts
--
-- The plugin sets max_execution_time for each query: readonly = 2 allows that, and no writing.
CREATE USER IF NOT EXISTS grafana IDENTIFIED WITH sha256_password BY {password:String}
    DEFAULT ROLE reports_reader SETTINGS readonly = 2 CONST, PROFILE 'reports_reader';

GRANT reports_reader TO grafana;
