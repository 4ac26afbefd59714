"""docs/reports.md from the catalogue: every report, its filters, its columns and SQL to ask it."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Final

from reports.catalogue import REPORTS
from reports.definition.report import Filter, Report, Section, parameters_of
from reports.query.query import parse_query
from reports.query.render_sql import render_sql
from reports.views import base

_NOW: Final = datetime(2026, 11, 8, 12, tzinfo=UTC)
_HEAD: Final = """\
# Reports

Made from `reports/catalogue/` by `python -m deploy.docs`; a test keeps it current.

Each report exists as views in ClickHouse, as a command (`receipts report --help`) and as a page,
made from one definition. BI tools: [bi.md](bi.md). Tables beneath: [schema.md](schema.md).

- Days are whole days of the account's time zone; the views take the moments they begin and end
  (`since` inclusive, `until` exclusive, UTC) and the zone's name.
- Times in views are UTC; commands, files and pages write them in the account's zone.
- Shares are 0 to 1 in views, CSV and JSON. Unknown is NULL or an empty text.
- A view takes all its parameters. One that asks for nothing: `''`, `[]`. The examples do.
- `whole_hours`: true when the period begins and ends on the hour (UTC) and the zone has no half
  hours; counts then come from the counters by hour, which is faster. false is always right.
- Counts are of messages as they stand now, under FINAL: a receipt that arrives later changes them.

Exports. CSV: UTF-8, a header of column names, texts always quoted; a text that a spreadsheet would
take for a formula has an apostrophe before it. XLSX: a sheet a section, numbers and dates as such,
texts never formulas, and a sheet that says what the columns mean; Excel knows no zones, so headings
name it; what is too long for one sheet goes on in another; it is sent when complete. JSON: one
object, rows by section. CSV and JSON are written row by row and may be as long as you like.

| report | answers |
|---|---|
"""

_BASE: Final = """
## Views beneath

What the reports read, and what BI tools may read too.
"""
_COLUMN: Final = re.compile(r"^    (\w+) +(.+) COMMENT '(.*)',?$", re.MULTILINE)
_NAMED: Final = re.compile(r"^CREATE OR REPLACE VIEW (\w+)$", re.MULTILINE)
_ABOUT: Final = re.compile(r"^COMMENT '(.*)';?$", re.MULTILINE)


def reports_page() -> str:
    """The page docs/reports.md."""
    index = "".join(f"| [{one.name}](#{one.name}) | {one.about} |\n" for one in REPORTS)
    return _HEAD + index + "".join(map(_report, REPORTS)) + _BASE + "".join(map(_view, base()))


def _report(report: Report) -> str:
    parts = [f"\n## {report.name}\n\n{report.title}. {report.about}\n", _filters(report)]
    return "".join([*parts, *(_section(report, one) for one in report.sections)])


def _filters(report: Report) -> str:
    if not report.own_filters:
        return ""
    head = "\n| filter | type | meaning |\n|---|---|---|\n"
    rows = (
        f"| `{one.name}` | {_cell(one.type)} | {_cell(_meaning(one))} |\n"
        for one in report.own_filters
    )
    return head + "".join(rows)


def _meaning(one: Filter) -> str:
    words = f". Words: {', '.join(one.choices)}" if one.choices else ""
    return f"{one.meaning}{words}{'. Required' if one.required else ''}"


def _section(report: Report, section: Section) -> str:
    title = f"\n### {section.title}\n" if section.name else ""
    columns = "".join(
        f"| `{one.name}` | {_cell(one.type)} | {_cell(one.meaning)} |\n" for one in section.columns
    )
    return (
        f"{title}\n{section.meaning}\n\n| column | type | meaning |\n|---|---|---|\n{columns}"
        f"\n```sql\n{example(report, section)};\n```\n"
    )


def example(report: Report, section: Section) -> str:
    """A question in SQL: a week of an account, and an example of whatever must be said."""
    params = {one.name: [one.example_value] for one in report.own_filters if one.required}
    query = parse_query(report, "acme", "Europe/Helsinki", params, _NOW)
    return render_sql(section, query.parameters(section, limit=25))


def _view(statement: str) -> str:
    """A view that reports read, from the statement that creates it."""
    (name,), (about,) = _NAMED.findall(statement), _ABOUT.findall(statement)
    takes = ", ".join(f"`{one}` {kind}" for one, kind in parameters_of(statement).items())
    rows = (
        f"| `{column}` | {_cell(kind)} | {_cell(_plain(meaning))} |\n"
        for column, kind, meaning in _COLUMN.findall(statement)
    )
    head = f"\n### {name}\n\n{_plain(about)}\n" + (f"\nTakes {takes}.\n" if takes else "")
    return head + "\n| column | type | meaning |\n|---|---|---|\n" + "".join(rows)


def _plain(text: str) -> str:
    """What stands between quotes in SQL."""
    return text.replace("\\'", "'").replace("\\\\", "\\")


def _cell(text: str) -> str:
    return text.replace("|", "\\|")
