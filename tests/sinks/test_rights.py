"""The grants of deploy/containers/clickhouse in ClickHouse's engine: enough, and no more.

The embedded engine has one user and stores no other, so the user `default` gets the grants, the
limits and the row policies of the SQL files, word for word, by the engine's own configuration.
"""

import re
import shutil
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from xml.sax.saxutils import escape

import pytest

from deploy.diagnosis.examine_clickhouse import SINK, examine_clickhouse
from models.settings import Settings
from reports.catalogue import REPORTS
from reports.query.database import Database, DatabaseError
from reports.query.query import parse_query
from reports.segments.model import People
from reports.segments.saved import segments
from reports.segments.store import SegmentStore
from reports.views import statements
from sinks.client import ClickHouse, connect
from sinks.errors import Broken
from sinks.migrate import migrate, require
from sinks.tables import ALL
from tests.support.front import Front

FILES = Path(__file__).parents[2] / "deploy/containers/clickhouse"
NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
VALUES = {"campaign": "c", "person": "+447700900123", "message_id": "m"}

CONFIG = """<clickhouse><users_config>{users}</users_config></clickhouse>"""
USERS = """<clickhouse><profiles><default>{profile}</default></profiles><quotas><default/></quotas>
<users><default><password></password><networks><ip>::/0</ip></networks><profile>default</profile>
<quota>default</quota><grants>{grants}</grants>{databases}</default></users></clickhouse>"""


def sql_of(file: str) -> list[str]:
    """The statements of a file, without comments."""
    text = re.sub(r"^--.*$", "", (FILES / file).read_text(), flags=re.MULTILINE)
    return [" ".join(part.split()) for part in text.split(";") if part.strip()]


def grants_of(file: str) -> list[str]:
    """GRANT and REVOKE of tables, without whom they are for."""
    found = [one for one in sql_of(file) if re.match(r"(GRANT|REVOKE) \w+ ON ", one)]
    return [re.sub(r" (TO|FROM) \w+$", "", one) for one in found]


def policies_of(file: str) -> dict[str, str]:
    """The filter of each table's restrictive policy."""
    form = r"CREATE ROW POLICY IF NOT EXISTS \w+ ON receipts\.(\w+) USING (.*) AS RESTRICTIVE"
    return {f[1]: f[2] for f in (re.match(form, one) for one in sql_of(file)) if f}


def limited(folder: Path, file: str, leave_out: str = "") -> Front:
    """A front whose only user has the rights of a file; without grants with `leave_out` in them."""
    grants = [one for one in grants_of(file) if not leave_out or leave_out not in one]
    databases = "".join(
        f"<{table}><filter>{escape(condition)}</filter></{table}>"
        for table, condition in policies_of(file).items()
    )
    users = USERS.format(
        profile="<allow_ddl>0</allow_ddl>"
        if "allow_ddl = 0 CONST" in "".join(sql_of(file))
        else "",
        grants="".join(f"<query>{escape(one)}</query>" for one in grants),
        databases=f"<databases><receipts>{databases}</receipts></databases>" if databases else "",
    )
    (folder / "users.xml").write_text(users)
    (folder / "config.xml").write_text(CONFIG.format(users=folder / "users.xml"))
    return Front(folder / "engine", config=folder / "config.xml").start()


