"""Results as tables in a terminal, with values formatted as on the pages."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Any, Final

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.measure import Measurement
from rich.table import Table
from rich.text import Text

from reports.definition.report import Column, Section, Shape
from reports.exports import document_of
from reports.formatting import NUMERIC, format_value
from reports.query.database import Database
from reports.query.fetch import count_of
from reports.query.nothing import nothing_found
from reports.query.query import ReportQuery

_WIDEST: Final = 10_000


def print_sections(
    database: Database,
    sections: Sequence[Section],
    query: ReportQuery,
    columns: Sequence[str],
    limit: int,
) -> None:
    """Print sections one after the other. limit: most rows of a section; 0: all."""
    zone = query.period.zone
    _print(Text(" · ".join([query.report.title, query.account, *_days(query), zone]), "bold"))
    book = document_of(database, sections, query, columns, limit + 1 if limit else 0)
    for section, table in zip(sections, book.tables, strict=True):
        if section.name:
            _print(Text(f"\n{section.title}"))
        with table.open_blocks() as blocks:
            rows = [row for block in blocks for row in block]
        most = limit if limit and section.shape == "rows" else len(rows)
        nothing = nothing_found(query) if section.shape == "rows" else "none"
        _print(_table(section.shape, table.columns, rows[:most], zone, nothing))
        if len(rows) > most:
            _print(Text(_more(database, section, query, most)))


def _days(query: ReportQuery) -> list[str]:
    period = query.period
    if not (query.has_period or query.report.range_days):
        return []
    return [f"{period.first} to {period.last}" if period.days > 1 else f"{period.first}"]


def _more(database: Database, section: Section, query: ReportQuery, most: int) -> str:
    total = count_of(database, section, query)
    return f"{most:,} of {total:,} rows. All of them: --limit 0, or -o FILE"


def _table(
    shape: Shape,
    columns: Sequence[Column],
    rows: Sequence[tuple[Any, ...]],
    zone: str,
    nothing: str,
) -> Table | Text:
    if not rows:
        return Text(nothing)
    if shape == "figures":
        return _figures(columns, rows[0], zone)
    return _rows(columns, rows, zone)


def show_rows(columns: Sequence[Column], rows: Sequence[tuple[Any, ...]], zone: str) -> None:
    """Print rows under their headings."""
    _print(_rows(columns, rows, zone))


def _rows(columns: Sequence[Column], rows: Sequence[tuple[Any, ...]], zone: str) -> Table:
    table = Table(box=SIMPLE_HEAD, pad_edge=False, show_edge=False)
    for column in columns:
        table.add_column(Text(column.label), no_wrap=True, justify=_side(column))
    for row in rows:
        table.add_row(*(_cell(*pair, zone) for pair in zip(columns, row, strict=True)))
    return table


def _figures(columns: Sequence[Column], row: tuple[Any, ...], zone: str) -> Table:
    table = Table(box=None, show_header=False, pad_edge=False)
    table.add_column()
    # Numbers under numbers; where there are texts too, everything starts on the left.
    numbers = all(column.format in NUMERIC for column in columns)
    table.add_column(justify="right" if numbers else "left")
    for column, value in zip(columns, row, strict=True):
        table.add_row(Text(column.label), _cell(column, value, zone))
    return table


def _side(column: Column) -> Any:
    return "right" if column.format in NUMERIC else "left"


def _cell(column: Column, value: Any, zone: str) -> Text:
    # Texts from messages must not move the cursor or set colours.
    words = format_value(column, value, zone)
    return Text("".join(letter if letter.isprintable() else " " for letter in words))


def _print(what: Table | Text) -> None:
    """Prints in full width: a terminal wraps lines itself, a pipe needs them whole."""
    console = Console(file=sys.stdout, highlight=False)
    wide = console.options.update(width=_WIDEST)
    console.width = max(Measurement.get(console, wide, what).maximum, 1)
    console.print(what, no_wrap=True, crop=False)
