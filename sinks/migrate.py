"""Numbered SQL migrations: applied in order, once, recorded with a checksum, never edited.

Every statement can be run again (IF NOT EXISTS, OR REPLACE), so two sinks that start at once and a
run that failed half-way do no harm. What may change without a version of the schema is set after
the migrations: the views, and times to live, which are the settings `text_days` and `events_days`.
"""

import hashlib
import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Final, NamedTuple

from models.settings import EVENTS_DAYS
from sinks.client import ClickHouse
from sinks.errors import Broken, SinkError
from sinks.sql import statements
from sinks.view_sql import views as own_views

DIRECTORY: Final = Path(__file__).with_name("migrations")
_NAME: Final = re.compile(r"(\d{4})_[a-z]+(_[a-z0-9]+)+\.sql")
_VIEW: Final = "CREATE OR REPLACE VIEW "
_CREATE_RECORD: Final = """
CREATE TABLE IF NOT EXISTS schema_migrations
(
    number     UInt32 COMMENT 'number of the migration',
    name       String COMMENT 'name of its file',
    checksum   String COMMENT 'SHA-256 of its file',
    applied_at DateTime64(3, 'UTC') DEFAULT now64(3) COMMENT 'when it was applied, UTC'
)
ENGINE = ReplacingMergeTree(applied_at)
ORDER BY (number, checksum)
COMMENT 'Migrations applied to this database.'
"""


class Migration(NamedTuple):
    """One file: its number, name and statements; the checksum is of the file's text."""

    number: int
    name: str
    checksum: str
    statements: tuple[str, ...]


class MigrationStatus(NamedTuple):
    """One migration and whether it is applied; `applied_at` is UTC text, empty when pending."""

    name: str
    state: str
    applied_at: str


def load(directory: Path = DIRECTORY) -> tuple[Migration, ...]:
    """The migrations of a directory in order. Raises Broken for a bad name or a gap in numbers."""
    found = [_read(path) for path in sorted(directory.glob("[0-9]*.sql"))]
    numbers = [migration.number for migration in found]
    if numbers != list(range(1, len(found) + 1)):
        raise Broken(f"migrations in {directory} are numbered {numbers}: expected 1, 2, 3 ...")
    return tuple(found)


def _read(path: Path) -> Migration:
    named = _NAME.fullmatch(path.name)
    if not named:
        raise Broken(f"migration {path.name}: expected NNNN_verb_noun.sql")
    text = path.read_text(encoding="utf-8").replace("\r\n", "\n")
    checksum = hashlib.sha256(text.encode()).hexdigest()
    return Migration(int(named[1]), path.name, checksum, tuple(statements(text)))


def pending(clickhouse: ClickHouse, migrations: Sequence[Migration]) -> list[Migration]:
    """The migrations that are not applied yet, in order; changes nothing.

    Raises Broken when an applied migration was edited, naming it.
    """
    applied = _applied(clickhouse)
    for migration in migrations:
        checksums = applied.get(migration.number, {migration.checksum: ""})
        if set(checksums) != {migration.checksum}:
            raise Broken(
                f"migration {migration.name} was edited after it was applied to "
                f"{clickhouse.database}: restore the file and add a new migration"
            )
    return [migration for migration in migrations if migration.number not in applied]


def status(clickhouse: ClickHouse, migrations: Sequence[Migration]) -> list[MigrationStatus]:
    """Every migration known here or applied there: `applied`, `pending`, `edited` or `unknown`.

    `unknown` was applied by a newer version of this program; it is not an error.
    """
    applied = _applied(clickhouse)
    found = [_status_of(migration, applied.get(migration.number, {})) for migration in migrations]
    newer = sorted(set(applied) - {migration.number for migration in migrations})
    return found + [MigrationStatus(f"{n:04}", "unknown", max(applied[n].values())) for n in newer]


def _status_of(migration: Migration, checksums: Mapping[str, str]) -> MigrationStatus:
    if not checksums:
        return MigrationStatus(migration.name, "pending", "")
    state = "applied" if set(checksums) == {migration.checksum} else "edited"
    return MigrationStatus(migration.name, state, max(checksums.values()))


def _applied(clickhouse: ClickHouse) -> dict[int, dict[str, str]]:
    """number -> checksum -> when."""
    if not clickhouse.has_database() or not _has_record(clickhouse):
        return {}
    applied: dict[int, dict[str, str]] = {}
    record = "SELECT number, checksum, toString(applied_at) FROM schema_migrations FINAL"
    for number, checksum, at in clickhouse.rows(record):
        applied.setdefault(number, {})[checksum] = at
    return applied


