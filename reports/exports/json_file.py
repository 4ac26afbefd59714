"""JSON: one object with the query under `asked` and the rows of each section, as a stream.

Numbers are numbers (credits too), shares 0 to 1, times ISO 8601 with the offset of the account's
zone, unknown values null.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Final

import msgspec

from reports.definition.report import Column
from reports.exports.cells import Write, finite, iso_time_writer, kind_of
from reports.exports.table import ExportDocument, ExportTable, OnProgress, rows_of

_ENCODER: Final = msgspec.json.Encoder(decimal_format="number")


def json_of(document: ExportDocument, on_progress: OnProgress) -> Iterator[bytes]:
    """All tables of a document, one piece for each block of rows."""
    head = {"report": document.name, "asked": {one.name: one.value for one in document.query}}
    start, done = _ENCODER.encode(head)[:-1] + b',"sections":{', 0
    for table in document.tables:
        with rows_of(table) as blocks:
            yield start + _ENCODER.encode(table.name) + b":["
            for piece, rows in _pieces(table, blocks, document.zone):
                yield piece
                done += rows
                on_progress(done)
        start = b"],"
    yield b"]}}\n"


def _pieces(table: ExportTable, blocks: Any, zone: str) -> Iterator[tuple[bytes, int]]:
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
        return iso_time_writer(column, zone)
    if kind == "flag":
        return bool
    if kind == "number":
        return finite
    return _unchanged


def _unchanged(value: Any) -> Any:
    return value
