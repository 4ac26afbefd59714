"""The formats of exports, by name."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from itertools import chain
from typing import Final

import msgspec

from models.issues import Issue
from reports.definition.report import Section
from reports.exports.csv_file import csv_of
from reports.exports.json_file import json_of
from reports.exports.table import ExportDocument, OnProgress, document_of
from reports.exports.xlsx_file import xlsx_of
from reports.query.database import Database
from reports.query.query import InvalidQuery, ReportQuery

_UNSAFE: Final = re.compile(r"[^A-Za-z0-9._-]+")


class Format(msgspec.Struct, frozen=True):
    """One format. several: whether a file can hold several sections. pieces: writes a document."""

    name: str
    media_type: str
    several: bool
    pieces: Callable[[ExportDocument, OnProgress], Iterator[bytes]]


FORMATS: Final = {
    one.name: one
    for one in (
        Format("csv", "text/csv; charset=utf-8; header=present", False, csv_of),
        Format(
            "xlsx",
            "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
            True,
            xlsx_of,
        ),
        Format("json", "application/json", True, json_of),
    )
}


def _ignore(_: int) -> None:
    pass


def export(
    form: Format,
    database: Database,
    sections: Sequence[Section],
    query: ReportQuery,
    columns: Sequence[str] = (),
    limit: int = 0,
    on_progress: OnProgress = _ignore,
) -> Iterator[bytes]:
    """The bytes of a file, piece by piece.

    columns: names, when there is one section; none: those the query shows; "all": every one. limit:
    maximum rows of a `rows` section, 0 for all.

    The first piece is made before this returns, so most errors appear before anything is sent:
    raises InvalidQuery, and DatabaseError, which the iterator may raise too. Dropping the iterator
    ends the query.
    """
    return start_export(form, document_of(database, sections, query, columns, limit), on_progress)


def start_export(
    form: Format, document: ExportDocument, on_progress: OnProgress = _ignore
) -> Iterator[bytes]:
    """As `export`, of any document. Raises InvalidQuery when the format cannot hold its tables."""
    if not document.tables:
        raise InvalidQuery([Issue("section", "none is chosen", "choose at least one")])
    if len(document.tables) > 1 and not form.several:
        names = ", ".join(table.name for table in document.tables)
        problem = f"{form.name} holds one section, and {len(document.tables)} are chosen"
        raise InvalidQuery([Issue("section", problem, f"choose one of {names}")])
    pieces = form.pieces(document, on_progress)
    return chain((next(pieces),), pieces)


def file_name(form: Format, query: ReportQuery, sections: Sequence[Section]) -> str:
    """A safe file name: report, section if it is the only one, account, required filters, days."""
    report, period = query.report, query.period
    parts = [report.name]
    if len(sections) == 1:
        parts.append(sections[0].name)
    parts.append(query.account)
    parts += [str(query.values[one.name]) for one in report.own_filters if one.required]
    if query.has_period or report.range_days:
        parts += [period.first.isoformat(), period.last.isoformat()]
    return f"{'-'.join(_UNSAFE.sub('_', part) for part in parts if part)}.{form.name}"
