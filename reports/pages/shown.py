"""A report as a page shows it: figures, charts and tables of words, ready for the templates."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Final

import msgspec
from markupsafe import Markup

from reports.asked import Asked
from reports.pages.palette import STATUS
from reports.pages.words import NUMERIC, shown, slot
from reports.report import Column, Section

Record = Mapping[str, Any]

PAGE_ROWS: Final = 25
#: Figures that are read first; the others stand smaller beneath them.
HEADLINES: Final = ("sent", "delivered", "queued", "undelivered", "rejected")
_WHOLE: Final = "sent"


class Heading(msgspec.Struct, frozen=True):
    """A column's heading, its meaning, and whether its cells are numbers under each other."""

    id: str
    label: str
    meaning: str
    numeric: bool


class Cell(msgspec.Struct, frozen=True):
    """One value in words. tone: a status with a colour. to: where it leads. iso: of a time."""

    text: str
    numeric: bool = False
    tone: str = ""
    to: str = ""
    iso: str = ""


class Figure(msgspec.Struct, frozen=True):
    """One number with its meaning. part: what part of all it is, in words."""

    heading: Heading
    text: str
    tone: str = ""
    part: str = ""


class Grid(msgspec.Struct, frozen=True):
    """A table and its place among all rows. first: 1 for the first. total: None: not counted."""

    headings: list[Heading]
    rows: list[list[Cell]]
    first: int = 1
    total: int | None = None
    before: str = ""
    after: str = ""

    @property
    def last(self) -> int:
        """Place of the last row shown."""
        return self.first + len(self.rows) - 1


class Block(msgspec.Struct, frozen=True):
    """One section of a report on its page."""

    section: Section
    headlines: list[Figure] = []
    figures: list[Figure] = []
    chart: Markup = Markup("")
    grid: Grid | None = None

    @property
    def headings(self) -> list[Heading]:
        """Every heading of it, for the list of meanings."""
        figures = [one.heading for one in (*self.headlines, *self.figures)]
        return figures + (self.grid.headings if self.grid else [])


def heading(section: Section, column: Column) -> Heading:
    """The heading of a column."""
    key = f"{section.name or section.report}-{column.name}".replace("_", "-")
    return Heading(key, column.label, column.meaning, column.shown in NUMERIC)


def figures(section: Section, record: Record, zone: str) -> tuple[list[Figure], list[Figure]]:
    """The figures of a section: those read first, and the others."""
    made = {one.name: _figure(section, one, record, zone) for one in section.columns}
    first = [made.pop(name) for name in HEADLINES if name in made]
    return (first, list(made.values())) if first else (list(made.values()), [])


def _figure(section: Section, column: Column, record: Record, zone: str) -> Figure:
    value, whole = record[column.name], record.get(_WHOLE)
    part = ""
    if column.shown == "count" and column.name in STATUS and whole:
        part = f"{value / whole:.1%} of sent"
    tone = column.name if column.name in STATUS else ""
    return Figure(heading(section, column), shown(column, value, zone) or "–", tone, part)


def grid(section: Section, records: Sequence[Record], asked: Asked) -> Grid:
    """All rows of a section as a table."""
    columns = [column for column in section.columns if not column.offered]
    rows = [[cell(section, column, one, asked) for column in columns] for one in records]
    return Grid([heading(section, column) for column in columns], rows, total=len(rows))


def cell(section: Section, column: Column, record: Record, asked: Asked) -> Cell:
    """One value of a row."""
    value, zone = record[column.name], asked.period.zone
    text = shown(column, value, zone)
    if isinstance(value, datetime):
        hours = asked.period.by_hour
        words = slot(value, zone, by_hour=hours) if column.name == "slot" else text
        return Cell(words, iso=value.isoformat())
    tone = text if text in STATUS and column.shown == "text" else ""
    return Cell(text, column.shown in NUMERIC, tone, leads_to(column, value))


def leads_to(column: Column, value: Any) -> str:
    """The page that tells more about a value; empty: none."""
    return ""