def _has_record(clickhouse: ClickHouse) -> bool:
    found = clickhouse.rows(
        "SELECT count() FROM system.tables "
        "WHERE database = {database:String} AND name = 'schema_migrations'",
        {"database": clickhouse.database},
    )
    return bool(found[0][0])


def migrate(
    clickhouse: ClickHouse,
    text_days: int,
    migrations: Sequence[Migration] | None = None,
    on_applied: Callable[[Migration], None] = lambda _: None,
    views: Sequence[str] = (),
    events_days: int = EVENTS_DAYS,
) -> list[Migration]:
    """Create the database if need be, apply what is pending, replace the views, set the times to
    live.

    text_days, events_days: days that texts, and receipts as they came and unmatched ones, are
    kept. migrations: None: all, and the views of this version; else only these, as an older version
    would. on_applied: called with each migration that was applied. views: statements that create
    the views of other readers of the tables. Returns what was applied.

    Raises Broken when an applied migration was edited or a statement fails (naming it), Unavailable
    when ClickHouse does not answer; both leave what was applied before, and the call may be
    repeated.
    """
    known = load() if migrations is None else migrations
    clickhouse.create_database()
    clickhouse.command(_CREATE_RECORD)
    missing = pending(clickhouse, known)
    own = _own_views(clickhouse, known) if migrations is None else []
    for migration in missing:
        _apply(clickhouse, migration, replaced=bool(own))
        on_applied(migration)
    _set_ttl(clickhouse, "message_texts", "sent_at", text_days)
    _set_ttl(clickhouse, "receipt_events", "occurred_at", events_days)
    _set_ttl(clickhouse, "unmatched_receipt_records", "received_at", events_days)
    _run("views", [*own, *views], clickhouse)
    return missing


def _own_views(clickhouse: ClickHouse, known: Sequence[Migration]) -> list[str]:
    """The views of the tables; none when a newer version has migrated the database, since its views
    show more: a sink that is not upgraded yet may start after one that is."""
    return [] if max(_applied(clickhouse), default=0) > len(known) else own_views()


def _apply(clickhouse: ClickHouse, migration: Migration, replaced: bool) -> None:
    """replaced: the views of this version follow, so those of old migrations are left out."""
    kept = [one for one in migration.statements if not (replaced and one.startswith(_VIEW))]
    _run(migration.name, kept, clickhouse)
    names, types = ("number", "name", "checksum"), ("UInt32", "String", "String")
    record: tuple[tuple[object], ...] = (
        (migration.number,),
        (migration.name,),
        (migration.checksum,),
    )
    clickhouse.insert("schema_migrations", names, types, record)


def _run(name: str, statements: Sequence[str], clickhouse: ClickHouse) -> None:
    """Run statements in order; the error of one names it. Raises what `command` raises."""
    for place, statement in enumerate(statements, 1):
        try:
            clickhouse.command(statement)
        except SinkError as error:
            where = f"{name}, statement {place} of {len(statements)}"
            raise type(error)(f"{where} ({statement.splitlines()[0][:80]}): {error}") from error


def _set_ttl(clickhouse: ClickHouse, table: str, since: str, days: int) -> None:
    """Set the time to live of a table's rows from their column `since`, unless it is set already.

    A table that an older version does not have yet is left out.
    """
    wanted = f"toDateTime({since}) + toIntervalDay({days:d})"
    tables = clickhouse.rows(
        "SELECT create_table_query FROM system.tables "
        "WHERE database = {database:String} AND name = {table:String}",
        {"database": clickhouse.database, "table": table},
    )
    if tables and f"TTL {wanted} " not in tables[0][0]:
        clickhouse.command(f"ALTER TABLE {table} MODIFY TTL {wanted}")


def require(clickhouse: ClickHouse, migrations: Sequence[Migration] | None = None) -> None:
    """Raises Broken when migrations are missing: for a sink that may not apply them itself."""
    known = load() if migrations is None else migrations
    missing = pending(clickhouse, known)
    if missing:
        names = ", ".join(migration.name for migration in missing)
        # ClickHouse hides a table from users without rights on it.
        hidden = f", or GRANT SELECT ON {clickhouse.database}.schema_migrations to this user"
        fix = f"run `receipts migrate`{hidden if len(missing) == len(known) else ''}"
        raise Broken(f"{clickhouse.database} lacks {names}: {fix}")
