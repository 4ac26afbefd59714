#!/bin/sh
# The official image of ClickHouse runs this at its first start: creates the users of the report
# pages and of Grafana. On a server that already has data, run both files by hand.
set -eu
run() { # run <file> <password of the user it creates>
  clickhouse-client --user "$CLICKHOUSE_USER" --password "$CLICKHOUSE_PASSWORD" \
    --param_password="$2" --queries-file "$1"
}
run /etc/receipts/users.sql "$PAGES_CLICKHOUSE_PASSWORD"
run /etc/receipts/grafana.sql "$GRAFANA_CLICKHOUSE_PASSWORD"
