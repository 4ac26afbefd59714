"""What an export holds, in any format: tables of typed columns, and the query."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from typing import Any, Final, NamedTuple

import msgspec

from models.issues import Issue
from reports.definition.report import Column, Section
from reports.query.database import Database
from reports.query.fetch import computed_rows, count_of
from reports.query.query import InvalidQuery, ReportQuery

Blocks = Iterator[Sequence[tuple[Any, ...]]]
OnProgress = Callable[[int], None]
"""Called after each block with the number of rows written so far."""

ALL_COLUMNS: Final = "all"
_MAX_BLOCK_ROWS: Final = 10_000


class ExportTable(msgspec.Struct, frozen=True):
    """Rows to write. open_blocks: a context with the blocks of rows; times are aware and UTC."""

    name: str
    title: str
    meaning: str
    columns: tuple[Column, ...]
    open_blocks: Callable[[], AbstractContextManager[Blocks]]


@contextmanager
def rows_of(table: ExportTable) -> Iterator[Blocks]:
    """The rows of a table in blocks small enough that their encoded forms are small too."""
    with table.open_blocks() as blocks:
        yield (
            block[start : start + _MAX_BLOCK_ROWS]
            for block in blocks
            for start in range(0, len(block), _MAX_BLOCK_ROWS)
        )


class QueryParam(NamedTuple):
    """One parameter of a query. name: for programs. label, value: for people."""

    name: str
    label: str
    value: str


class ExportDocument(msgspec.Struct, frozen=True):
    """The tables of an export. zone: IANA name; times are written in it."""

    name: str
    title: str
    zone: str
    query: tuple[QueryParam, ...]
    tables: tuple[ExportTable, ...]


def chosen_columns(
    section: Section, query: ReportQuery, names: Sequence[str] = ()
) -> tuple[Column, ...]:
    """Columns by name, in the order of the names; none: those the query shows; "all": every one.

    Raises InvalidQuery.
    """
    if not names:
        return query.columns(section)
    if list(names) == [ALL_COLUMNS]:
        return section.columns
    known = {column.name: column for column in section.columns}
    fix = f"use {', '.join(known)} or {ALL_COLUMNS}"
    issues = [
        Issue("columns", f"{name!r} is not a column of {section.title!r}", fix)
        for name in names
        if name not in known
    ]
    if issues:
        raise InvalidQuery(issues)
    return tuple(known[name] for name in dict.fromkeys(names))


def document_of(
    database: Database,
    sections: Sequence[Section],
    query: ReportQuery,
    columns: Sequence[str] = (),
    limit: int = 0,
) -> ExportDocument:
    """An export of sections. Reads nothing yet. Raises InvalidQuery.

    columns: names, when there is one section. limit: maximum rows of a `rows` section, 0 for all.
    """
    if columns and len(sections) > 1:
        problem = f"are given for {len(sections)} sections"
        raise InvalidQuery([Issue("columns", problem, "choose one section with them")])
    tables = tuple(_table(database, section, query, columns, limit) for section in sections)
    report = query.report
    return ExportDocument(
        report.name, report.title, query.period.zone, _query_params(query), tables
    )


def _table(
    database: Database, section: Section, query: ReportQuery, columns: Sequence[str], limit: int
) -> ExportTable:
    chosen = chosen_columns(section, query, columns)
    return ExportTable(
        section.option,
        section.title,
        section.meaning,
        chosen,
        lambda: _blocks(database, section, chosen, query, limit),
    )


@contextmanager
def _blocks(
    database: Database, section: Section, chosen: Sequence[Column], query: ReportQuery, limit: int
) -> Iterator[Blocks]:
    computes = any(column.computed for column in chosen)
    read = section.view_columns if computes else chosen
    names = [column.name for column in read]
    sql = f"SELECT {', '.join(names)} FROM (\n{query.sql(section)}\n)"
    with database.blocks(sql, query.parameters(section, limit)) as blocks:
        yield (list(computed_rows(chosen, names, block)) if computes else block for block in blocks)


def _query_params(query: ReportQuery) -> tuple[QueryParam, ...]:
    params = {
        "account": [query.account],
        **query.raw_params(),
        "time_zone": [query.period.zone],
    }
    labels = {one.name: one.label for one in query.report.filters}
    labels["time_zone"] = "Time zone"
    return tuple(QueryParam(name, labels[name], ", ".join(params[name])) for name in params)


def total_rows(database: Database, sections: Sequence[Section], query: ReportQuery) -> int | None:
    """Number of rows of an export; None when a section cannot be counted beforehand."""
    if any(section.shape != "rows" for section in sections):
        return None
    return sum(count_of(database, section, query) for section in sections)
