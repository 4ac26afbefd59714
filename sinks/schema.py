"""The schema after all migrations: as SQL (`migrations/schema.sql`) and as a page (docs/schema.md).

`python -m sinks.schema` writes both from a migrated database of the embedded engine; a test keeps
them current.
"""

import tempfile
from pathlib import Path
from typing import Final

from models.settings import TEXT_DAYS
from sinks.client import ClickHouse, connect
from sinks.migrate import DIRECTORY, migrate

DUMP: Final = DIRECTORY / "schema.sql"
_DOCS: Final = Path(__file__).parents[1] / "docs"
PAGE: Final = _DOCS / "schema.md"
#: What precedes the views and tables on the page.
HEAD: Final = _DOCS / "templates" / "schema.md"

_TABLES: Final = """
SELECT name, engine, comment, partition_key, sorting_key, formatQuery(create_table_query)
FROM system.tables WHERE database = {database:String} ORDER BY name
"""
_COLUMNS: Final = """
SELECT table, name, type, comment
FROM system.columns WHERE database = {database:String} ORDER BY table, position
"""


def dump(clickhouse: ClickHouse) -> str:
    """All tables and views as SQL, without the name of the database, in order of their names."""
    tables = clickhouse.rows(_TABLES, {"database": clickhouse.database})
    texts = [str(table[-1]).replace(f"{clickhouse.database}.", "") for table in tables]
    return "-- Migrations and views lead to this (python -m sinks.schema).\n\n" + "".join(
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
    return f"{HEAD.read_text('utf-8')}\n{body}".rstrip() + "\n"


def main() -> None:
    """Write both files."""
    with tempfile.TemporaryDirectory() as folder:
        clickhouse = connect(f"chdb://{folder}")
        migrate(clickhouse, TEXT_DAYS)
        DUMP.write_text(dump(clickhouse), encoding="utf-8")
        PAGE.write_text(page(clickhouse), encoding="utf-8")
        clickhouse.close()


if __name__ == "__main__":
    main()
