"""JSON: one object with what was asked and, by section, its rows as objects; written as a stream.

Numbers are numbers (credits too), shares 0 to 1, times ISO 8601 with the offset of the account's
zone, unknown is null.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Final

import msgspec

from reports.definition.report import Column
from reports.exports.cells import Write, in_zone, kind_of, number
from reports.exports.table import ExportDocument, OnProgress, Table, rows_of

_ENCODER: Final = msgspec.json.Encoder(decimal_format="number")


def json_of(book: ExportDocument, tell: OnProgress) -> Iterator[bytes]:
    """All tables of a book, a piece for every block."""
    head = {"report": book.name, "asked": {fact.name: fact.words for fact in book.query}}
    start, done = _ENCODER.encode(head)[:-1] + b',"sections":{', 0
    for table in book.tables:
        with rows_of(table) as blocks:
            yield start + _ENCODER.encode(table.name) + b":["
            for piece, rows in _pieces(table, blocks, book.zone):
                yield piece
                done += rows
                tell(done)
        start = b"],"
    yield b"]}}\n"


def _pieces(table: Table, blocks: Any, zone: str) -> Iterator[tuple[bytes, int]]:
    writers = [_writer(column, zone) for column in table.columns]
    names = [column.name for column in table.columns]
    between = b"\n"
    for block in blocks:
        rows = [_ENCODER.encode(_record(names, writers, row)) for row in block]
        if rows:
            yield between + b",\n".join(rows), len(rows)
            between = b",\n"


def _record(names: Sequence[str], writers: Sequence[Write], row: Sequence[Any]) -> dict[str, Any]:
    return {
        name: None if value is None else write(value)
        for name, write, value in zip(names, writers, row, strict=True)
    }


def _writer(column: Column, zone: str) -> Write:
    kind = kind_of(column)
    if kind == "time":
        return in_zone(column, zone)
    if kind == "flag":
        return bool
    if kind == "number":
        return number
    return _as_it_is


def _as_it_is(value: Any) -> Any:
    return value
