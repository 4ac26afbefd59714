"""Rows into ClickHouse: one insert a table, halved until only the bad rows are left."""

import threading
import time
from collections.abc import Callable
from typing import Final, NamedTuple

from models.metrics import Health, Meter
from sinks.client import ClickHouse
from sinks.errors import BadRows, Broken, SinkError, Unavailable
from sinks.letters import Record
from sinks.mapped import TableRows
from sinks.tables import DEAD_LETTERS, Row, Table

#: More bad rows than this in one insert, and the schema is at fault, not the rows: stop.
MAX_BAD_ROWS: Final = 500

_KINDS: Final = {Unavailable: "unavailable", BadRows: "bad_rows", Broken: "broken"}


class BadRow(NamedTuple):
    """A record with a row that ClickHouse refuses, and its words."""

    record: Record
    said: str


class Writer:
    """Writes the rows of one table at a time. Blocking: runs in the thread of the inserts."""

    def __init__(
        self,
        clickhouse: ClickHouse,
        meter: Meter,
        health: Health,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._clickhouse = clickhouse
        self._meter = meter
        self._health = health
        self._monotonic = monotonic
        self.stopped = threading.Event()
        """Set it to give up between two inserts."""

    def write(self, batch: TableRows) -> list[BadRow]:
        """Insert all rows; return those that cannot be stored, once the others are.

        Raises Unavailable (nothing is lost: write the same again) or Broken. Dead letters are
        stored by their bytes alone, so one that is refused says that the schema is not ours.
        """
        bad = self._halve(batch.table, batch.rows, 0)
        if bad and batch.table is DEAD_LETTERS:
            place, said = bad[0]
            letter = batch.records[place]
            at = f"{letter.topic}, partition {letter.partition}, offset {letter.offset}"
            raise Broken(f"ClickHouse refuses the dead letter at {at}: {said}")
        return [BadRow(batch.records[place], said) for place, said in bad]

    def _halve(self, table: Table, rows: list[Row], start: int) -> list[tuple[int, str]]:
        """(place, ClickHouse's words) of the bad ones among rows that begin at place `start`."""
        if self.stopped.is_set():
            raise Unavailable("the sink is stopping")
        try:
            self._insert(table, rows)
        except BadRows as error:
            if len(rows) == 1:
                return [(start, str(error))]
        else:
            return []
        middle = len(rows) // 2
        bad = self._halve(table, rows[:middle], start)
        bad += self._halve(table, rows[middle:], start + middle)
        if len(bad) > MAX_BAD_ROWS:
            raise Broken(f"{table.name}: {len(bad)} bad rows in one insert, such as: {bad[0][1]}")
        return bad

    def _insert(self, table: Table, rows: list[Row]) -> None:
        began = self._monotonic()
        try:
            self._clickhouse.insert(table.name, table.names, table.types, table.columns(rows))
        except SinkError as error:
            kind = _KINDS[type(error)]
            self._meter.add("receipts_sink_insert_failures_total", table=table.name, kind=kind)
            raise
        seconds = self._monotonic() - began
        self._meter.observe("receipts_sink_insert_seconds", seconds, table=table.name)
        self._meter.observe("receipts_sink_insert_rows", len(rows), table=table.name)
        self._meter.add("receipts_sink_rows_total", len(rows), table=table.name)
        self._health.beat("batches")
