"""What ClickHouse itself reports of its load: parts, delayed and rejected inserts."""

import logging
from collections.abc import Callable, Mapping
from typing import Any, Final

from models.metrics import Meter
from sinks.client import ClickHouse
from sinks.errors import SinkError, Unavailable

log = logging.getLogger(__name__)

#: A reading waits for the inserts and they for it: it must be short.
_LIMIT: Final = "SETTINGS max_execution_time = 5"
_PARTS: Final = f"""
    SELECT table, max(parts)
    FROM (
        SELECT table, partition_id, count() AS parts
        FROM system.parts
        WHERE active AND database = {{database:String}}
        GROUP BY table, partition_id
    )
    GROUP BY table {_LIMIT}"""
_DELAYED: Final = f"SELECT value FROM system.metrics WHERE metric = 'DelayedInserts' {_LIMIT}"
#: Without a row: none was rejected since the server started.
_REJECTED: Final = f"SELECT value FROM system.events WHERE event = 'RejectedInserts' {_LIMIT}"


class ClickHouseLoad:
    """Reads the load and reports it. Blocking: it runs in the CallThread of the sink."""

    def __init__(self, clickhouse: ClickHouse, meter: Meter) -> None:
        self._clickhouse = clickhouse
        self._meter = meter
        self._rejected: int | None = None
        """Of all time of the server, at the last reading."""
        self._failing: set[str] = set()

    def report(self) -> None:
        """Set the gauges. What cannot be read keeps its value and is logged once.

        While ClickHouse is away only one of them is tried: inserts wait for it meanwhile.
        """
        try:
            self._read("system.parts", self._report_parts)
            self._read("system.metrics", self._report_delayed)
            self._read("system.events", self._report_rejected)
        except Unavailable as error:
            self._note("ClickHouse", error)
        else:
            self._failing.discard("ClickHouse")

    def _read(self, table: str, report: Callable[[], None]) -> None:
        try:
            report()
        except Unavailable:
            raise
        except SinkError as error:
            self._note(table, error)
        else:
            self._failing.discard(table)

    def _note(self, what: str, error: SinkError) -> None:
        if what not in self._failing:
            log.warning("%s cannot be read, its metrics stay as they are: %s", what, error)
        self._failing.add(what)

    def _report_parts(self) -> None:
        for table, parts in self._rows(_PARTS, {"database": self._clickhouse.database}):
            self._meter.set("receipts_clickhouse_parts", parts, table=table)

    def _report_delayed(self) -> None:
        delayed = sum(value for (value,) in self._rows(_DELAYED))
        self._meter.set("receipts_clickhouse_delayed_inserts", delayed)

    def _report_rejected(self) -> None:
        rejected = sum(value for (value,) in self._rows(_REJECTED))
        if self._rejected is not None:
            # The server counts from 0 again after its own restart.
            more = rejected - self._rejected if rejected >= self._rejected else rejected
            self._meter.add("receipts_clickhouse_rejected_inserts_total", more)
        self._rejected = rejected

    def _rows(self, sql: str, parameters: Mapping[str, Any] | None = None) -> list[tuple[Any, ...]]:
        return self._clickhouse.rows(sql, dict(parameters or {}))
