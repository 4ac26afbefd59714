"""XLSX: for people. A sheet a section, and one that says what was asked and what columns mean.

Numbers are numbers and times dates; numbers of phones and ids are texts, never formulas or links.
Excel knows no time zones: times are local times of the account's zone, said in their heading. A
sheet that is full goes on in the next one.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any, Final
from zoneinfo import ZoneInfo

import xlsxwriter  # type: ignore[import-untyped]

from reports.definition.report import Column
from reports.exports.cells import Kind, joined, kind_of, number
from reports.exports.table import ExportDocument, OnProgress, Table, rows_of

#: What a sheet of Excel holds besides its heading, and what one cell holds.
MOST_ROWS: Final = 1_048_575
MOST_CHARACTERS: Final = 32_767
_PIECE: Final = 1 << 16
_NAME_LENGTH: Final = 31
_OPTIONS: Final = {
    "constant_memory": True,
    "use_zip64": True,
    "strings_to_formulas": False,
    "strings_to_urls": False,
    "strings_to_numbers": False,
}
_LOOKS: Final = {
    "count": "#,##0",
    "credits": "#,##0.00####",
    "share": "0.0%",
    "seconds": "#,##0.0##",
    "time": "yyyy-mm-dd hh:mm:ss",
    "date": "yyyy-mm-dd",
}
_WIDTHS: Final[dict[Kind, int]] = {"time": 20, "date": 12, "number": 12, "flag": 10, "list": 30}
_TEXT_WIDTH: Final = 22
_MEANING_WIDTH: Final = 90


def xlsx_of(book: ExportDocument, tell: OnProgress, most_rows: int = MOST_ROWS) -> Iterator[bytes]:
    """A book in pieces. It is made in a temporary folder first, so memory stays the same."""
    with tempfile.TemporaryDirectory(prefix="receipts-export-") as folder:
        path = Path(folder) / "book.xlsx"
        _Workbook(book, path, most_rows).write(tell)
        with path.open("rb") as file:
            while piece := file.read(_PIECE):
                yield piece


class _Workbook:
    """A book while it is written; rows of a sheet go to disk one by one."""

    def __init__(self, book: ExportDocument, path: Path, most_rows: int) -> None:
        self._book = book
        self._most = most_rows
        self._file = xlsxwriter.Workbook(str(path), {**_OPTIONS, "tmpdir": str(path.parent)})
        self._bold = self._file.add_format({"bold": True})
        self._looks = {
            name: self._file.add_format({"num_format": look}) for name, look in _LOOKS.items()
        }
        self._zone = ZoneInfo(book.zone)
        self._names: set[str] = set()
        self._done = 0

    def write(self, tell: OnProgress) -> None:
        for table in self._book.tables:
            self._table(table, tell)
        self._about()
        self._file.close()

    def _table(self, table: Table, tell: OnProgress) -> None:
        kinds = [kind_of(column) for column in table.columns]
        looks = [self._looks.get(column.shown) for column in table.columns]
        with rows_of(table) as blocks:
            sheet, place = self._sheet(table, kinds), 0
            for block in blocks:
                for row in block:
                    if place == self._most:
                        sheet, place = self._sheet(table, kinds), 0
                    place += 1
                    self._row(sheet, place, kinds, looks, row)
                self._done += len(block)
                tell(self._done)

    def _sheet(self, table: Table, kinds: Sequence[Kind]) -> Any:
        sheet = self._file.add_worksheet(self._name(table.title))
        sheet.freeze_panes(1, 0)
        for place, (column, kind) in enumerate(zip(table.columns, kinds, strict=True)):
            heading = _heading(column, kind, self._book.zone)
            width = max(_WIDTHS.get(kind, _TEXT_WIDTH), len(heading) + 2)
            sheet.set_column(place, place, width)
            sheet.write_string(0, place, heading, self._bold)
        return sheet

    def _name(self, title: str) -> str:
        """A name Excel takes: short, without []:*?/\\, and not given yet."""
        clean = "".join(letter for letter in title if letter not in "[]:*?/\\'")
        name, number_ = clean[:_NAME_LENGTH], 1
        while name.casefold() in self._names:
            number_ += 1
            suffix = f" {number_}"
            name = clean[: _NAME_LENGTH - len(suffix)] + suffix
        self._names.add(name.casefold())
        return name

    def _row(
        self,
        sheet: Any,
        place: int,
        kinds: Sequence[Kind],
        looks: Sequence[Any],
        row: Sequence[Any],
    ) -> None:
        for column, (kind, look, value) in enumerate(zip(kinds, looks, row, strict=True)):
            if value is not None:
                self._cell(sheet, (place, column), kind, look, value)

    def _cell(self, sheet: Any, at: tuple[int, int], kind: Kind, look: Any, value: Any) -> None:
        if kind == "time":
            sheet.write_datetime(*at, self._local(value), self._looks["time"])
        elif kind == "date":
            sheet.write_datetime(*at, value, self._looks["date"])
        elif kind == "flag":
            sheet.write_boolean(*at, bool(value))
        elif kind == "number":
            if number(value) is not None:
                sheet.write_number(*at, value, look)
        else:
            text = value if kind == "text" else joined(value)
            sheet.write_string(*at, str(text)[:MOST_CHARACTERS])

    def _local(self, value: datetime) -> datetime:
        return value.astimezone(self._zone).replace(tzinfo=None)

    def _about(self) -> None:
        """What was asked, and the meaning of every column."""
        sheet = self._file.add_worksheet(self._name("About"))
        sheet.set_column(0, 0, _TEXT_WIDTH)
        sheet.set_column(1, 1, _MEANING_WIDTH)
        lines: list[tuple[str, str, Any]] = [(self._book.title, "", self._bold)]
        lines += [(fact.label, fact.words, None) for fact in self._book.query]
        for table in self._book.tables:
            lines += [("", "", None), (table.title, table.meaning, self._bold)]
            lines += [(column.label, column.meaning, None) for column in table.columns]
        for place, (label, words, look) in enumerate(lines):
            sheet.write_string(place, 0, label, look)
            sheet.write_string(place, 1, words[:MOST_CHARACTERS], look)


def _heading(column: Column, kind: Kind, zone: str) -> str:
    return f"{column.label} ({zone})" if kind == "time" else column.label
