"""A batch of records mapped to rows by table, refusals and omissions."""

from collections import Counter
from typing import Final
from zlib import crc32

from models.refusal import Refusal
from models.settings import Topic
from sinks.dead_letters import Record
from sinks.tables import Row, Table

#: Why records have no row: values of the label `reason` of receipts_sink_skipped_total.
TOMBSTONE: Final = "tombstone"
REFUSED: Final = "refused"
REROUTED: Final = "rerouted"


class TableRows:
    """Rows of one table and the record of each."""

    __slots__ = ("records", "rows", "table")

    def __init__(self, table: Table) -> None:
        self.table = table
        self.rows: list[Row] = []
        self.records: list[Record] = []

    def add(self, row: Row, record: Record) -> None:
        """Add one row."""
        self.rows.append(row)
        self.records.append(record)


class MappedBatch:
    """Rows, refusals and omissions of a batch of records.

    refused: records to dead-letter. skipped: records without a row, by topic and reason
    accepted: events that no worker counts, by topic and kind
    newer: records with values that only a newer version knows, by topic
    repaired: fields that were mended or left out in events that no worker reads, by topic and name
    """

    def __init__(self) -> None:
        self.tables: dict[str, TableRows] = {}
        self.refused: list[tuple[Record, Refusal]] = []
        self.skipped: Counter[tuple[Topic, str]] = Counter()
        self.accepted: Counter[tuple[Topic, str]] = Counter()
        self.newer: Counter[Topic] = Counter()
        self.repaired: Counter[tuple[Topic, str]] = Counter()

    def rows_for(self, table: Table) -> TableRows:
        """The rows of a table, to add to."""
        rows = self.tables.get(table.name)
        if rows is None:
            rows = self.tables[table.name] = TableRows(table)
        return rows

    def skip(self, topic: Topic, why: str) -> None:
        """Count a record that has no row on purpose."""
        self.skipped[topic, why] += 1

    def accept(self, topic: Topic, kind: str) -> None:
        """Count an event that no worker counts."""
        self.accepted[topic, kind] += 1


#: Instants below 2^48 ms (the year 10889) and 16 bits of the content fit a UInt64.
_MAX_INSTANT: Final = (1 << 48) - 1


def first_wins(at_ms: int, *content: object) -> int:
    """Row version under which the earliest instant wins; ties are broken by the content."""
    return (_MAX_INSTANT - at_ms) << 16 | _digest(content)


def last_wins(at_ms: int, *content: object) -> int:
    """Row version under which the latest instant wins; ties are broken by the content."""
    return at_ms << 16 | _digest(content)


#: Above every version of `last_wins` for an instant below 2^47 ms (the year 6429).
_FOUND: Final = 1 << 63


def found_wins(found: bool, at_ms: int, *content: object) -> int:
    """Row version under which one that is found wins; else as last_wins. at_ms: below 2^47"""
    return (_FOUND if found else 0) | last_wins(at_ms, *content)


def _digest(content: tuple[object, ...]) -> int:
    return crc32(repr(content).encode()) & 0xFFFF


def published_at(record: Record) -> int:
    """Kafka timestamp of a record in epoch ms; 0: none."""
    return max(record.timestamp, 0)
