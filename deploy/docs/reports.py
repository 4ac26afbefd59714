"""docs/reports.md from the catalogue: filters, columns and an SQL example of every report."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Final

from models.codes.reasons import REASONS
from reports.catalogue import REPORTS
from reports.definition.report import Column, Filter, Report, Section, parameters_of
from reports.query.query import parse_query
from reports.query.render_sql import render_sql
from reports.views import base

_NOW: Final = datetime(2026, 11, 8, 12, tzinfo=UTC)
_HEAD: Final = """\
# Reports

Generated from `reports/catalogue/` by `python -m deploy.docs`; a test keeps it current.

Each report is a view in ClickHouse, a command (`receipts report --help`) and a page, all from one
definition. BI tools: [bi.md](bi.md). Tables behind them: [schema.md](schema.md).

- A day is a day in the account's time zone. Views take its begin and end as times (`since`
  inclusive, `until` exclusive, UTC) and the name of the zone.
- Times are UTC in views, and in the account's zone in commands, files and pages.
- Shares are 0 to 1 in views, CSV and JSON. Unknown is NULL or an empty text.
- A view needs all its parameters. `''` and `[]` select everything, as in the examples.
- `whole_hours`: true when the period begins and ends on the hour (UTC) and the zone has no half
  hours; counts then come from the hourly counters, which is faster. false is always correct.
- Counts show the current status of messages, under FINAL: a later receipt changes them.
- Numbers are read as people write them (spaces, dashes, brackets, `(0)`, 00, without +) in pages
  and commands; views take them as `person` has them. All spellings of a number are one person.
- Clicks are those of people. Automated ones are counted apart: the publisher knows it, or the click
  came within 2 s of the delivery, or within 1 s of one on another link of the message.
- "Did not click" (`not_clicked`): delivered, and not clicked by a person.
- Suppressed people are marked; members of segments and files of people leave out those who are
  suppressed on a channel by which a message of the campaign went to them, unless asked for.
- Texts of verification messages are empty; `RECEIPTS_SHOW_VERIFICATION_TEXT=true` shows them in
  pages and commands, never in views.

Exports. CSV: UTF-8, a header with column names, texts always quoted; a text that a spreadsheet
would read as a formula has an apostrophe before it. XLSX: a sheet for each section, typed numbers
and dates, texts never formulas, and a sheet with the meaning of the columns; Excel has no time
zones, so headings name the zone; a section that is too long for one sheet continues on another;
the file is sent when it is complete. JSON: one object, rows by section. CSV and JSON are written
row by row and have no size limit.

| report | content |
|---|---|
"""

_REASONS: Final = """
## Reasons

Values of `fail_reason`: one for each cause, in all reports and views. Of `other` the provider's
words are in `error_text`.

| reason | cause |
|---|---|
"""
_BASE: Final = """
## Base views

The views that reports read. BI tools may read them too.
"""
_COLUMN: Final = re.compile(r"^    (\w+) +(.+) COMMENT '(.*)',?$", re.MULTILINE)
_NAME: Final = re.compile(r"^CREATE OR REPLACE VIEW (\w+)$", re.MULTILINE)
_COMMENT: Final = re.compile(r"^COMMENT '(.*)';?$", re.MULTILINE)


def reports_page() -> str:
    """The page docs/reports.md."""
    index = "".join(f"| [{one.name}](#{one.name}) | {one.about} |\n" for one in REPORTS)
    reasons = "".join(f"| {reason} | {cause} |\n" for reason, cause in REASONS.items())
    parts = (*map(_report, REPORTS), _REASONS, reasons, _BASE, *map(_view, base()))
    return _HEAD + index + "".join(parts)


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
    choices = f". One of: {', '.join(one.choices)}" if one.choices else ""
    return f"{one.meaning}{choices}{'. Required' if one.required else ''}"


def _section(report: Report, section: Section) -> str:
    title = f"\n### {section.title}\n" if section.name else ""
    columns = "".join(
        f"| `{one.name}` | {_cell(one.type)} | {_cell(_column_meaning(one))} |\n"
        for one in section.columns
    )
    return (
        f"{title}\n{section.meaning}\n\n| column | type | meaning |\n|---|---|---|\n{columns}"
        f"\n```sql\n{example(report, section)};\n```\n"
    )


def _column_meaning(one: Column) -> str:
    return f"{one.meaning}; not in the view" if one.computed else one.meaning


def example(report: Report, section: Section) -> str:
    """An SQL query: a week of an account, with examples for required filters."""
    params = {one.name: [one.example_value] for one in report.own_filters if one.required}
    query = parse_query(report, "acme", "Europe/Helsinki", params, _NOW)
    return render_sql(section, query.parameters(section, limit=25))


def _view(statement: str) -> str:
    """A base view, from its CREATE statement."""
    (name,), (about,) = _NAME.findall(statement), _COMMENT.findall(statement)
    takes = ", ".join(f"`{one}` {kind}" for one, kind in parameters_of(statement).items())
    rows = (
        f"| `{column}` | {_cell(kind)} | {_cell(_plain(meaning))} |\n"
        for column, kind, meaning in _COLUMN.findall(statement)
    )
    head = f"\n### {name}\n\n{_plain(about)}\n" + (f"\nTakes {takes}.\n" if takes else "")
    return head + "\n| column | type | meaning |\n|---|---|---|\n" + "".join(rows)


def _plain(text: str) -> str:
    """The text of an SQL string literal."""
    return text.replace("\\'", "'").replace("\\\\", "\\")


def _cell(text: str) -> str:
    return text.replace("|", "\\|")
