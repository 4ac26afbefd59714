"""The commands that answer: `receipts report NAME …`, one for each report of the catalogue.

Options, help and columns come from the definitions in `reports/catalogue/`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import click

from deploy.answering import (
    FILES,
    answering,
    format_of,
    opened,
    output_options,
    require_account,
    rows_told,
    until_nobody_reads,
)
from deploy.cli_help import Examples, GroupWithExamples

if TYPE_CHECKING:
    from reports.definition.report import Filter, Report, Section
    from reports.query.database import Database
    from reports.query.query import ReportQuery

TABLE: Final = "table"
DEFAULT_ROWS: Final = 25


class Reports(GroupWithExamples):
    """A command for each report, made when it is asked for."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Names of the reports, in the order people look for them."""
        from reports.catalogue import REPORTS

        return [one.name for one in REPORTS]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The command of one report; None when there is no such report."""
        from reports.catalogue import BY_NAME

        return ReportCommand(BY_NAME[cmd_name]) if cmd_name in BY_NAME else None


@click.group(
    cls=Reports,
    examples=("receipts report overview --help", "receipts report messages --help"),
)
def report() -> None:
    """Ask a report: as a table, or as CSV, XLSX or JSON.

    Days are those of the account's time zone, and times are shown in it. Reads ClickHouse alone
    (RECEIPTS_PAGES_CLICKHOUSE_URL or, without it, RECEIPTS_CLICKHOUSE_URL) and writes nothing.
    """


# --- a command from a definition --------------------------------------------------------------


class ReportCommand(Examples):
    """The command of a report. Its help has every section and column with its meaning."""

    def __init__(self, definition: Report) -> None:
        super().__init__(
            definition.name,
            params=[*_question(definition), *_answer(definition)],
            callback=partial(_run, definition),
            help=definition.about,
            short_help=definition.title,
            examples=_examples(definition),
        )
        self._sections = definition.sections

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """The options, then what the report shows."""
        super().format_options(ctx, formatter)
        for section in self._sections:
            option = f" (--section {section.name})" if section.name else ""
            with formatter.section(f"Columns of {section.title}{option}"):
                formatter.write_text(section.meaning)
                formatter.write_dl([(one.name, one.meaning) for one in section.columns])


def _question(definition: Report) -> Iterator[click.Parameter]:
    """Options of what is asked."""
    yield click.Option(["--account"], required=True, help="The tenant.")
    if definition.has_period:
        yield from _period()
    for one in definition.own_filters:
        name = "--" + one.name.replace("_", "-")
        yield click.Option([name, one.name], multiple=True, metavar="TEXT", help=_asking(one))


def _period() -> Iterator[click.Parameter]:
    yield click.Option(["--since"], metavar="DAY", help="First day, such as 2026-11-01.")
    yield click.Option(["--until"], metavar="DAY", help="Last day, itself included; else today.")
    yield click.Option(["--last"], metavar="DAYS", help="So many days up to --until; else 7.")


def _asking(one: Filter) -> str:
    words = f" Words: {', '.join(one.choices)}." if one.choices else ""
    several = " May be given several times." if one.several else ""
    return f"{one.label}: {one.meaning}.{words}{several}{' Required.' if one.required else ''}"


def _answer(definition: Report) -> Iterator[click.Parameter]:
    """Options of how it is answered."""
    if len(definition.sections) > 1:
        names = [one.name for one in definition.sections]
        section = "Only this section; may be given several times."
        yield click.Option(["--section"], type=click.Choice(names), multiple=True, help=section)
    columns = "Columns to show, by name, separated by commas; or all."
    yield click.Option(["--columns"], metavar="NAMES", default="", help=columns)
    rows = f"Rows at most, 0 for all; else {DEFAULT_ROWS} in a table, all in a file."
    yield click.Option(["--limit"], type=click.IntRange(0), help=rows)
    yield from output_options((TABLE, *FILES))
    sql = "Print the SQL to paste instead of asking: a call of the report's views."
    yield click.Option(["--sql"], is_flag=True, help=sql)


def _examples(definition: Report) -> tuple[str, ...]:
    own = [
        f" --{one.name.replace('_', '-')} {one.example_value}"
        for one in definition.own_filters
        if one.required
    ]
    start = f"receipts report {definition.name} --account acme{''.join(own)}"
    first = definition.sections[0]
    section = f" --section {first.name}" if len(definition.sections) > 1 else ""
    days = " --since 2026-11-01 --until 2026-11-07" if definition.has_period else ""
    return (
        start,
        f"{start}{days} -o {definition.name}.xlsx",
        f"{start}{section} --format csv | head",
        f"{start}{section} --sql",
    )


# --- what a command does ----------------------------------------------------------------------


class _Wanted(NamedTuple):
    """How the answer is wanted."""

    section: tuple[str, ...] = ()
    columns: str = ""
    limit: int | None = None
    form: str | None = None
    output: Path | None = None
    force: bool = False
    sql: bool = False

    @property
    def names(self) -> list[str]:
        """Names of columns."""
        return [name.strip() for name in self.columns.split(",") if name.strip()]


def _run(definition: Report, **options: Any) -> None:
    wanted = _Wanted(**{name: options.pop(name) for name in _Wanted._fields if name in options})
    account = options.pop("account")
    raw_params = {name: _words(value) for name, value in options.items()}
    form = format_of(wanted.form, wanted.output, TABLE)
    with until_nobody_reads(), answering() as database:
        query = _asked(database, definition, account, raw_params)
        sections = [
            one for one in definition.sections if not wanted.section or one.name in wanted.section
        ]
        if wanted.sql:
            _print_sql(sections, query, wanted)
        elif form == TABLE:
            from deploy.report_tables import print_sections

            limit = DEFAULT_ROWS if wanted.limit is None else wanted.limit
            print_sections(database, sections, query, wanted.names, limit)
        else:
            _export(form, database, sections, query, wanted)


def _words(value: Any) -> list[str]:
    """What an option was given, as words; none when it was left out."""
    return [value] if isinstance(value, str) else list(value or ())


def _asked(
    database: Database, definition: Report, account: str, raw_params: Mapping[str, Sequence[str]]
) -> ReportQuery:
    from reports.query.lookups import zone_of
    from reports.query.query import parse_query

    require_account(database, account)
    return parse_query(
        definition, account, zone_of(database, account), raw_params, datetime.now(UTC)
    )


def _print_sql(sections: Sequence[Section], query: ReportQuery, wanted: _Wanted) -> None:
    from reports.exports import chosen_columns
    from reports.query.render_sql import render_sql

    for section in sections:
        parameters = query.parameters(section, wanted.limit or 0)
        names = [one.name for one in chosen_columns(section, query, wanted.names)]
        click.echo(f"-- {section.title}: {section.meaning}")
        click.echo(f"{render_sql(section, parameters, names)};\n")


def _export(
    form: str, database: Database, sections: Sequence[Section], query: ReportQuery, wanted: _Wanted
) -> None:
    from reports.exports import FORMATS, export, total_rows

    def total() -> int | None:
        return wanted.limit or total_rows(database, sections, query)

    with opened(wanted.output, force=wanted.force) as write, rows_told(total) as tell:
        question = database, sections, query, wanted.names, wanted.limit or 0
        for piece in export(FORMATS[form], *question, tell):
            write(piece)
