"""The two ways to ClickHouse's engine: inside this process, and the real HTTP driver at a front.

One migrated database a way serves all tests that take `clickhouse` or `world`; it is empty when a
test begins. A test that changes a table's definition takes `fresh_clickhouse` or `fresh_world`.
"""

import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from sinks.client import ClickHouse, connect
from sinks.migrate import migrate
from tests.support.front import Front
from tests.support.written import WrittenDatabase


@pytest.fixture(params=["embedded", "http"])
def way(request: pytest.FixtureRequest) -> str:
    """Each of the two ways in turn."""
    return str(request.param)


@pytest.fixture
def url(way: str, tmp_path: Path, request: pytest.FixtureRequest) -> str:
    """The address of a database that does not exist yet."""
    name = f"t{uuid.uuid4().hex[:10]}"
    if way == "embedded":
        return f"chdb://{tmp_path}/engine?database={name}"
    server: Front = request.getfixturevalue("front")
    return server.url(name)


@pytest.fixture
def empty(url: str) -> Iterator[ClickHouse]:
    """A client of a database that does not exist yet."""
    clickhouse = connect(url)
    yield clickhouse
    clickhouse.close()


@pytest.fixture(scope="session")
def shared_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The embedded engine's folder of the shared database."""
    return tmp_path_factory.mktemp("shared")


@pytest.fixture
def clickhouse(
    way: str, shared_folder: Path, request: pytest.FixtureRequest
) -> Iterator[ClickHouse]:
    """A client of the shared migrated database, without rows."""
    if way == "embedded":
        clickhouse = connect(f"chdb://{shared_folder}/engine?database=shared")
    else:
        server: Front = request.getfixturevalue("front")
        clickhouse = connect(server.url("shared"))
    if not clickhouse.has_database():
        migrate(clickhouse, 90)
    before = definitions(clickhouse)
    yield clickhouse
    truncate(clickhouse)
    changed = definitions(clickhouse) != before
    if changed:
        clickhouse.command("DROP DATABASE shared", in_database=False)
    clickhouse.close()
    assert not changed, "a test that changes a table takes fresh_clickhouse or fresh_world"


def definitions(clickhouse: ClickHouse) -> list[tuple[object, ...]]:
    """All tables and views, and how they are defined."""
    return clickhouse.rows(
        "SELECT name, create_table_query FROM system.tables "
        "WHERE database = {database:String} ORDER BY name",
        {"database": clickhouse.database},
    )


def truncate(clickhouse: ClickHouse) -> None:
    """Delete all rows but those of the migrations."""
    filled = clickhouse.rows(
        "SELECT DISTINCT table FROM system.parts WHERE database = {database:String} "
        "AND active AND rows > 0 AND table != 'schema_migrations'",
        {"database": clickhouse.database},
    )
    for (table,) in filled:
        clickhouse.command(f"TRUNCATE TABLE {table}")


@pytest.fixture
def fresh_clickhouse(empty: ClickHouse) -> ClickHouse:
    """A client of a migrated database of the test's own."""
    migrate(empty, 90)
    return empty


@pytest.fixture
def world(clickhouse: ClickHouse) -> WrittenDatabase:
    """A writer into the shared database."""
    return WrittenDatabase(clickhouse)


@pytest.fixture
def fresh_world(fresh_clickhouse: ClickHouse) -> WrittenDatabase:
    """A writer into a database of the test's own."""
    return WrittenDatabase(fresh_clickhouse)


@pytest.fixture
def reader(url: str) -> Iterator[ClickHouse]:
    """A second client of the sink's database, migrated."""
    clickhouse = connect(url)
    migrate(clickhouse, 90)
    yield clickhouse
    clickhouse.close()


@pytest.fixture
def own_front(tmp_path: Path) -> Iterator[Front]:
    """A front that the test may stop and start."""
    server = Front(tmp_path / "own").start()
    yield server
    server.stop()
