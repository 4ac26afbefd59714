"""Exports: files hold the rows of the query, and no spreadsheet runs texts as formulas."""

import csv
import io
import json
import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import openpyxl
import pytest

from reports.catalogue import BY_NAME, REPORTS
from reports.definition.report import Column, Report, Section
from reports.exports import (
    FORMATS,
    ExportDocument,
    ExportTable,
    QueryParam,
    chosen_columns,
    export,
    file_name,
    start_export,
    total_rows,
)
from reports.exports.xlsx_file import MAX_CELL_LENGTH, xlsx_of
from reports.query.database import connect as connect_reports
from reports.query.query import InvalidQuery, ReportQuery, parse_query
from reports.views import statements
from sinks.client import connect
from sinks.migrate import migrate
from tests.reports.queries import ZONE, biggest, example_query
from tests.reports.world import World
from tests.support.front import Front

SECTIONS = [(report, section) for report in REPORTS for section in report.sections]
IDS = [section.view for _, section in SECTIONS]
MILLISECOND = timedelta(milliseconds=1)

every_section = pytest.mark.parametrize(("report", "section"), SECTIONS, ids=IDS)


@pytest.fixture
def world(worlds: list[World]) -> World:
    """One is enough: what reports say of it is the business of other tests."""
    return worlds[0]


# --- every section, read back -----------------------------------------------------------------


def rows_of(world: World, section: Section, query: ReportQuery) -> list[tuple[Any, ...]]:
    """The rows of a section, in the columns of an export by default."""
    found = world.database.rows(section.sql, query.parameters(section))
    if not found.rows:  # then the driver may not name the columns
        return []
    return [
        tuple(
            one.computed(record) if one.computed else record[one.name]
            for one in chosen_columns(section, query)
        )
        for record in found.records()
    ]


def is_same(cell: str, value: Any) -> bool:
    """Whether a cell of CSV says a value."""
    if value is None:
        return cell == ""
    if isinstance(value, datetime):
        read = datetime.fromisoformat(cell)
        return read == value and read.utcoffset() == value.astimezone(ZoneInfo(ZONE)).utcoffset()
    if isinstance(value, bool):
        return cell == str(value).lower()
    if isinstance(value, (int, float, Decimal)):
        return Decimal(cell) == Decimal(repr(value) if isinstance(value, float) else value)
    if isinstance(value, list):
        return cell == ", ".join(value)
    return cell.removeprefix("'") == value


@every_section
def test_csv_says_what_the_section_says(world: World, report: Report, section: Section) -> None:
    query = example_query(world, report)
    text = b"".join(export(FORMATS["csv"], world.database, [section], query)).decode()
    head, *rows = csv.reader(io.StringIO(text))
    expected = rows_of(world, section, query)
    assert head == [column.name for column in chosen_columns(section, query)]
    assert len(rows) == len(expected)
    for row, values in zip(rows, expected, strict=True):
        assert all(map(is_same, row, values)), (row, values)
    if section.shape == "rows":
        assert total_rows(world.database, [section], query) == len(rows)


@pytest.mark.parametrize("report", REPORTS, ids=lambda report: report.name)
def test_json_says_what_the_sections_say(world: World, report: Report) -> None:
    query = example_query(world, report)
    pieces = export(FORMATS["json"], world.database, report.sections, query)
    content = json.loads(b"".join(pieces), parse_float=Decimal)
    assert content["report"] == report.name
    assert content["asked"]["account"] == query.account
    assert content["asked"]["time_zone"] == ZONE
    assert list(content["sections"]) == [one.name or report.name for one in report.sections]
    for section, records in zip(report.sections, content["sections"].values(), strict=True):
        expected = rows_of(world, section, query)
        assert len(records) == len(expected)
        for record, values in zip(records, expected, strict=True):
            assert list(record) == [column.name for column in chosen_columns(section, query)]
            for read, value in zip(record.values(), values, strict=True):
                if isinstance(value, datetime):
                    assert datetime.fromisoformat(read) == value
                elif isinstance(value, float):
                    assert float(read) == value
                else:
                    assert read == value


