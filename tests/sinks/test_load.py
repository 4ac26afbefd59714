"""What ClickHouse reports of its load, and what happens when it does not."""

from typing import Any

import pytest

from sinks.errors import Broken, Unavailable
from sinks.load import ClickHouseLoad
from tests.support.fakes import Meter
from tests.support.running_sink import states
from tests.support.written import WrittenDatabase

PARTS, DELAYED = "receipts_clickhouse_parts", "receipts_clickhouse_delayed_inserts"
REJECTED = "receipts_clickhouse_rejected_inserts_total"


def test_the_fullest_partition_of_each_table_counts(world: WrittenDatabase) -> None:
    meter = Meter()
    world.clickhouse.command("SYSTEM STOP MERGES messages")
    try:
        for n in range(3):
            world.write("message-states", *states(1, first=n))
        ClickHouseLoad(world.clickhouse, meter).report()
    finally:
        world.clickhouse.command("SYSTEM START MERGES messages")
    assert meter.value(PARTS, "messages") == 3
    assert meter.value(PARTS, "schema_migrations") >= 1
    assert (DELAYED, ()) in meter.sums
    assert meter.sums[REJECTED, ()] == 0


class Server:
    """Answers queries with what the test gives, or fails."""

    database = "receipts"
    rejected: list[tuple[int]]
    denied: Exception | None = None
    away: Exception | None = None
    queries = 0

    def rows(self, sql: str, parameters: dict[str, Any] | None = None) -> list[tuple[Any, ...]]:
        self.queries += 1
        if self.away is not None:
            raise self.away
        if "system.parts" in sql:
            if self.denied is not None:
                raise self.denied
            return [("messages", 7)]
        return self.rejected if "system.events" in sql else [(2,)]


def test_only_inserts_rejected_since_the_start_count_also_over_restarts_of_the_server() -> None:
    server, meter = Server(), Meter()
    load = ClickHouseLoad(server, meter)  # type: ignore[arg-type]
    for rejected, total in (([(40,)], 0), ([(43,)], 3), ([], 3), ([(5,)], 8), ([(5,)], 8)):
        server.rejected = rejected
        load.report()
        assert meter.value(REJECTED) == total
    assert meter.value(DELAYED) == 2


def test_while_clickhouse_is_away_one_query_is_tried_and_one_line_logged(
    caplog: pytest.LogCaptureFixture,
) -> None:
    server, meter = Server(), Meter()
    server.rejected, server.away = [(1,)], Unavailable("connection refused")
    load = ClickHouseLoad(server, meter)  # type: ignore[arg-type]
    for tried in (1, 2, 3):
        load.report()
        assert server.queries == tried
    line = "ClickHouse cannot be read, its metrics stay as they are: connection refused"
    assert [entry.getMessage() for entry in caplog.records] == [line]
    server.away = None
    load.report()
    assert meter.value(PARTS, "messages") == 7 and meter.value(DELAYED) == 2
    server.away = Unavailable("connection refused")
    load.report()
    assert [entry.getMessage() for entry in caplog.records] == [line, line]


def test_what_is_denied_is_logged_once_and_hides_nothing(caplog: pytest.LogCaptureFixture) -> None:
    error, server, meter = Broken("ACCESS_DENIED"), Server(), Meter()
    server.rejected, server.denied = [(1,)], error
    load = ClickHouseLoad(server, meter)  # type: ignore[arg-type]
    for _ in range(3):
        load.report()
    assert [entry.getMessage() for entry in caplog.records] == [
        f"system.parts cannot be read, its metrics stay as they are: {error}"
    ]
    assert meter.value(DELAYED) == 2 and (PARTS, ("messages",)) not in meter.sums
    server.denied = None
    load.report()
    assert meter.value(PARTS, "messages") == 7
    server.denied = error
    load.report()
    assert len(caplog.records) == 2
