"""Migrations: in order, once, never edited, from every earlier version to the same schema."""

import re
import shutil
import threading
from pathlib import Path

import pytest

from sinks.client import ClickHouse, connect
from sinks.errors import Broken
from sinks.migrate import DIRECTORY, Migration, load, migrate, pending, require, status
from sinks.schema import DUMP, PAGE, dump, page
from sinks.sql import statements
from sinks.tables import ALL
from sinks.view_sql import DIRECTORY as VIEWS
from sinks.view_sql import views
from tests.support.running_sink import one_way

KNOWN = load()


def test_the_schema_is_the_committed_one(clickhouse: ClickHouse) -> None:
    assert dump(clickhouse) == DUMP.read_text(), "run: python -m sinks.schema"


def test_the_page_is_current(clickhouse: ClickHouse) -> None:
    assert page(clickhouse) == PAGE.read_text(), "run: python -m sinks.schema"


def test_every_column_has_a_meaning(clickhouse: ClickHouse) -> None:
    bare = clickhouse.rows(
        "SELECT table, name FROM system.columns "
        "WHERE database = {database:String} AND comment = ''",
        {"database": clickhouse.database},
    )
    assert bare == []


def test_rows_have_the_types_of_the_schema(clickhouse: ClickHouse) -> None:
    for table in ALL:
        columns = clickhouse.rows(
            "SELECT name, type FROM system.columns "
            "WHERE database = {database:String} AND table = {table:String} "
            "AND default_kind != 'MATERIALIZED'",
            {"database": clickhouse.database, "table": table.name},
        )
        assert dict(columns) == dict(zip(table.names, table.types, strict=True)), table.name


def test_applying_twice_changes_nothing(fresh_clickhouse: ClickHouse) -> None:
    before = dump(fresh_clickhouse)
    assert migrate(fresh_clickhouse, 90) == []
    assert dump(fresh_clickhouse) == before
    assert fresh_clickhouse.rows("SELECT count() FROM schema_migrations") == [(len(KNOWN),)]


@one_way
@pytest.mark.parametrize("applied", range(len(KNOWN)))
def test_every_earlier_version_leads_to_the_same_schema(empty: ClickHouse, applied: int) -> None:
    migrate(empty, 90, KNOWN[:applied])
    assert migrate(empty, 90) == list(KNOWN[applied:])
    assert dump(empty) == DUMP.read_text()


def test_statements_that_run_again_change_nothing(fresh_clickhouse: ClickHouse) -> None:
    for migration in KNOWN:
        for statement in migration.statements:
            if "CREATE OR REPLACE VIEW" not in statement:
                fresh_clickhouse.command(statement)
    assert dump(fresh_clickhouse) == DUMP.read_text()


def test_every_view_is_in_the_file_of_its_name() -> None:
    names = [re.findall(r"^CREATE OR REPLACE VIEW (\w+)$", view, re.M)[0] for view in views()]
    assert names == [path.stem for path in sorted(VIEWS.glob("*.sql"))]
    assert not any("/*include" in view for view in views())


def test_no_view_is_left_as_an_old_migration_made_it() -> None:
    made = re.findall(r"CREATE OR REPLACE VIEW (\w+)", "".join(map(str, KNOWN)))
    assert set(made) <= {path.stem for path in VIEWS.glob("*.sql")}


def test_views_of_an_older_version_are_replaced(clickhouse: ClickHouse) -> None:
    clickhouse.command("CREATE OR REPLACE VIEW messages_current AS SELECT account FROM messages")
    assert migrate(clickhouse, 90) == []
    assert dump(clickhouse) == DUMP.read_text()


def test_an_older_version_leaves_the_views_of_a_newer_one(fresh_clickhouse: ClickHouse) -> None:
    fresh_clickhouse.command(
        "CREATE OR REPLACE VIEW messages_current AS SELECT account FROM messages"
    )
    newer = Migration(len(KNOWN) + 1, "0099_add_more.sql", "sum", ())
    migrate(fresh_clickhouse, 90, [*KNOWN, newer])
    migrate(fresh_clickhouse, 90)
    assert len(fresh_clickhouse.rows("DESCRIBE TABLE messages_current")) == 1


def test_a_view_that_fails_is_named(clickhouse: ClickHouse) -> None:
    wrong = "CREATE OR REPLACE VIEW wrong AS SELECT nothing FROM nowhere"
    with pytest.raises(Broken, match=r"views, statement \d+ of \d+ \(CREATE OR REPLACE VIEW wrong"):
        migrate(clickhouse, 90, views=[wrong])


def test_two_at_once(url: str) -> None:
    clients = [connect(url), connect(url)]
    failed: list[BaseException] = []

    def run(client: ClickHouse) -> None:
        try:
            migrate(client, 90)
        except BaseException as error:  # noqa: BLE001  (asserted below)
            failed.append(error)

    threads = [threading.Thread(target=run, args=(client,)) for client in clients]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failed == []
    assert dump(clients[0]) == DUMP.read_text()
    assert pending(clients[0], KNOWN) == []
    for client in clients:
        client.close()