@pytest.mark.parametrize("report", REPORTS, ids=lambda report: report.name)
def test_xlsx_says_what_the_sections_say(world: World, report: Report) -> None:
    query = example_query(world, report)
    pieces = export(FORMATS["xlsx"], world.database, report.sections, query)
    book = openpyxl.load_workbook(io.BytesIO(b"".join(pieces)))
    assert len(book.sheetnames) == len(report.sections) + 1
    for section, sheet in zip(report.sections, book.worksheets, strict=False):
        columns, expected = chosen_columns(section, query), rows_of(world, section, query)
        head, *rows = sheet.iter_rows()
        assert sheet.freeze_panes == "A2"
        assert [cell.value.removesuffix(f" ({ZONE})") for cell in head] == [
            column.label for column in columns
        ]
        assert len(rows) == len(expected)
        for row, values in zip(rows, expected, strict=True):
            for column, cell, value in zip(columns, row, values, strict=True):
                assert is_shown(column, cell, value), (column.name, cell.value, value)


def is_shown(column: Column, cell: Any, value: Any) -> bool:
    """Whether a cell of a sheet holds a value, in its own type."""
    if value is None or value in ("", []):
        return not cell.value
    if isinstance(value, datetime):
        local = value.astimezone(ZoneInfo(ZONE)).replace(tzinfo=None)
        return cell.is_date and abs(cell.value - local) <= MILLISECOND
    if column.format == "flag":
        return cell.value is bool(value)
    if isinstance(value, (int, float, Decimal)):
        percent = column.format == "share"
        return cell.value == pytest.approx(float(value)) and ("%" in cell.number_format) is percent
    text = ", ".join(value) if isinstance(value, list) else value
    return cell.data_type == "s" and cell.value == text


def test_a_workbook_holds_the_query_and_the_meanings_of_columns(world: World) -> None:
    report = BY_NAME["messages"]
    query = parse_query(report, biggest(world), ZONE, {"source": ["direct", "program"]}, world.now)
    pieces = export(FORMATS["xlsx"], world.database, report.sections, query)
    sheet = openpyxl.load_workbook(io.BytesIO(b"".join(pieces)))["About"]
    lines = list(sheet.iter_rows(values_only=True))
    end = lines.index((None, None)) if (None, None) in lines else lines.index(("", ""))
    params, meant = dict(lines[:end]), dict(lines[end:])
    assert params["Account"] == query.account
    assert params["Time zone"] == ZONE
    assert params["From"] == query.period.first.isoformat()
    assert params["Source"] == "direct, program"
    for column in chosen_columns(report.sections[0], query):
        assert meant[column.label] == column.meaning


# --- strangers' texts -------------------------------------------------------------------------

TEXT = Column("content", "String", "Content", "what was sent")
FORMULAS = (
    "=1+1", '=HYPERLINK("http://evil.example","prize")', "+cmd|' /C calc'!A0", "-2+3", "@SUM(1)",
    "\t=1+1", "\r=1+1", "\n=1+1", "+358 401", "+", "-", "＝1+1", "＠SUM(1)", "+1e5", "--5",
)  # fmt: skip
HARMLESS = (
    "+358401234567", "-5", "+5.25", "-0.5", "hello", "a=b", " =1+1", "'quoted", "", "10%",
    "one\r\ntwo", 'say "hi"', "semi;=1+1", "comma,=1+1", "आपका बिल", "🎉",
)  # fmt: skip


def book_of_rows(
    columns: Sequence[Column], *blocks: list[tuple[Any, ...]], zone: str = ZONE
) -> ExportDocument:
    """A book with one table."""

    @contextmanager
    def opened() -> Iterator[Iterator[list[tuple[Any, ...]]]]:
        yield iter(blocks)

    table = ExportTable("rows", "Rows", "some rows", tuple(columns), opened)
    return ExportDocument(
        "made", "Made", zone, (QueryParam("account", "Account", "acme"),), (table,)
    )


def csv_rows(book: ExportDocument) -> list[list[str]]:
    """Rows of a CSV file without its header."""
    text = b"".join(start_export(FORMATS["csv"], book)).decode()
    return list(csv.reader(io.StringIO(text, newline="")))[1:]


