"""Queries to a server: their time limit, and settings that its user may not change."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import urllib3

import reports.query.database
from reports.query.database import QUERY_TIMEOUT_S, Database, DatabaseError, DatabaseUnavailable
from tests.support.front import Front

LIMIT = "SELECT toFloat64(getSetting('max_execution_time'))"
ENDLESS = "SELECT count() FROM numbers(1000000000000000) WHERE cityHash64(number) = 1"


@pytest.fixture
def url(reports_front: Front) -> str:
    return reports_front.url("default")


@pytest.fixture
def database(url: str) -> Iterator[Database]:
    database = Database(url)
    yield database
    database.close()


def settings_of_all_queries(monkeypatch: pytest.MonkeyPatch, settings: str) -> None:
    """As if the user of the server had them: in force unless a query says otherwise."""
    name, query = settings.partition("=")[0], urllib3.PoolManager.request

    def request(self: urllib3.PoolManager, method: str, url: str, **more: Any) -> Any:
        theirs = url if f"{name}=" in url else url.replace("?", f"?{settings}&", 1)
        return query(self, method, theirs, **more)

    monkeypatch.setattr(urllib3.PoolManager, "request", request)


def test_a_report_has_a_limit_of_time_and_an_export_has_that_of_the_server(
    database: Database,
) -> None:
    assert database.rows(LIMIT, {}).rows == [(QUERY_TIMEOUT_S,)]
    with database.blocks(LIMIT, {}) as blocks:
        assert [row for block in blocks for row in block] == [(0,)]


def test_a_query_that_takes_too_long_ends_with_a_fix(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reports.query.database, "QUERY_TIMEOUT_S", 1)
    with pytest.raises(DatabaseError, match="Fix: choose a shorter period"):
        database.rows(ENDLESS, {})
    assert database.rows("SELECT 1", {}).rows == [(1,)]


@pytest.mark.parametrize(
    ("settings", "limit"),
    [("max_execution_time=7", 7), ("max_execution_time=300", QUERY_TIMEOUT_S), ("readonly=1", 0),
     ("readonly=2", QUERY_TIMEOUT_S)],
)  # fmt: skip
def test_a_setting_that_the_user_may_not_change_is_not_sent(
    url: str, monkeypatch: pytest.MonkeyPatch, settings: str, limit: int
) -> None:
    settings_of_all_queries(monkeypatch, settings)
    database = Database(url)
    assert database.rows(LIMIT, {}).rows == [(limit,)]
    database.close()


def test_one_client_survives_a_server_that_went_and_came_back(tmp_path: Path) -> None:
    front = Front(tmp_path / "own").start()
    database = Database(front.url("default"))
    assert database.rows("SELECT 1", {}).rows == [(1,)]
    front.stop()
    with pytest.raises(DatabaseUnavailable):
        database.rows("SELECT 1", {})
    front.start()
    with ThreadPoolExecutor(8) as pool:
        found = pool.map(lambda n: database.rows(f"SELECT {n}", {}).rows, range(32))
    assert list(found) == [[(n,)] for n in range(32)]
    database.close()
    front.stop()