@pytest.fixture(scope="module")
def migrated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A migrated database with one text of each kind."""
    folder = tmp_path_factory.mktemp("migrated")
    front = Front(folder / "engine").start()
    clickhouse = connect(front.url("receipts"))
    migrate(clickhouse, 3650, views=statements())
    names, types = ("account", "message_id", "source", "text", "sent_at"), ("String",) * 4
    rows = [["acme", "acme"], ["m", "n"], ["campaign", "verification"], ["hello", "1234"]]
    sent_at = [int(NOW.timestamp() * 1000)] * 2
    clickhouse.insert("message_texts", names, (*types, "DateTime64(3, 'UTC')"), [*rows, sent_at])
    clickhouse.close()
    front.stop()
    return folder


@pytest.fixture
def start(migrated: Path, tmp_path: Path) -> Iterator[Callable[..., str]]:
    """Starts a front with the rights of a file; the URL of the database."""
    started: list[Front] = []
    shutil.copytree(migrated / "engine", tmp_path / "engine", symlinks=True)

    def starting(file: str, **options: Any) -> str:
        started.append(limited(tmp_path, file, **options))
        return started[-1].url("receipts")

    yield starting
    for front in started:
        front.stop()


def test_the_files_have_what_is_tried() -> None:
    assert grants_of("users.sql") == [
        "GRANT SELECT ON receipts.*",
        "REVOKE SELECT ON receipts.dead_letters, SELECT ON receipts.dead_letter_records",
        "GRANT INSERT ON receipts.segments",
    ]
    assert list(policies_of("users.sql")) == ["message_texts"]
    assert len(grants_of("sink.sql")) == 6


def test_the_user_of_the_pages_reads_every_report_and_saves_segments(
    start: Callable[..., str],
) -> None:
    url = start("users.sql")
    database = Database(url)
    for report in REPORTS:
        given = {one.name: [VALUES[one.name]] for one in report.own_filters if one.required}
        query = parse_query(report, "acme", "UTC", given, NOW)
        for section in report.sections:
            database.rows(section.sql, query.parameters(section))
    store = SegmentStore(url)
    store.save("acme", "Clickers", People(campaigns=("c",), did="clicked"), NOW)
    store.close()
    assert [one.name for one in segments(database, "acme")] == ["Clickers"]
    assert database.rows("SELECT text FROM message_texts", {}).rows == [("hello",)]
    database.close()


def test_the_user_of_the_pages_may_do_nothing_else(start: Callable[..., str]) -> None:
    url = start("users.sql")
    database, clickhouse = Database(url), connect(url)
    for view in ("dead_letters", "dead_letter_records"):
        with pytest.raises(DatabaseError, match=r"(?s)Not enough privileges.*SELECT.*dead_letter"):
            database.rows(f"SELECT * FROM {view}", {})
    for statement in (
        "INSERT INTO messages (account) VALUES ('x')",
        "DROP TABLE messages",
        "CREATE TABLE mine (a Int8) ENGINE = MergeTree ORDER BY a",
        "ALTER TABLE message_texts DELETE WHERE true",
        "TRUNCATE TABLE segments",
        "GRANT SELECT ON receipts.dead_letters TO default",
        "SET allow_ddl = 1",
    ):
        with pytest.raises(Broken, match=r"Not enough privileges|Cannot execute|prohibited|DDL"):
            clickhouse.command(statement)
    database.close()
    clickhouse.close()


def start_and_insert(clickhouse: ClickHouse) -> None:
    """What the sink does: it checks the migrations, and inserts into every table."""
    require(clickhouse)
    for table in ALL:
        clickhouse.command(f"INSERT INTO {table.name} ({table.names[0]}) VALUES (DEFAULT)")


def test_the_user_of_the_sink_inserts_into_every_table(start: Callable[..., str]) -> None:
    clickhouse = connect(start("sink.sql"))
    clickhouse.ping()
    start_and_insert(clickhouse)
    for statement in (
        "SELECT * FROM message_texts",
        "SELECT * FROM messages",
        "INSERT INTO segments (account) VALUES ('x')",
        "INSERT INTO schema_migrations (number) VALUES (99)",
        "ALTER TABLE messages DELETE WHERE true",
        "DROP TABLE messages",
    ):
        with pytest.raises(Broken, match="Not enough privileges"):
            clickhouse.command(statement)
    clickhouse.close()


@pytest.mark.parametrize("left_out", ["", "INSERT ON receipts.*"])
def test_doctor_compares_the_user_of_the_sink_with_what_it_needs(
    start: Callable[..., str], left_out: str
) -> None:
    settings = Settings(clickhouse_url=start("sink.sql", leave_out=left_out))
    alone = settings.model_copy(update={"migrate_on_start": False})
    tables = {f"`receipts`.`{table.name}`": ("INSERT",) for table in ALL}
    assert examine_clickhouse(alone, SINK).missing == (tables if left_out else {})
    assert "`receipts`.*" in examine_clickhouse(settings, SINK).missing


@pytest.mark.parametrize(
    ("left_out", "named"),
    [
        (
            "SELECT ON receipts.schema_migrations",
            r"GRANT SELECT ON receipts.schema_migrations to this user",
        ),
        ("INSERT ON receipts.*", r"Not enough privileges.*INSERT"),
    ],
)
def test_with_one_right_less_the_sink_ends_with_its_name(
    start: Callable[..., str], left_out: str, named: str
) -> None:
    clickhouse = connect(start("sink.sql", leave_out=left_out))
    with pytest.raises(Broken, match=rf"(?s){named}"):
        start_and_insert(clickhouse)
    clickhouse.close()