def sheet_of(book: ExportDocument) -> Any:
    """The first sheet of an XLSX file."""
    return openpyxl.load_workbook(
        io.BytesIO(b"".join(start_export(FORMATS["xlsx"], book)))
    ).worksheets[0]


@pytest.mark.parametrize("text", FORMULAS)
def test_a_formula_gets_an_apostrophe_in_csv(text: str) -> None:
    assert csv_rows(book_of_rows([TEXT], [(text,)])) == [["'" + text]]


@pytest.mark.parametrize("text", HARMLESS)
def test_what_is_no_formula_stays_as_it_is_in_csv(text: str) -> None:
    assert csv_rows(book_of_rows([TEXT], [(text,)])) == [[text]]


def test_several_values_in_a_cell_are_looked_at_too() -> None:
    column = Column("reasons", "Array(LowCardinality(String))", "Reasons", "why")
    assert csv_rows(book_of_rows([column], [(["=1", "b"],), ([],)])) == [["'=1, b"], [""]]


def test_texts_are_always_quoted_so_that_no_other_separator_finds_a_formula() -> None:
    line = b"".join(start_export(FORMATS["csv"], book_of_rows([TEXT], [("a;=1+1",)]))).splitlines()[
        1
    ]
    assert line == b'"a;=1+1"'


@pytest.mark.parametrize("text", [*FORMULAS, *HARMLESS, "http://example.com", "mailto:a@b.c"])
def test_a_text_in_a_sheet_is_a_text_and_nothing_else(text: str) -> None:
    sheet = sheet_of(book_of_rows([TEXT], [(text,)]))
    cell = sheet["A2"]
    assert cell.data_type in ("s", "n")
    # XML knows no carriage return: Excel and openpyxl have this word for it.
    assert (cell.value or "").replace("_x000D_", "\r") == text
    assert cell.hyperlink is None
    assert not (cell.data_type == "n" and text)


# --- types ------------------------------------------------------------------------------------

AT = Column("at", "Nullable(DateTime64(3, 'UTC'))", "At", "when", "time")
MANY = (
    Column("n", "UInt64", "N", "a count", "count"),
    Column("share", "Nullable(Float64)", "Share", "a part", "share"),
    Column("credits", "Decimal(38, 6)", "Credits", "a price", "credits"),
    Column("day", "Date", "Day", "a day"),
    Column("flag", "UInt8", "Flag", "yes or no", "flag"),
    AT,
    TEXT,
)
ROW = (
    12_345, 0.125, Decimal("1234567890.123456"), date(2026, 11, 20), 1,
    datetime(2026, 11, 20, 10, 26, 40, 5000, UTC), "+358401234567",
)  # fmt: skip


def test_types_in_csv() -> None:
    assert csv_rows(book_of_rows(MANY, [ROW])) == [[
        "12345", "0.125", "1234567890.123456", "2026-11-20", "true",
        "2026-11-20T15:56:40.005+05:30", "+358401234567",
    ]]  # fmt: skip


def test_types_in_json() -> None:
    content = json.loads(
        b"".join(start_export(FORMATS["json"], book_of_rows(MANY, [ROW]))), parse_float=Decimal
    )
    assert content["sections"]["rows"] == [{
        "n": 12_345, "share": Decimal("0.125"), "credits": Decimal("1234567890.123456"),
        "day": "2026-11-20", "flag": True, "at": "2026-11-20T15:56:40.005+05:30",
        "content": "+358401234567",
    }]  # fmt: skip


def test_types_in_a_sheet() -> None:
    cells = sheet_of(book_of_rows(MANY, [ROW]))[2]
    assert [cell.number_format for cell in cells][:3] == ["#,##0", "0.0%", "#,##0.00####"]
    assert cells[3].value == datetime(2026, 11, 20) and cells[3].is_date
    assert cells[4].value is True
    assert cells[5].value == datetime(2026, 11, 20, 15, 56, 40, 5000)
    assert cells[6].data_type == "s" and cells[6].value == "+358401234567"


def test_the_heading_of_a_time_names_its_zone_in_a_sheet() -> None:
    assert sheet_of(book_of_rows(MANY, [ROW]))["F1"].value == f"At ({ZONE})"


