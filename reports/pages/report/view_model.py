"""A report as a page shows it: figures, charts and tables of words, ready for the templates."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Final

import msgspec
from markupsafe import Markup

from reports.definition.report import Column, Section
from reports.formatting import NUMERIC, link, shown, slot
from reports.pages.charts.palette import STATUS
from reports.pages.report.drilldown import of_figure, of_value
from reports.query.query import ReportQuery

Record = Mapping[str, Any]

PAGE_ROWS: Final = 25
#: Figures that are read first, where a section has them all; the others stand smaller beneath.
HEADLINES: Final = (
    ("target_audience", "sent", "delivered", "failed", "bounced"),
    ("sent", "delivered", "queued", "undelivered", "rejected"),
    ("sent", "delivered", "read", "pending", "failed"),
    ("sent", "delivery_rate", "p50", "p95", "within_10s"),
)
_WHOLE: Final = "sent"
#: Columns of words that programs use: people read them without their underscores.
_WORDS: Final = frozenset({"source", "reasons"})
_PENDING: Final = frozenset({"submitted", "queued", "pending"})
_STATES: Final = frozenset({"carrier_status", "platform_status", "status", "state"})


class Heading(msgspec.Struct, frozen=True):
    """A column's heading, its meaning, and whether its cells are numbers under each other."""

    id: str
    label: str
    meaning: str
    numeric: bool


class Cell(msgspec.Struct, frozen=True):
    """One value in words. tone: a status with a colour. to: where it leads. iso: of a time.
    content: where the text of its message is."""

    text: str
    numeric: bool = False
    tone: str = ""
    to: str = ""
    iso: str = ""
    content: str = ""


class Figure(msgspec.Struct, frozen=True):
    """One number with its meaning. part: what part of all it is. to: who or what is behind it."""

    heading: Heading
    text: str
    tone: str = ""
    part: str = ""
    to: str = ""


class Grid(msgspec.Struct, frozen=True):
    """A table and its place among all rows. first: 1 for the first. total: of all pages."""

    headings: list[Heading]
    rows: list[list[Cell]]
    first: int = 1
    total: int = 0
    before: str = ""
    after: str = ""

    @property
    def last(self) -> int:
        """Place of the last row shown."""
        return self.first + len(self.rows) - 1


class Picture(msgspec.Struct, frozen=True):
    """A chart: what it shows, and the drawing."""

    title: str
    svg: Markup


class Block(msgspec.Struct, frozen=True):
    """One section of a report on its page. note: what else should be said of it."""

    section: Section
    headlines: list[Figure] = []
    figures: list[Figure] = []
    pictures: list[Picture] = []
    grid: Grid | None = None
    note: str = ""
    empty: bool = False
    pending: bool = False

    @property
    def headings(self) -> list[Heading]:
        """Every heading of it, for the list of meanings."""
        figures = [one.heading for one in (*self.headlines, *self.figures)]
        return figures + (self.grid.headings if self.grid else [])

    @property
    def facts(self) -> bool:
        """Whether its figures are words."""
        return not any(column.shown in NUMERIC for column in self.section.columns)


def heading(section: Section, column: Column) -> Heading:
    """The heading of a column."""
    key = f"{section.view}-{column.name}".replace("_", "-")
    return Heading(key, column.label, column.meaning, column.shown in NUMERIC)


def figures(
    section: Section, record: Record, query: ReportQuery
) -> tuple[list[Figure], list[Figure]]:
    """The figures of a section: those read first, and the others."""
    made = {one.name: _figure(section, one, record, query) for one in section.columns}
    names = next((names for names in HEADLINES if made.keys() >= set(names)), ())
    return [made.pop(name) for name in names], list(made.values())


def _figure(section: Section, column: Column, record: Record, query: ReportQuery) -> Figure:
    value, whole = record[column.name], record.get(_WHOLE)
    part = ""
    if column.shown == "count" and column.name in STATUS and whole:
        part = f"{value / whole:.1%} of sent"
    tone = column.name if column.name in STATUS else ""
    text = shown(column, value, query.period.zone) or "–"
    return Figure(heading(section, column), text, tone, part, of_figure(section, column, query))


def grid(
    section: Section, columns: Sequence[Column], records: Sequence[Record], query: ReportQuery
) -> Grid:
    """Records as a table; where a message has a content, it comes when somebody asks for it."""
    headings = [heading(section, column) for column in columns]
    rows = [[cell(column, one, query) for column in columns] for one in records]
    content = next((one for one in section.columns if one.name == "content"), None)
    if content is None or content in columns:
        return Grid(headings, rows, total=len(rows))
    start = [place for place, one in enumerate(columns) if one.name == "start_of_content"]
    for row, record in zip(rows, records, strict=True):
        text = row.pop(start[0]).text if start else "Show"
        row.append(Cell(text, content=link("/text", {}, message_id=record["message_id"])))
    headings = [one for place, one in enumerate(headings) if place not in start]
    return Grid([*headings, heading(section, content)], rows, total=len(rows))


def cell(column: Column, record: Record, query: ReportQuery) -> Cell:
    """One value of a row."""
    value, zone = record[column.name], query.period.zone
    text = shown(column, value, zone)
    if isinstance(value, datetime):
        hours = query.period.by_hour
        words = slot(value, zone, by_hour=hours) if column.name == "slot" else text
        return Cell(words, iso=value.isoformat())
    tone = text if column.name in _STATES and text in STATUS else ""
    text = text.replace("_", " ") if column.name in _WORDS else text
    return Cell(text, column.shown in NUMERIC, tone, of_value(column, record, query))


def is_empty(section: Section, records: Sequence[Record]) -> bool:
    """Whether there is nothing to see: no rows, or figures that count nothing."""
    if section.shape != "figures" or not records:
        return not records
    counted = [one.name for one in section.columns if one.shown == "count"]
    return bool(counted) and not any(records[0][name] for name in counted)


def is_pending(records: Sequence[Record]) -> bool:
    """Whether some message still waits for its outcome."""
    return any(
        one.get("queued") or any(one.get(name) in _PENDING for name in _STATES - {"status"})
        for one in records
    )
