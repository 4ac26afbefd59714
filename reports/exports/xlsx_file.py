"""XLSX, for people: one sheet for each section, and one with the query and the meanings of columns.

Numbers are numbers and times are dates; phone numbers and ids are texts, never formulas or links.
Excel has no time zones: times are local to the account's zone, which their headings name. Rows that
do not fit a sheet continue in the next one.
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
from reports.exports.cells import Kind, finite, joined, kind_of
from reports.exports.table import ExportDocument, ExportTable, OnProgress, rows_of

#: Limits of Excel: rows of a sheet below its heading, characters of a cell and of a sheet's name.
MAX_SHEET_ROWS: Final = 1_048_575
MAX_CELL_LENGTH: Final = 32_767
_MAX_NAME_LENGTH: Final = 31
_PIECE_BYTES: Final = 1 << 16
_OPTIONS: Final = {
    "constant_memory": True,
    "use_zip64": True,
    "strings_to_formulas": False,
    "strings_to_urls": False,
    "strings_to_numbers": False,
}
_NUMBER_FORMATS: Final = {
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


def xlsx_of(
    document: ExportDocument, on_progress: OnProgress, max_rows: int = MAX_SHEET_ROWS
) -> Iterator[bytes]:
    """A document in pieces. It is written to a temporary folder first, so memory stays constant."""
    with tempfile.TemporaryDirectory(prefix="receipts-export-") as folder:
        path = Path(folder) / "book.xlsx"
        _Workbook(document, path, max_rows).write(on_progress)
        with path.open("rb") as file:
            while piece := file.read(_PIECE_BYTES):
                yield piece


class _Workbook:
    """Writes a document; xlsxwriter puts each row on disk at once."""

    def __init__(self, document: ExportDocument, path: Path, max_rows: int) -> None:
        self._document = document
        self._max_rows = max_rows
        self._file = xlsxwriter.Workbook(str(path), {**_OPTIONS, "tmpdir": str(path.parent)})
        self._bold = self._file.add_format({"bold": True})
        self._formats = {
            name: self._file.add_format({"num_format": text})
            for name, text in _NUMBER_FORMATS.items()
        }
        self._zone = ZoneInfo(document.zone)
        self._names: set[str] = set()
        self._done = 0

    def write(self, on_progress: OnProgress) -> None:
        for table in self._document.tables:
            self._table(table, on_progress)
        self._about()
        self._file.close()

    def _table(self, table: ExportTable, on_progress: OnProgress) -> None:
        kinds = [kind_of(column) for column in table.columns]
        formats = [self._formats.get(column.format) for column in table.columns]
        with rows_of(table) as blocks:
            sheet, place = self._sheet(table, kinds), 0
            for block in blocks:
                for row in block:
                    if place == self._max_rows:
                        sheet, place = self._sheet(table, kinds), 0
                    place += 1
                    self._row(sheet, place, kinds, formats, row)
                self._done += len(block)
                on_progress(self._done)

    def _sheet(self, table: ExportTable, kinds: Sequence[Kind]) -> Any:
        sheet = self._file.add_worksheet(self._name(table.title))
        sheet.freeze_panes(1, 0)
        for place, (column, kind) in enumerate(zip(table.columns, kinds, strict=True)):
            heading = _heading(column, kind, self._document.zone)
            width = max(_WIDTHS.get(kind, _TEXT_WIDTH), len(heading) + 2)
            sheet.set_column(place, place, width)
            sheet.write_string(0, place, heading, self._bold)
        return sheet

    def _name(self, title: str) -> str:
        """A unique name that Excel accepts: short, without []:*?/\\."""
        clean = "".join(letter for letter in title if letter not in "[]:*?/\\'")
        name, count = clean[:_MAX_NAME_LENGTH], 1
        while name.casefold() in self._names:
            count += 1
            suffix = f" {count}"
            name = clean[: _MAX_NAME_LENGTH - len(suffix)] + suffix
        self._names.add(name.casefold())
        return name

    def _row(
        self,
        sheet: Any,
        place: int,
        kinds: Sequence[Kind],
        formats: Sequence[Any],
        row: Sequence[Any],
    ) -> None:
        for column, (kind, format_, value) in enumerate(zip(kinds, formats, row, strict=True)):
            if value is not None:
                self._cell(sheet, (place, column), kind, format_, value)

    def _cell(self, sheet: Any, at: tuple[int, int], kind: Kind, format_: Any, value: Any) -> None:
        if kind == "time":
            sheet.write_datetime(*at, self._local(value), self._formats["time"])
        elif kind == "date":
            sheet.write_datetime(*at, value, self._formats["date"])
        elif kind == "flag":
            sheet.write_boolean(*at, bool(value))
        elif kind == "number":
            if finite(value) is not None:
                sheet.write_number(*at, value, format_)
        else:
            text = value if kind == "text" else joined(value)
            sheet.write_string(*at, str(text)[:MAX_CELL_LENGTH])

    def _local(self, value: datetime) -> datetime:
        return value.astimezone(self._zone).replace(tzinfo=None)

    def _about(self) -> None:
        """The query, and the meaning of every column."""
        sheet = self._file.add_worksheet(self._name("About"))
        sheet.set_column(0, 0, _TEXT_WIDTH)
        sheet.set_column(1, 1, _MEANING_WIDTH)
        lines: list[tuple[str, str, Any]] = [(self._document.title, "", self._bold)]
        lines += [(one.label, one.value, None) for one in self._document.query]
        for table in self._document.tables:
            lines += [("", "", None), (table.title, table.meaning, self._bold)]
            lines += [(column.label, column.meaning, None) for column in table.columns]
        for place, (label, text, format_) in enumerate(lines):
            sheet.write_string(place, 0, label, format_)
            sheet.write_string(place, 1, text[:MAX_CELL_LENGTH], format_)


def _heading(column: Column, kind: Kind, zone: str) -> str:
    return f"{column.label} ({zone})" if kind == "time" else column.label
