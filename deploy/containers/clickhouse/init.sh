#!/bin/sh
# The official image of ClickHouse runs this at its first start: creates the users of the report
# pages and of Grafana. On a server that already has data, run both files by hand.
set -eu

# Passwords are not among the arguments, which every process of a machine can read: the client takes
# CLICKHOUSE_USER and CLICKHOUSE_PASSWORD from the environment, and the new user's from its input.
# A parameter is unescaped twice: as a literal, then as a parameter.
create() { # create <file> <password of the user it creates>
  quoted=$(printf '%s' "$2" | sed -e 's/\\/\\\\/g' -e "s/[\\\\']/\\\\&/g")
  {
    printf "SET param_password = '%s';\n" "$quoted"
    cat "$1"
  } | clickhouse-client
}
create /etc/receipts/users.sql "$PAGES_CLICKHOUSE_PASSWORD"
create /etc/receipts/grafana.sql "$GRAFANA_CLICKHOUSE_PASSWORD"