def test_looking_changes_nothing(empty: ClickHouse) -> None:
    assert pending(empty, KNOWN) == list(KNOWN)
    assert [row.state for row in status(empty, KNOWN)] == ["pending"] * len(KNOWN)
    assert not empty.has_database()


def test_an_edited_migration_is_refused_by_name(fresh_clickhouse: ClickHouse) -> None:
    edited = [KNOWN[0], KNOWN[1]._replace(checksum="other"), *KNOWN[2:]]
    with pytest.raises(Broken, match=rf"{KNOWN[1].name} was edited"):
        migrate(fresh_clickhouse, 90, edited)
    assert [row.state for row in status(fresh_clickhouse, edited)][1] == "edited"


def test_a_newer_database_is_no_error(clickhouse: ClickHouse) -> None:
    assert migrate(clickhouse, 90, KNOWN[:-1]) == []
    assert status(clickhouse, KNOWN[:-1])[-1].state == "unknown"


def test_a_failure_names_the_statement_and_can_be_mended(empty: ClickHouse) -> None:
    good = "CREATE TABLE IF NOT EXISTS a (x UInt8) ENGINE = MergeTree ORDER BY x"
    bad = Migration(1, "0001_add_a.sql", "sum", (good, "CREATE TABLE b (x Nonsense)"))
    with pytest.raises(Broken, match=r"0001_add_a.sql, statement 2 of 2 \(CREATE TABLE b"):
        migrate(empty, 90, [bad])
    assert pending(empty, [bad]) == [bad]
    mended = bad._replace(statements=(good,))
    assert migrate(empty, 90, [mended]) == [mended]
    assert empty.rows("SELECT count() FROM a") == [(0,)]


def test_a_sink_that_may_not_migrate_names_what_is_missing(empty: ClickHouse) -> None:
    migrate(empty, 90, KNOWN[:-1])
    with pytest.raises(Broken, match=rf"lacks {KNOWN[-1].name}: run `receipts migrate`"):
        require(empty)
    migrate(empty, 90)
    require(empty)


def test_the_times_to_live_follow_the_settings(fresh_clickhouse: ClickHouse) -> None:
    migrate(fresh_clickhouse, 7, events_days=5)
    schema = dump(fresh_clickhouse)
    assert "TTL toDateTime(sent_at) + toIntervalDay(7)" in schema
    assert "TTL toDateTime(occurred_at) + toIntervalDay(5)" in schema
    migrate(fresh_clickhouse, 90)
    assert dump(fresh_clickhouse) == DUMP.read_text()


def test_numbers_must_follow_each_other(tmp_path: Path) -> None:
    for path in sorted(DIRECTORY.glob("[0-9]*.sql"))[1:]:
        shutil.copy(path, tmp_path)
    with pytest.raises(Broken, match=r"expected 1, 2, 3"):
        load(tmp_path)


def test_a_name_must_have_a_verb_and_a_noun(tmp_path: Path) -> None:
    (tmp_path / "0001.sql").write_text("SELECT 1")
    with pytest.raises(Broken, match=r"0001.sql: expected NNNN_verb_noun.sql"):
        load(tmp_path)


def test_the_checksum_is_of_the_text_whatever_the_line_ends(tmp_path: Path) -> None:
    (tmp_path / "0001_add_a.sql").write_bytes(b"SELECT 1;\nSELECT 2;\n")
    unix = load(tmp_path)
    (tmp_path / "0001_add_a.sql").write_bytes(b"SELECT 1;\r\nSELECT 2;\r\n")
    assert load(tmp_path) == unix
    (tmp_path / "0001_add_a.sql").write_bytes(b"SELECT 1;\nSELECT 3;\n")
    assert load(tmp_path) != unix


@pytest.mark.parametrize(
    ("script", "expected"),
    [
        ("SELECT 1; SELECT 2", ["SELECT 1", "SELECT 2"]),
        ("SELECT ';' ;\n-- a; b\nSELECT `;`", ["SELECT ';'", "SELECT `;`"]),
        ("SELECT 'it''s \\'; fine'; ;", ["SELECT 'it''s \\'; fine'"]),
        ("/* one; */ SELECT 1 /* two; */;", ["SELECT 1"]),
        ("SELECT $$a;b$$; SELECT $x$;$$;$x$", ["SELECT $$a;b$$", "SELECT $x$;$$;$x$"]),
        ('SELECT "a;""b"; # last; one', ['SELECT "a;""b"']),
        ("SELECT 2 - -1 -- ;", ["SELECT 2 - -1"]),
        ("-- nothing", []),
    ],
)
def test_scripts_are_split_where_statements_end(script: str, expected: list[str]) -> None:
    assert statements(script) == expected
