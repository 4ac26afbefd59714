"""Runs the queries of a report's sections, in as few and as small reads as they need."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby
from typing import Any

from reports.definition.report import Column, Section
from reports.query.database import Database, Rows
from reports.query.query import ReportQuery

SectionGroup = tuple[Section, ...]
"""Sections whose rows one read returns."""


def group_reads(sections: Sequence[Section]) -> list[SectionGroup]:
    """Groups sections by the read that returns their rows; those of a shared query are adjacent."""
    groups = groupby(sections, key=lambda one: one.shared_query or one)
    return [tuple(group) for _, group in groups]


def fetch(
    database: Database, query: ReportQuery, group: SectionGroup, limit: int = 0, offset: int = 0
) -> list[Rows]:
    """The rows of each section of a group. Raises DatabaseError.

    limit: maximum rows of a `rows` section, 0 for all. offset: rows before the first.
    """
    if len(group) > 1:
        return _fetch_shared(database, query, group)
    (section,) = group
    if section.newest_first and limit:
        return [_fetch_newest(database, query, section, limit, offset)]
    found = database.rows(query.sql(section), query.parameters(section, limit, offset))
    return [_with_computed(found, section)]


def count_of(database: Database, section: Section, query: ReportQuery) -> int:
    """Total number of rows of a `rows` section. Raises DatabaseError."""
    found = database.rows(query.count_sql(section), query.parameters(section)).rows
    return int(found[0][0])


def left_out(database: Database, query: ReportQuery) -> int:
    """Number of suppressed people whom a query leaves out. Raises DatabaseError."""
    whole, section = query.with_suppressed(), query.report.sections[0]
    if whole == query:
        return 0
    return count_of(database, section, whole) - count_of(database, section, query)


def _fetch_newest(
    database: Database, query: ReportQuery, section: Section, limit: int, offset: int
) -> Rows:
    """Tries the newest sixteenth of the period first and reads all of it only if that does not fill
    the page."""
    since = query.period.newest_since(query.now)
    if since:
        found = database.rows(query.sql(section), query.parameters(section, limit, offset, since))
        if len(found.rows) == limit:
            return found
    return database.rows(query.sql(section), query.parameters(section, limit, offset))


def _with_computed(found: Rows, section: Section) -> Rows:
    if section.view_columns == section.columns:
        return found
    rows = list(computed_rows(section.columns, found.names, found.rows))
    return Rows(tuple(column.name for column in section.columns), rows)


def computed_rows(
    columns: Sequence[Column], names: Sequence[str], rows: Iterable[tuple[Any, ...]]
) -> Iterator[tuple[Any, ...]]:
    """Rows in some columns, computed ones included. names: of the columns of the given rows."""
    for row in rows:
        record = dict(zip(names, row, strict=True))
        yield tuple(one.computed(record) if one.computed else record[one.name] for one in columns)


def _fetch_shared(database: Database, query: ReportQuery, group: SectionGroup) -> list[Rows]:
    shared = group[0].shared_query
    assert shared is not None
    found = database.rows(shared.sql, query.parameters(shared))
    return [_rows_of(found, section) for section in group]


def _rows_of(found: Rows, section: Section) -> Rows:
    """The rows of one section out of a shared query, in the section's columns."""
    names = tuple(column.name for column in section.columns)
    if not found.rows:  # then the driver reports no column names
        return Rows(names, [])
    label, places = found.names.index("section"), [found.names.index(name) for name in names]
    rows = [tuple(row[i] for i in places) for row in found.rows if row[label] == section.name]
    return Rows(names, rows)
