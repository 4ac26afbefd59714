#!/bin/sh
# The official image of ClickHouse runs this at its first start: creates the user of the report
# pages. On a server that already has data, run users.sql by hand.
set -eu
# Passwords are not among the arguments, which every process of a machine can read: the client takes
# CLICKHOUSE_USER and CLICKHOUSE_PASSWORD from the environment, and the new user's from its input.
# A parameter is unescaped twice: as a literal, then as a parameter.
quoted=$(printf '%s' "$PAGES_CLICKHOUSE_PASSWORD" | sed -e 's/\\/\\\\/g' -e "s/[\\\\']/\\\\&/g")
{
  printf "SET param_password = '%s';\n" "$quoted"
  cat /etc/receipts/users.sql
} | clickhouse-client
