-- A user for the sink alone, with RECEIPTS_MIGRATE_ON_START=false: it inserts rows and reads which
-- migrations are applied. Migrations need the rights of the database's owner; run them as another
-- user. Replace `receipts` if the database has another name.
--
--   (echo "SET param_password = 'a long one';"; cat deploy/containers/clickhouse/sink.sql) | CLICKHOUSE_PASSWORD=... clickhouse-client --user receipts
CREATE ROLE IF NOT EXISTS receipts_writer;

GRANT SELECT ON receipts.schema_migrations TO receipts_writer;

GRANT INSERT ON receipts.* TO receipts_writer;

REVOKE INSERT ON receipts.schema_migrations, INSERT ON receipts.segments FROM receipts_writer;

-- For the metrics of parts and of delayed and rejected inserts; without it they are missing.
GRANT SELECT ON system.parts TO receipts_writer;
GRANT SELECT ON system.metrics TO receipts_writer;
GRANT SELECT ON system.events TO receipts_writer;

CREATE USER IF NOT EXISTS receipts_sink IDENTIFIED WITH sha256_password BY {password:String}
    DEFAULT ROLE receipts_writer;

GRANT receipts_writer TO receipts_sink;
