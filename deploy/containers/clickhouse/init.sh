#!/bin/sh
# The official image of ClickHouse runs this at its first start: creates the user of the report
# pages. On a server that already has data, run users.sql by hand.
set -eu
clickhouse-client --user "$CLICKHOUSE_USER" --password "$CLICKHOUSE_PASSWORD" \
  --param_password="$PAGES_CLICKHOUSE_PASSWORD" --queries-file /etc/receipts/users.sql
