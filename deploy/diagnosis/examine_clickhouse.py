"""Examines ClickHouse as one of its users: schema, rights, clock, disks. Blocking."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any, Final

from clickhouse_connect.driver.binding import quote_identifier

from deploy.diagnosis.examination import Area, Disk, ExaminedClickHouse, Skipped
from deploy.diagnosis.steps import Steps, connect_clickhouse
from models.settings import Settings
from sinks.client import ClickHouse
from sinks.errors import SinkError
from sinks.migrate import load, status
from sinks.tables import ALL

SINK: Final = "RECEIPTS_CLICKHOUSE_URL"
REPORTS: Final = "RECEIPTS_PAGES_CLICKHOUSE_URL"

#: Of a sink that migrates, on all tables and on the database.
_OWNER_RIGHTS: Final = ("SELECT", "INSERT")
_MIGRATION_RIGHTS: Final = ("CREATE TABLE", "CREATE VIEW", "DROP VIEW", "ALTER TABLE")

_NOW: Final = "SELECT version(), toUnixTimestamp64Milli(now64(3))"
_DISKS: Final = "SELECT name, total_space, free_space FROM system.disks"


def examine_clickhouse(settings: Settings, name: str) -> ExaminedClickHouse:
    """Everything about one of the two connections. Raises SinkError when it cannot be made."""
    url = settings.sink_url if name == SINK else settings.reports_url
    clickhouse = connect_clickhouse(url)
    try:
        return _examine(clickhouse, name, migrates=settings.migrate_on_start)
    finally:
        clickhouse.close()


def _examine(clickhouse: ClickHouse, name: str, *, migrates: bool) -> ExaminedClickHouse:
    steps = Steps()
    if not clickhouse.has_database():
        return _without_database(clickhouse, name)
    began = time.time()
    ((version, now_ms),) = clickhouse.rows(_NOW)
    ended = time.time()
    migrations = steps.run("schema", lambda: status(clickhouse, load()), SinkError) or []
    by_state = {
        state: tuple(each.name for each in migrations if each.state == state)
        for state in ("applied", "pending", "edited", "unknown")
    }
    needed = _sink_needs(clickhouse, migrates) if name == SINK else _reports_need(clickhouse)
    missing = steps.run("rights", lambda: _missing(clickhouse, needed), SinkError)
    disks = steps.run("disk", lambda: clickhouse.rows(_DISKS), SinkError) or []
    return ExaminedClickHouse(
        name=name,
        version=version,
        ahead_s=now_ms / 1000 - (began + ended) / 2,
        round_trip_s=ended - began,
        pending=by_state["pending"],
        edited=by_state["edited"],
        schema=max(by_state["applied"] + by_state["unknown"], default=""),
        missing=missing or {},
        disks=tuple(_of_server(disks)),
        skipped=tuple(_skipped(steps.unread, name)),
    )


def _without_database(clickhouse: ClickHouse, name: str) -> ExaminedClickHouse:
    missing = tuple(migration.name for migration in load())
    why = f"the database {clickhouse.database} does not exist yet"
    later: tuple[Area, ...] = ("rights", "clocks", "disk")
    skipped = tuple(Skipped(area, name, why) for area in later)
    return ExaminedClickHouse(name, "", None, None, missing, (), "", {}, (), skipped)


def _of_server(rows: list[tuple[Any, ...]]) -> Iterator[Disk]:
    """Disks with a size: object storage has none."""
    for name, total, free in rows:
        if 0 < total < 1 << 62:
            yield Disk(f"ClickHouse disk {name}", total, free)


def _skipped(unread: list[str], name: str) -> Iterator[Skipped]:
    """Steps are named by their area."""
    for text in unread:
        area, _, why = text.partition(": ")
        yield Skipped(area, name, why)  # type: ignore[arg-type]


def _sink_needs(clickhouse: ClickHouse, migrates: bool) -> dict[str, tuple[str, ...]]:
    """As deploy/containers/clickhouse/sink.sql; a sink that migrates needs more."""
    database = quote_identifier(clickhouse.database)
    rights: dict[str, tuple[str, ...]] = {table.name: ("INSERT",) for table in ALL}
    rights["schema_migrations"] = ("SELECT",)
    if migrates:
        rights = dict.fromkeys(rights, _OWNER_RIGHTS)
    needed = {f"{database}.{quote_identifier(name)}": each for name, each in rights.items()}
    return {**needed, f"{database}.*": _MIGRATION_RIGHTS} if migrates else needed


def _reports_need(clickhouse: ClickHouse) -> dict[str, tuple[str, ...]]:
    database = quote_identifier(clickhouse.database)
    return {f"{database}.messages_current": ("SELECT",), f"{database}.segments": ("INSERT",)}


def _missing(
    clickhouse: ClickHouse, needed: dict[str, tuple[str, ...]]
) -> dict[str, tuple[str, ...]]:
    missing = {
        name: tuple(right for right in rights if not _holds(clickhouse, right, name))
        for name, rights in needed.items()
    }
    return {name: rights for name, rights in missing.items() if rights}


def _holds(clickhouse: ClickHouse, right: str, name: str) -> bool:
    return bool(clickhouse.rows(f"CHECK GRANT {right} ON {name}")[0][0])
