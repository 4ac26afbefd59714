"""Rows into ClickHouse: one insert a table, bisected until only the bad rows are left."""

import threading
import time
from collections import Counter
from collections.abc import Callable
from typing import Final, NamedTuple

from models.masking import mask_values
from models.metrics import Health, Meter
from sinks.client import ClickHouse
from sinks.dead_letters import Record
from sinks.errors import BadRows, Broken, SinkError, Unavailable
from sinks.mapped_batch import TableRows
from sinks.tables import DEAD_LETTERS, Row, Table

#: When a table has refused more rows than this since it last accepted one, the table is at fault.
MAX_BAD_ROWS: Final = 500

_KINDS: Final = {Unavailable: "unavailable", BadRows: "bad_rows", Broken: "broken"}


class BadRow(NamedTuple):
    """A record with a row that ClickHouse refuses, and the error."""

    record: Record
    error: str


class Writer:
    """Writes the rows of one table at a time. Blocking: it runs in the CallThread of the sink."""

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
        self._refused: Counter[str] = Counter()
        """Rows each table has refused since it last accepted one, over inserts."""
        self.stopped = threading.Event()
        """Set it to give up between two inserts."""

    def write(self, batch: TableRows) -> list[BadRow]:
        """Insert all rows; return the bad ones once the others are stored.

        Raises Unavailable (nothing is lost: write the same again), or Broken when the table accepts
        nothing any more. A dead letter is bytes that any table of ours accepts: if one is refused,
        the schema is not ours, which is Broken too.
        """
        refused_before = self._refused[batch.table.name]
        try:
            bad = self._bisect(batch.table, batch.rows, 0)
        except Unavailable:
            self._refused[batch.table.name] = refused_before  # the same rows come again
            raise
        if bad and batch.table is DEAD_LETTERS:
            place, error = bad[0]
            letter = batch.records[place]
            at = f"{letter.topic}, partition {letter.partition}, offset {letter.offset}"
            raise Broken(f"ClickHouse refuses the dead letter at {at}: {mask_values(error)}")
        return [BadRow(batch.records[place], error) for place, error in bad]

    def _bisect(self, table: Table, rows: list[Row], start: int) -> list[tuple[int, str]]:
        """(place, error) of the bad ones among rows that begin at place `start`."""
        if self.stopped.is_set():
            raise Unavailable("the sink is stopping")
        try:
            self._insert(table, rows)
        except BadRows as error:
            if len(rows) == 1:
                self._count_refused(table, error)
                return [(start, str(error))]
        else:
            self._refused[table.name] = 0
            return []
        middle = len(rows) // 2
        bad = self._bisect(table, rows[:middle], start)
        bad += self._bisect(table, rows[middle:], start + middle)
        return bad

    def _count_refused(self, table: Table, error: BadRows) -> None:
        self._refused[table.name] += 1
        refused = self._refused[table.name]
        if refused > MAX_BAD_ROWS:
            wrong = f"refuses every row, {refused} by now, such as: {mask_values(str(error))}"
            raise Broken(f"{table.name} {wrong}. Fix: compare its columns with docs/schema.md")

    def _insert(self, table: Table, rows: list[Row]) -> None:
        began = self._monotonic()
        try:
            self._clickhouse.insert(table.name, *table.columns(rows))
        except SinkError as error:
            kind = _KINDS[type(error)]
            self._meter.add("receipts_sink_insert_failures_total", table=table.name, kind=kind)
            raise
        seconds = self._monotonic() - began
        self._meter.set_age("receipts_sink_waiting_seconds", time.time())
        self._meter.observe("receipts_sink_insert_seconds", seconds, table=table.name)
        self._meter.observe("receipts_sink_insert_rows", len(rows), table=table.name)
        self._meter.add("receipts_sink_rows_total", len(rows), table=table.name)
        self._health.beat("batches")
