"""What templates render: figures, charts and tables as texts."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Final

import msgspec
from markupsafe import Markup

from models.codes.reasons import OTHER
from reports.definition.report import Column, Section
from reports.formatting import NUMERIC, format_slot, format_value
from reports.pages.charts.palette import STATUS
from reports.pages.links import link
from reports.pages.report.drilldown import of_figure, of_value
from reports.query.database import RowDict
from reports.query.query import ReportQuery

#: Figures shown large, where a section has all of a line; the others follow in small.
HEADLINES: Final = (
    ("target_audience", "sent", "delivered", "failed", "bounced"),
    ("sent", "delivered", "queued", "undelivered", "rejected"),
    ("sent", "delivered", "read", "pending", "failed"),
    ("sent", "delivery_rate", "p50", "p95", "within_10s"),
)
#: Columns of identifiers, shown without their underscores.
_IDENTIFIERS: Final = frozenset({"source", "reasons", "suppression_reasons"})
_PENDING: Final = frozenset({"submitted", "queued", "pending"})
_STATES: Final = frozenset({"carrier_status", "platform_status", "status", "state"})


class Heading(msgspec.Struct, frozen=True):
    """Heading of a column. numeric: whether its cells are right-aligned."""

    id: str
    label: str
    meaning: str
    numeric: bool


class TableCell(msgspec.Struct, frozen=True):
    """One value as text.

    tone: the status that gives it a colour. to: address it links to. iso: a time in ISO 8601.
    content: address of the message's text. "" for none.
    """

    text: str
    numeric: bool = False
    tone: str = ""
    to: str = ""
    iso: str = ""
    content: str = ""


class Figure(msgspec.Struct, frozen=True):
    """One figure. part: its share of the messages sent. to: address of what is behind it."""

    heading: Heading
    text: str
    tone: str = ""
    part: str = ""
    to: str = ""


class Grid(msgspec.Struct, frozen=True):
    """A page of a table.

    first: place of its first row, from 1. total: rows of all pages. before, after: addresses of the
    pages next to it.
    """

    headings: list[Heading]
    rows: list[list[TableCell]]
    first: int = 1
    total: int = 0
    before: str = ""
    after: str = ""

    @property
    def last(self) -> int:
        """Place of its last row."""
        return self.first + len(self.rows) - 1


class Picture(msgspec.Struct, frozen=True):
    """A chart."""

    title: str
    svg: Markup


class Block(msgspec.Struct, frozen=True):
    """One section of a report on its page.

    headlines, figures: large and small figures. pending: whether a message may still change them.
    """

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
        """All its headings, for the list of meanings."""
        figures = [one.heading for one in (*self.headlines, *self.figures)]
        return figures + (self.grid.headings if self.grid else [])

    @property
    def is_text(self) -> bool:
        """Whether its figures are texts, or texts and numbers."""
        return _has_texts(self.section)


def heading(section: Section, column: Column) -> Heading:
    """The heading of a column; its id is unique on a page."""
    key = f"{section.view}-{column.name}".replace("_", "-")
    return Heading(key, column.label, column.meaning, column.format in NUMERIC)


def figures(
    section: Section, record: RowDict, query: ReportQuery
) -> tuple[list[Figure], list[Figure]]:
    """The headlines and the other figures of a section."""
    made = {one.name: _figure(section, one, record, query) for one in section.columns}
    names = next((names for names in HEADLINES if made.keys() >= set(names)), ())
    return [made.pop(name) for name in names], list(made.values())


def _figure(section: Section, column: Column, record: RowDict, query: ReportQuery) -> Figure:
    value, sent = record[column.name], record.get("sent")
    part = ""
    if column.format == "count" and column.name in STATUS and sent:
        part = f"{value / sent:.1%} of sent"
    tone = column.name if column.name in STATUS else ""
    text = _plain(column, format_value(column, value, query.period.zone)) or "–"
    to = of_figure(section, column, query) or of_value(column, record, query)
    return Figure(heading(section, column), text, tone, part, to)


def grid(
    section: Section, columns: Sequence[Column], records: Sequence[RowDict], query: ReportQuery
) -> Grid:
    """Records as a table. Texts of messages become links that load them on demand."""
    headings = [heading(section, column) for column in columns]
    rows = [[cell(column, one, query) for column in columns] for one in records]
    content = next((one for one in section.columns if one.name == "content"), None)
    if content is None or content in columns:
        return Grid(headings, rows, total=len(rows))
    start = [place for place, one in enumerate(columns) if one.name == "start_of_content"]
    for row, record in zip(rows, records, strict=True):
        text = row.pop(start[0]).text if start else "Show"
        row.append(TableCell(text, content=link("/text", {}, message_id=record["message_id"])))
    headings = [one for place, one in enumerate(headings) if place not in start]
    return Grid([*headings, heading(section, content)], rows, total=len(rows))


def cell(column: Column, record: RowDict, query: ReportQuery) -> TableCell:
    """One value of a record."""
    value, zone = record[column.name], query.period.zone
    text = format_value(column, value, zone)
    to = of_value(column, record, query)
    if isinstance(value, datetime):
        if column.name == "slot":
            text = format_slot(value, zone, by_hour=query.period.by_hour)
        return TableCell(text, to=to, iso=value.isoformat())
    tone = text if column.name in _STATES and text in STATUS else ""
    if value == OTHER and column.name == "fail_reason" and record.get("error_text"):
        text = f"{text}: {record['error_text']}"
    return TableCell(_plain(column, text), column.format in NUMERIC, tone, to)


def _plain(column: Column, text: str) -> str:
    return text.replace("_", " ") if column.name in _IDENTIFIERS else text


def is_empty(section: Section, records: Sequence[RowDict]) -> bool:
    """Whether there are no rows, or only counts of 0."""
    if section.shape != "figures" or not records or _has_texts(section):
        return not records
    counted = [one.name for one in section.columns if one.format == "count"]
    return bool(counted) and not any(records[0][name] for name in counted)


def _has_texts(section: Section) -> bool:
    return any(column.format == "text" for column in section.columns)


def is_pending(records: Sequence[RowDict]) -> bool:
    """Whether a message still waits for its outcome."""
    return any(
        one.get("queued") or any(one.get(name) in _PENDING for name in _STATES - {"status"})
        for one in records
    )
