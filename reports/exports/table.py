"""What is exported, whatever the file: tables of typed columns, and what was asked."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from typing import Any, Final, NamedTuple

import msgspec

from models.issues import Issue
from reports.definition.report import Column, Section
from reports.query.database import Database
from reports.query.query import InvalidQuery, ReportQuery

Blocks = Iterator[Sequence[tuple[Any, ...]]]
#: Told again and again how many rows of the file are written.
OnProgress = Callable[[int], None]


_AT_A_TIME: Final = 10_000


class Table(msgspec.Struct, frozen=True):
    """Rows to write. opened: a context with the blocks of rows, times aware and UTC."""

    name: str
    title: str
    meaning: str
    columns: tuple[Column, ...]
    opened: Callable[[], AbstractContextManager[Blocks]]


@contextmanager
def rows_of(table: Table) -> Iterator[Blocks]:
    """The rows of a table, few enough at a time that what is made of them is small."""
    with table.opened() as blocks:
        yield (
            block[start : start + _AT_A_TIME]
            for block in blocks
            for start in range(0, len(block), _AT_A_TIME)
        )


class QueryParam(NamedTuple):
    """One thing that was asked for: its name for programs, its label and words for people."""

    name: str
    label: str
    words: str


class ExportDocument(msgspec.Struct, frozen=True):
    """Tables that belong together.

    zone: IANA name; times are written in it. asked: what the question was.
    """

    name: str
    title: str
    zone: str
    query: tuple[QueryParam, ...]
    tables: tuple[Table, ...]


ALL: Final = "all"


def chosen(section: Section, query: ReportQuery, names: Sequence[str] = ()) -> tuple[Column, ...]:
    """Columns by name, in the order of the names; none: those that answer; "all": every one.

    Raises InvalidQuery.
    """
    if not names:
        return query.columns(section)
    if list(names) == [ALL]:
        return section.columns
    known = {column.name: column for column in section.columns}
    fix = f"use {', '.join(known)} or {ALL}"
    issues = [
        Issue("columns", f"{name!r} is no column of {section.title!r}", fix)
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
    """The answers to a question. columns: of the section, when it is only one. limit: 0 for all.

    Raises InvalidQuery; reads nothing yet.
    """
    if columns and len(sections) > 1:
        several = f"are given for {len(sections)} sections"
        raise InvalidQuery([Issue("columns", several, "choose one section with them")])
    tables = tuple(_table(database, section, query, columns, limit) for section in sections)
    report = query.report
    return ExportDocument(report.name, report.title, query.period.zone, _facts(query), tables)


def _table(
    database: Database, section: Section, query: ReportQuery, columns: Sequence[str], limit: int
) -> Table:
    wanted = chosen(section, query, columns)
    sql = _selected(section, wanted)
    return Table(
        section.name or section.report,
        section.title,
        section.meaning,
        wanted,
        lambda: database.blocks(sql, query.parameters(section, limit)),
    )


def _selected(section: Section, columns: Sequence[Column]) -> str:
    """The SELECT of some columns of a section, its rows in its order."""
    return f"SELECT {', '.join(column.name for column in columns)} FROM (\n{section.sql}\n)"


def _facts(query: ReportQuery) -> tuple[QueryParam, ...]:
    raw_params = {
        "account": [query.account],
        **query.raw_params(),
        "time_zone": [query.period.zone],
    }
    labels = {one.name: one.label for one in query.report.filters}
    labels["time_zone"] = "Time zone"
    return tuple(
        QueryParam(name, labels[name], ", ".join(words)) for name, words in raw_params.items()
    )


def rows_in_all(database: Database, sections: Sequence[Section], query: ReportQuery) -> int | None:
    """How many rows an export will have; None where that cannot be counted beforehand."""
    if any(section.shape != "rows" for section in sections):
        return None
    return sum(count_of(database, section, query) for section in sections)


def count_of(database: Database, section: Section, query: ReportQuery) -> int:
    """How many rows a `rows` section has in all."""
    found = database.rows(query.count_sql(section), query.parameters(section)).rows
    return int(found[0][0])
