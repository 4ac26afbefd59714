"""`receipts report NAME …`: a command for each report of the catalogue.

Options, help and columns come from the definitions in `reports/catalogue/`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import click

from deploy.cli.database import open_database, require_account
from deploy.cli.help import Examples, GroupWithExamples
from deploy.cli.output import (
    FILES,
    format_of,
    opened,
    output_options,
    row_progress,
    until_pipe_closes,
)
from deploy.processes.process import read_settings

if TYPE_CHECKING:
    from reports.definition.report import Filter, Report, Section
    from reports.query.database import Database
    from reports.query.query import ReportQuery

TABLE: Final = "table"
DEFAULT_ROWS: Final = 25


class Reports(GroupWithExamples):
    """A command for each report, made when it is used."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Names of the reports, in the order of the catalogue."""
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
    """Run a report and print a table, CSV, XLSX or JSON.

    Days and times are in the time zone of the account. Needs ClickHouse only
    (RECEIPTS_PAGES_CLICKHOUSE_URL, else RECEIPTS_CLICKHOUSE_URL) and changes nothing.
    """


# --- a command from a definition --------------------------------------------------------------


class ReportCommand(Examples):
    """The command of a report. Its help has every section and column with its meaning."""

    def __init__(self, definition: Report) -> None:
        super().__init__(
            definition.name,
            params=[*_query_options(definition), *_result_options(definition)],
            callback=partial(_run, definition),
            help=definition.about,
            short_help=definition.title,
            examples=_examples(definition),
        )
        self._sections = definition.sections

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the options, then the columns of every section."""
        super().format_options(ctx, formatter)
        for section in self._sections:
            option = f" (--section {section.option})" if len(self._sections) > 1 else ""
            with formatter.section(f"Columns of {section.title}{option}"):
                formatter.write_text(section.meaning)
                formatter.write_dl([(one.name, one.meaning) for one in section.columns])


def _query_options(definition: Report) -> Iterator[click.Parameter]:
    """Options that select rows."""
    yield click.Option(["--account"], required=True, help="The tenant.")
    if definition.has_period:
        yield from _period(all_by_default=definition.all_by_default)
    for one in definition.own_filters:
        name = "--" + one.name.replace("_", "-")
        yield click.Option([name, one.name], multiple=True, metavar="TEXT", help=_filter_help(one))


def _period(*, all_by_default: bool) -> Iterator[click.Parameter]:
    default = "without a period: all" if all_by_default else "default: 7"
    yield click.Option(["--since"], metavar="DAY", help="First day, such as 2026-11-01.")
    yield click.Option(["--until"], metavar="DAY", help="Last day, inclusive; default: today.")
    yield click.Option(["--last"], metavar="DAYS", help=f"Number of days up to --until; {default}.")


def _filter_help(one: Filter) -> str:
    choices = f" One of: {', '.join(one.choices)}." if one.choices else ""
    several = " Repeatable." if one.several else ""
    return f"{one.label}: {one.meaning}.{choices}{several}{' Required.' if one.required else ''}"


def _result_options(definition: Report) -> Iterator[click.Parameter]:
    """Options of the output."""
    if len(definition.sections) > 1:
        names = [one.option for one in definition.sections]
        section = "Only this section. Repeatable."
        yield click.Option(["--section"], type=click.Choice(names), multiple=True, help=section)
    columns = "Names of the columns to show, separated by commas; or all."
    yield click.Option(["--columns"], metavar="NAMES", default="", help=columns)
    rows = f"Most rows, 0: all; default: {DEFAULT_ROWS} in a table, all in a file."
    yield click.Option(["--limit"], type=click.IntRange(0), help=rows)
    yield from output_options((TABLE, *FILES))
    sql = "Print the SQL (calls of the report's views) instead of running it."
    yield click.Option(["--sql"], is_flag=True, help=sql)


def _examples(definition: Report) -> tuple[str, ...]:
    own = [
        f" --{one.name.replace('_', '-')} {one.example_value}"
        for one in definition.own_filters
        if one.required
    ]
    start = f"receipts report {definition.name} --account acme{''.join(own)}"
    first = definition.sections[0]
    section = f" --section {first.option}" if len(definition.sections) > 1 else ""
    days = " --since 2026-11-01 --until 2026-11-07" if definition.has_period else ""
    return (
        start,
        f"{start}{days} -o {definition.name}.xlsx",
        f"{start}{section} --format csv | head",
        f"{start}{section} --sql",
    )


# --- running a report -----------------------------------------------------------------------


class _ResultOptions(NamedTuple):
    """Values of the options of the output."""

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
    given = [name for name in _ResultOptions._fields if name in options]
    wanted = _ResultOptions(**{name: options.pop(name) for name in given})
    account = options.pop("account")
    raw_params = {name: _values(value) for name, value in options.items()}
    form = format_of(wanted.form, wanted.output, TABLE)
    with until_pipe_closes(), open_database() as database:
        query = _parsed(database, definition, account, raw_params)
        sections = _sections(definition, wanted.section, form)
        if wanted.sql:
            _print_sql(sections, query, wanted)
        elif form == TABLE:
            from deploy.cli.tables import print_sections

            limit = DEFAULT_ROWS if wanted.limit is None else wanted.limit
            print_sections(database, sections, query, wanted.names, limit)
        else:
            _export(form, database, sections, query, wanted)
        if not wanted.sql:
            _print_left_out(database, query)


def _sections(definition: Report, names: Sequence[str], form: str) -> list[Section]:
    """The sections chosen; none: all. CSV holds one: that without a name, where there is one."""
    main = [one.option for one in definition.sections if not one.name]
    chosen = names or (main if form == "csv" else ())
    return [one for one in definition.sections if not chosen or one.option in chosen]


def _print_left_out(database: Database, query: ReportQuery) -> None:
    from reports.query.fetch import left_out

    people = left_out(database, query)
    if people:
        text = f"{people:,} suppressed {'person is' if people == 1 else 'people are'} left out"
        click.echo(f"{text}. With them: --with-suppressed yes", err=True)


def _values(value: Any) -> list[str]:
    """The values of an option; none when it was left out."""
    return [value] if isinstance(value, str) else list(value or ())


def _parsed(
    database: Database, definition: Report, account: str, raw_params: Mapping[str, Sequence[str]]
) -> ReportQuery:
    from reports.query.lookups import require_known, zone_of
    from reports.query.query import parse_query

    require_account(database, account)
    zone, all_texts = zone_of(database, account), read_settings().show_verification_text
    now = datetime.now(UTC)
    query = parse_query(definition, account, zone, raw_params, now, all_texts=all_texts)
    require_known(database, query)
    return query


def _print_sql(sections: Sequence[Section], query: ReportQuery, wanted: _ResultOptions) -> None:
    from reports.exports import chosen_columns
    from reports.query.render_sql import render_sql

    for section in sections:
        parameters = query.parameters(section, wanted.limit or 0)
        chosen = chosen_columns(section, query, wanted.names)
        names = [one.name for one in chosen if one.computed is None]
        click.echo(f"-- {section.title}: {section.meaning}")
        click.echo(f"{render_sql(section, parameters, names)};\n")


def _export(
    form: str,
    database: Database,
    sections: Sequence[Section],
    query: ReportQuery,
    wanted: _ResultOptions,
) -> None:
    from reports.exports import FORMATS, export, total_rows

    def total() -> int | None:
        return wanted.limit or total_rows(database, sections, query)

    with opened(wanted.output, force=wanted.force) as write, row_progress(total) as on_rows:
        selection = database, sections, query, wanted.names, wanted.limit or 0
        for chunk in export(FORMATS[form], *selection, on_rows):
            write(chunk)
