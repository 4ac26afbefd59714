"""Reads schema, tables and suppressed recipients from ClickHouse. Blocking; it changes nothing."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from deploy.diagnosis.readings import Database, Table
from deploy.diagnosis.steps import Steps, connect_clickhouse
from sinks.client import ClickHouse
from sinks.errors import SinkError
from sinks.migrate import load, status

#: Inserted parts have level 0. Merged ones stay listed for old_parts_lifetime (480 s by default).
_TABLES: Final = """
SELECT
    table,
    sum(active_rows),
    max(active_parts),
    dateDiff('second', max(written_at), now()),
    sum(recent_rows)
FROM (
    SELECT
        table,
        sumIf(rows, active) AS active_rows,
        countIf(active) AS active_parts,
        max(modification_time) AS written_at,
        sumIf(rows, level = 0 AND modification_time > now() - 60) AS recent_rows
    FROM system.parts
    WHERE database = {database:String} AND table != 'schema_migrations'
    GROUP BY table, partition_id
)
GROUP BY table ORDER BY table
"""
_LIMITS: Final = """
SELECT name, toInt64(value) FROM system.merge_tree_settings
WHERE name IN ('parts_to_delay_insert', 'old_parts_lifetime')
"""
_SUPPRESSED: Final = "SELECT channel, count() FROM suppressions WHERE suppressed GROUP BY channel"
_MINUTE_S: Final = 60


def read_clickhouse(url: str) -> Database:
    """Everything about ClickHouse but the suppressed recipients.

    Raises Unavailable when it does not answer, Broken when it refuses.
    """
    clickhouse = connect_clickhouse(url)
    try:
        return _read(clickhouse)
    finally:
        clickhouse.close()


def read_suppressed(url: str) -> dict[str, int]:
    """Suppressed recipients by channel. Raises SinkError."""
    clickhouse = connect_clickhouse(url)
    try:
        return dict(clickhouse.rows(_SUPPRESSED))
    finally:
        clickhouse.close()


def _read(clickhouse: ClickHouse) -> Database:
    steps = Steps()
    if not clickhouse.has_database():
        missing = tuple(migration.name for migration in load())
        return Database("", missing, (), (), "", (), None, None, ())

    def rows(name: str, sql: str) -> list[tuple[Any, ...]] | None:
        database = {"database": clickhouse.database}
        return steps.run(name, lambda: clickhouse.rows(sql, database), SinkError)

    ((version,),) = clickhouse.rows("SELECT version()")
    migrations = steps.run("migrations", lambda: status(clickhouse, load()), SinkError) or []

    def named(state: str) -> tuple[str, ...]:
        return tuple(each.name for each in migrations if each.state == state)

    limits = dict(rows("limits of parts", _LIMITS) or ())
    counts_inserts = limits.get("old_parts_lifetime", 0) > _MINUTE_S
    return Database(
        version=version,
        pending=named("pending"),
        edited=named("edited"),
        newer=named("unknown"),
        schema=max(named("applied") + named("unknown"), default=""),
        tables=_tables(rows("parts of tables", _TABLES) or (), counts_inserts),
        parts_limit=limits.get("parts_to_delay_insert"),
        suppressed=None,
        unread=tuple(steps.unread),
    )


def _tables(rows: Sequence[tuple[Any, ...]], counts_inserts: bool) -> tuple[Table, ...]:
    return tuple(
        Table(name, stored, parts, float(written_s), recent if counts_inserts else None)
        for name, stored, parts, written_s, recent in rows
        if parts
    )
