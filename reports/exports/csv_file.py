"""CSV by RFC 4180: for programs, and for rows without end.

UTF-8; a header of column names as in the view; texts always quoted, numbers never; times as ISO
8601 with the offset of the account's zone; unknown is empty; several values joined by ", ".
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Sequence
from typing import Any

from reports.definition.report import Column
from reports.exports.cells import Write, escape_formula, in_zone, joined, kind_of, number
from reports.exports.table import ExportDocument, OnProgress, Table, rows_of


def csv_of(book: ExportDocument, tell: OnProgress) -> Iterator[bytes]:
    """The only table of a book, a piece for every block."""
    (table,) = book.tables
    return _lines(table, book.zone, tell)


def _lines(table: Table, zone: str, tell: OnProgress) -> Iterator[bytes]:
    writers = [_writer(column, zone) for column in table.columns]
    done = 0
    with rows_of(table) as blocks:
        yield _written([[column.name for column in table.columns]])
        for block in blocks:
            yield _written([_row(writers, row) for row in block])
            done += len(block)
            tell(done)


def _row(writers: Sequence[Write], row: Sequence[Any]) -> list[Any]:
    # An unknown is written as '' by every writer alike.
    return [
        "" if value is None else write(value) for write, value in zip(writers, row, strict=True)
    ]


def _written(rows: Sequence[Sequence[Any]]) -> bytes:
    text = io.StringIO(newline="")
    # Quotes around every text: a program that splits at semicolons must not find a formula inside.
    csv.writer(text, quoting=csv.QUOTE_NONNUMERIC).writerows(rows)
    return text.getvalue().encode("utf-8", "replace")


def _writer(column: Column, zone: str) -> Write:
    kind = kind_of(column)
    if kind == "time":
        return in_zone(column, zone)
    if kind == "date":
        return lambda value: value.isoformat()
    if kind == "flag":
        return lambda value: "true" if value else "false"
    if kind in ("list", "map"):
        return lambda value: escape_formula(joined(value))
    if kind == "number":
        return number
    return lambda value: escape_formula(str(value))
