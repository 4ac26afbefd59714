"""What the migrations lead to: as SQL (`migrations/schema.sql`) and as a page (`docs/schema.md`).

Both are made from a migrated database, so they cannot say what is not there; a test keeps them
current. `python -m sinks.schema` writes both, with the embedded engine.
"""

import tempfile
from pathlib import Path
from typing import Final

from sinks.client import ClickHouse, connect
from sinks.migrate import DIRECTORY, migrate

DUMP: Final = DIRECTORY / "schema.sql"
PAGE: Final = Path(__file__).parents[1] / "docs" / "schema.md"
_DEFAULT_TEXT_DAYS: Final = 90

_TABLES: Final = """
SELECT name, engine, comment, partition_key, sorting_key, formatQuery(create_table_query)
FROM system.tables WHERE database = {database:String} ORDER BY name
"""
_COLUMNS: Final = """
SELECT table, name, type, comment
FROM system.columns WHERE database = {database:String} ORDER BY table, position
"""

_INTRODUCTION: Final = """# Schema

Made from the comments in `sinks/migrations/` by `python -m sinks.schema`; a test keeps it current.

People and BI tools read the views; their names, columns and order are stable. The tables behind
them hold every version of a row that was written and not yet merged away, and may change. The views
of the reports are in [reports.md](reports.md), how to connect BI tools in [bi.md](bi.md).

- Every time is UTC with milliseconds. In views, NULL is a time that has not come; in tables, 1970.
- An empty text is "unknown" or "none"; texts are never NULL, except in `dead_letters`.
- Filter `messages_current` by `account` and `sent_at` where you can: both stand in the sort key, so
  ClickHouse skips the rest. `message_id`, `recipient` and `external_id` have bloom filters.
- When you query a table yourself, write `FINAL`, and keep `PREWHERE` to columns that never change:
  on `status` and the like it silently counts old versions.

## How rows get here

The sink writes columns (lists of Python values; times and counts as integers), at most
`RECEIPTS_SINK_MAX_ROWS` in one insert. Measured on one machine with 34 columns and 20,000 rows an
insert: column lists with integers 178,000-233,000 rows/s, the same as Arrow tables made from the
same lists (178,000-197,000), so there is no Arrow in the dependencies. The five columns of
migration 0007 cost nothing that could be measured (4.0 µs CPU a row with and without them), nor did
words written as plain strings gain anything.

Writing a row twice changes nothing: each table is a ReplacingMergeTree, and the row with the
highest `version` stands whatever the order of arrival. For texts, engagements and retry requests
the version is larger for the smaller time: of contradicting events the earliest stands, as in the
message state; of a retry request published twice the first, as for the senders. For accounts it is
the offset: the record published last stands, as for the workers, whatever its `updated_at`.
A message whose `sent_at` moves (contradicting sends) gets a row under the new sort key and one with
`is_deleted = 1` under the old one; an orphan that finds its send is deleted the same way.

Some records have no row on purpose; `receipts_sink_skipped_total` counts them. Records without a
value (tombstones) of `message-states`, `status-counters`, `campaigns` and `suppressions`: their
rows stay. In `accounts` such a record withdraws the settings, and the row leaves the view. Records
of `strikes` that tell of a delivery: they are no strikes. What the contract refuses in `sends`,
`engagements`, `strikes` and `suppression-requests`: the worker sends it to `dead-letters`. Refused
`campaigns` and `accounts`, and rows that ClickHouse refuses, the sink sends there itself.

## What changed

0007: `fail_reason` is now the reason in words for people, and the provider's words, which it held
before, are in `error_text`. Rows from before show the provider's words in both, until their message
is written again. New columns stand at the end of the views, so those before keep their places.

"""


def dump(clickhouse: ClickHouse) -> str:
    """All tables and views as SQL, without the name of the database, in order of their names."""
    tables = clickhouse.rows(_TABLES, {"database": clickhouse.database})
    texts = [str(table[-1]).replace(f"{clickhouse.database}.", "") for table in tables]
    return "-- What all migrations lead to (made by python -m sinks.schema).\n\n" + "".join(
        f"{text};\n\n" for text in texts
    )


def page(clickhouse: ClickHouse) -> str:
    """The page docs/schema.md: views first, then tables, every column with its meaning."""
    columns: dict[str, list[str]] = {}
    for table, name, kind, meaning in clickhouse.rows(_COLUMNS, {"database": clickhouse.database}):
        columns.setdefault(table, []).append(f"| `{name}` | {kind} | {meaning} |\n")
    views: list[str] = []
    tables: list[str] = []
    for name, engine, meaning, partition, order, _ in clickhouse.rows(
        _TABLES, {"database": clickhouse.database}
    ):
        keys = f"Engine {engine}, ORDER BY ({order})" + (
            partition and f", PARTITION BY {partition}"
        )
        facts = meaning if engine == "View" else f"{meaning} {keys}."
        table = "| column | type | meaning |\n|---|---|---|\n" + "".join(columns[name])
        (views if engine == "View" else tables).append(f"### {name}\n\n{facts}\n\n{table}\n")
    body = "## Views\n\n" + "".join(views) + "## Tables\n\n" + "".join(tables)
    return (_INTRODUCTION + body).rstrip() + "\n"


def main() -> None:
    """Write both files."""
    with tempfile.TemporaryDirectory() as folder:
        clickhouse = connect(f"chdb://{folder}")
        migrate(clickhouse, _DEFAULT_TEXT_DAYS)
        DUMP.write_text(dump(clickhouse), encoding="utf-8")
        PAGE.write_text(page(clickhouse), encoding="utf-8")
        clickhouse.close()


if __name__ == "__main__":
    main()
