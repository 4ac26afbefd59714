"""The answers to a question, in as few and as small reads as they need."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby

from reports.definition.report import Section
from reports.query.database import Database, Rows
from reports.query.query import ReportQuery

SectionGroup = tuple[Section, ...]
"""Sections that one read answers."""


def group_reads(sections: Sequence[Section]) -> list[SectionGroup]:
    """The sections by the read that answers them; those of a pass stand side by side."""
    kept = groupby(sections, key=lambda one: one.within or one)
    return [tuple(together) for _, together in kept]


def fetch(
    database: Database, query: ReportQuery, together: SectionGroup, limit: int = 0, offset: int = 0
) -> list[Rows]:
    """The rows of each of some sections that one read answers. Raises DatabaseError.

    limit: rows of a `rows` section at most, 0 for all.
    """
    if len(together) == 1:
        (section,) = together
        if section.newest_first and limit:
            return [_newest(database, query, section, limit, offset)]
        return [database.rows(section.sql, query.parameters(section, limit, offset))]
    return _fetch_shared(database, query, together)


def _newest(
    database: Database, query: ReportQuery, section: Section, limit: int, offset: int
) -> Rows:
    """A page of the newest rows: most often the newest part of the period fills it, and the rest
    need not be read."""
    recent = query.period.recent(query.now)
    if recent:
        found = database.rows(section.sql, query.parameters(section, limit, offset, recent))
        if len(found.rows) == limit:
            return found
    return database.rows(section.sql, query.parameters(section, limit, offset))


def _fetch_shared(database: Database, query: ReportQuery, together: SectionGroup) -> list[Rows]:
    within = together[0].within
    assert within is not None
    found = database.rows(within.sql, query.parameters(within))
    return [_part(found, section) for section in together]


def _part(found: Rows, section: Section) -> Rows:
    """What a pass found for one section, in its columns."""
    names = tuple(column.name for column in section.columns)
    if not found.rows:  # the driver names no columns then
        return Rows(names, [])
    of, places = found.names.index("section"), [found.names.index(name) for name in names]
    rows = [tuple(row[i] for i in places) for row in found.rows if row[of] == section.name]
    return Rows(names, rows)
