"""CSV (RFC 4180), for programs and any number of rows.

UTF-8; a header of the view's column names; texts quoted, numbers not; times in ISO 8601 with the
offset of the account's zone; unknown values empty; several values joined by ", ".
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Sequence
from typing import Any

from reports.definition.report import Column
from reports.exports.cells import Write, escape_formula, finite, iso_time_writer, joined, kind_of
from reports.exports.table import ExportDocument, ExportTable, OnProgress, rows_of


def csv_of(document: ExportDocument, on_progress: OnProgress) -> Iterator[bytes]:
    """The only table of a document, one piece for each block of rows."""
    (table,) = document.tables
    return _lines(table, document.zone, on_progress)


def _lines(table: ExportTable, zone: str, on_progress: OnProgress) -> Iterator[bytes]:
    writers = [_writer(column, zone) for column in table.columns]
    done = 0
    with rows_of(table) as blocks:
        yield _encoded([[column.name for column in table.columns]])
        for block in blocks:
            yield _encoded([_row(writers, row) for row in block])
            done += len(block)
            on_progress(done)


def _row(writers: Sequence[Write], row: Sequence[Any]) -> list[Any]:
    # No writer sees None: unknown values are empty.
    return [
        "" if value is None else write(value) for write, value in zip(writers, row, strict=True)
    ]


def _encoded(rows: Sequence[Sequence[Any]]) -> bytes:
    text = io.StringIO(newline="")
    # All texts are quoted: a program that splits at semicolons must not find a formula inside.
    csv.writer(text, quoting=csv.QUOTE_NONNUMERIC).writerows(rows)
    return text.getvalue().encode("utf-8", "replace")


def _writer(column: Column, zone: str) -> Write:
    kind = kind_of(column)
    if kind == "time":
        return iso_time_writer(column, zone)
    if kind == "date":
        return lambda value: value.isoformat()
    if kind == "flag":
        return lambda value: "true" if value else "false"
    if kind in ("list", "map"):
        return lambda value: escape_formula(joined(value))
    if kind == "number":
        return finite
    return lambda value: escape_formula(str(value))
