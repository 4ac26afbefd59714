"""The two ways to ClickHouse's engine: inside this process, and the real HTTP driver at a front."""

import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from sinks.client import ClickHouse, connect
from sinks.migrate import migrate
from tests.support.fakes import Health, Meter
from tests.support.front import Front
from tests.support.written import World


@pytest.fixture(params=["embedded", "http"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The address of a database that does not exist yet, on each of the two ways in turn."""
    name = f"t{uuid.uuid4().hex[:10]}"
    if request.param == "embedded":
        return f"chdb://{tmp_path}/engine?database={name}"
    server: Front = request.getfixturevalue("front")
    return server.url(name)


@pytest.fixture
def empty(url: str) -> Iterator[ClickHouse]:
    """A client of a database that does not exist yet."""
    clickhouse = connect(url)
    yield clickhouse
    clickhouse.close()


@pytest.fixture
def clickhouse(empty: ClickHouse) -> ClickHouse:
    """A client of a migrated database."""
    migrate(empty, 90)
    return empty


@pytest.fixture
def world(clickhouse: ClickHouse) -> World:
    """A writer into a migrated database."""
    return World(clickhouse)


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


@pytest.fixture
def meter() -> Meter:
    return Meter()


@pytest.fixture
def health() -> Health:
    return Health()