def test_unknown_is_empty_everywhere() -> None:
    nothing = tuple([None] * len(MANY))
    book = book_of_rows(MANY, [nothing])
    assert csv_rows(book) == [[""] * len(MANY)]
    assert {cell.value for cell in sheet_of(book)[2]} == {None}
    content = json.loads(b"".join(start_export(FORMATS["json"], book)))
    assert set(content["sections"]["rows"][0].values()) == {None}


def test_what_is_no_number_is_unknown() -> None:
    book = book_of_rows(MANY[1:2], [(float("nan"),), (float("inf"),)])
    assert csv_rows(book) == [[""], [""]]
    assert b"NaN" not in b"".join(start_export(FORMATS["json"], book))
    assert sheet_of(book)["A2"].value is None


def test_the_hour_that_comes_twice_differs_by_its_offset() -> None:
    hours = [(datetime(2026, 10, 25, hour, 30, tzinfo=UTC),) for hour in (0, 1)]
    book = book_of_rows([AT], hours, zone="Europe/Helsinki")
    assert csv_rows(book) == [["2026-10-25T03:30:00.000+03:00"], ["2026-10-25T03:30:00.000+02:00"]]


# --- none, many -------------------------------------------------------------------------------


def test_a_file_without_rows_has_its_header() -> None:
    for book in (book_of_rows(MANY), book_of_rows(MANY, [])):
        assert b"".join(start_export(FORMATS["csv"], book)).count(b"\r\n") == 1
        assert sheet_of(book).max_row == 1
        assert json.loads(b"".join(start_export(FORMATS["json"], book)))["sections"] == {"rows": []}


def test_rows_are_told_after_every_block() -> None:
    for form in FORMATS.values():
        reported: list[int] = []
        list(start_export(form, book_of_rows([TEXT], [("a",), ("b",)], [("c",)]), reported.append))
        assert reported == [2, 3], form.name


def test_csv_and_json_read_blocks_on_demand() -> None:
    read: list[int] = []

    @contextmanager
    def opened() -> Iterator[Iterator[list[tuple[Any, ...]]]]:
        yield ([(f"text {read.append(n) or n}",)] for n in range(1000))

    for form in (FORMATS["csv"], FORMATS["json"]):
        read.clear()
        table = ExportTable("rows", "Rows", "some rows", (TEXT,), opened)
        pieces = start_export(form, ExportDocument("made", "Made", ZONE, (), (table,)))
        for _ in range(10):
            next(pieces)
        assert len(read) < 11


FEW, MANY_ROWS, MOST_GROWTH_MB = 50_000, 250_000, 110

FILL = """
INSERT INTO messages (account, message_id, channel, direction, source, sender_id, recipient,
    country, provider, segments, credits, attempts, sent_at, status, platform_status,
    carrier_status, version)
SELECT 'big', concat('m-', toString(number)), 'sms', 'outbound', 'direct', 'Big',
    concat('+358', toString(400000000 + number)), 'FI', 'twilio', 1, 0.01, 1,
    toDateTime64('2026-11-14 00:00:00', 3, 'UTC') + toIntervalSecond(number), 'delivered',
    'submitted', 'delivered', 1
FROM numbers({rows:UInt64})
"""


@pytest.fixture(scope="module")
def big(reports_front: Front) -> str:
    """URL of a database with one account of many messages in four days."""
    url = reports_front.url("big")
    clickhouse = connect(url)
    migrate(clickhouse, 90, views=statements())
    clickhouse.close()
    client = connect_reports(url)
    client.command(FILL, parameters={"rows": MANY_ROWS})
    client.close()
    return url


def peak_mb(url: str, path: Path, rows: int) -> float:
    """Memory at its highest of a process that exports so many rows."""
    words = ["report", "messages", "--account=big", "--since=2026-11-14", "--until=2026-11-17"]
    command = [sys.executable, "-m", "deploy.cli", *words, f"--limit={rows}", "-o", str(path)]
    process = subprocess.Popen(command, env={**os.environ, "RECEIPTS_CLICKHOUSE_URL": url})
    _, status, used = os.wait4(process.pid, 0)
    assert status == 0
    return used.ru_maxrss / 1024


