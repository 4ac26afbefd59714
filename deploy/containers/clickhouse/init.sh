#!/bin/sh
# Run by the official image of ClickHouse when it starts for the first time: makes the user of the
# report pages. On a server that holds data already, run users.sql by hand.
set -eu
clickhouse-client --user "$CLICKHOUSE_USER" --password "$CLICKHOUSE_PASSWORD" \
  --param_password="$PAGES_CLICKHOUSE_PASSWORD" --queries-file /etc/receipts/users.sql