@pytest.mark.parametrize("form", ["csv", "json"])
def test_many_rows_take_no_more_memory_than_few(big: str, tmp_path: Path, form: str) -> None:
    """What holds all rows grows by 200 MB and more here; a block of rows is tens of them."""
    path = tmp_path / f"many.{form}"
    few = peak_mb(big, tmp_path / f"few.{form}", FEW)
    many = peak_mb(big, path, MANY_ROWS)
    with path.open("rb") as file:
        assert sum(b"+358" in line for line in file) == MANY_ROWS
    assert many - few < MOST_GROWTH_MB


def test_a_full_sheet_goes_on_in_the_next() -> None:
    book = book_of_rows([TEXT], [(f"text {n}",) for n in range(7)])
    pieces = xlsx_of(book, lambda _: None, max_rows=3)
    sheets = openpyxl.load_workbook(io.BytesIO(b"".join(pieces)))
    assert sheets.sheetnames == ["Rows", "Rows 2", "Rows 3", "About"]
    values = [[cell.value for cell in sheet["A"]] for sheet in sheets.worksheets[:3]]
    assert values == [
        ["Content", "text 0", "text 1", "text 2"],
        ["Content", "text 3", "text 4", "text 5"],
        ["Content", "text 6"],
    ]


def test_a_text_too_long_for_a_cell_is_cut() -> None:
    cell = sheet_of(book_of_rows([TEXT], [("x" * 40_000,)]))["A2"]
    assert cell.value == "x" * MAX_CELL_LENGTH


# --- what is refused --------------------------------------------------------------------------


def test_csv_of_several_sections_is_refused_with_their_names(world: World) -> None:
    report = BY_NAME["overview"]
    with pytest.raises(InvalidQuery, match="section: csv holds one section") as bad:
        export(FORMATS["csv"], world.database, report.sections, example_query(world, report))
    names = ", ".join(section.name for section in report.sections)
    assert bad.value.issues[0].fix == f"choose one of {names}"


@pytest.mark.parametrize("form", FORMATS)
def test_a_book_without_tables_is_refused(form: str) -> None:
    with pytest.raises(InvalidQuery, match="section: none is chosen"):
        start_export(FORMATS[form], ExportDocument("report", "Report", ZONE, (), ()))


def test_unknown_columns_are_refused_with_the_known_ones(world: World) -> None:
    report = BY_NAME["messages"]
    with pytest.raises(InvalidQuery, match="'secret' is not a column of 'Messages'") as bad:
        export(
            FORMATS["csv"],
            world.database,
            report.sections,
            example_query(world, report),
            ["secret"],
        )
    assert "message_id" in bad.value.issues[0].fix


def test_columns_are_those_chosen_in_their_order(world: World) -> None:
    report = BY_NAME["messages"]
    query, section = example_query(world, report), report.sections[0]
    pieces = export(
        FORMATS["csv"], world.database, [section], query, ["recipient", "sent_at"], limit=2
    )
    head, *rows = csv.reader(io.StringIO(b"".join(pieces).decode()))
    found = world.database.rows(section.sql, query.parameters(section, 2)).records()
    assert head == ["recipient", "sent_at"]
    assert [row[0] for row in rows] == [record["recipient"] for record in found]


@pytest.mark.parametrize(
    ("report", "sections", "name"),
    [
        ("overview", 2, "overview-a_b-2026-11-14-2026-11-20.xlsx"),
        ("overview", 1, "overview-totals-a_b-2026-11-14-2026-11-20.xlsx"),
        ("campaign", 9, "campaign-a_b-spring_.._x-sale.xlsx"),
    ],
)
def test_the_name_of_a_file_is_safe(report: str, sections: int, name: str) -> None:
    definition = BY_NAME[report]
    params = {"campaign": ["spring/../x-sale"]} if report == "campaign" else {}
    query = parse_query(definition, "a/b", "UTC", params, datetime(2026, 11, 20, 12, tzinfo=UTC))
    assert file_name(FORMATS["xlsx"], query, definition.sections[:sections]) == name
