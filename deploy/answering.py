"""What the commands that answer share: the database, mistakes in one line each, files, progress."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from deploy.cli_traffic import progress_bar
from deploy.process import read_settings, silence_libraries
from models.issues import mask_url

if TYPE_CHECKING:
    from reports.query.database import Database

USAGE: Final = 2
#: Formats of files; a table is for people who look at a terminal.
FILES: Final = ("csv", "xlsx", "json")
_NAMED_ACCOUNTS: Final = 10


@contextmanager
def answering() -> Iterator[Database]:
    """The database of the settings. Ends the process with exit code 2 on a question that is wrong.

    Raises DatabaseError with the fix.
    """
    from reports.query.database import Database, DatabaseUnavailable
    from reports.query.query import InvalidQuery

    url = read_settings().reports_url
    silence_libraries()
    try:
        database = Database(url)
        try:
            yield database
        finally:
            database.close()
    except InvalidQuery as error:
        for issue in error.issues:
            named = _as_typed(issue.where)
            click.echo(f"receipts: {named}: {issue.problem}. Fix: {issue.fix}", err=True)
        sys.exit(USAGE)
    except DatabaseUnavailable as error:
        fix = "Fix: start it, or set RECEIPTS_CLICKHOUSE_URL (or RECEIPTS_PAGES_CLICKHOUSE_URL)"
        raise DatabaseUnavailable(f"{mask_url(url)}: {error}. {fix}") from error


def _as_typed(name: str) -> str:
    """The option of that name; of what is no option, the name itself."""
    option = "--" + name.replace("_", "-")
    context = click.get_current_context()
    return option if any(option in one.opts for one in context.command.params) else name


def require_account(database: Database, account: str) -> None:
    """Raises InvalidQuery for an account without messages and settings: probably it is misspelt."""
    from models.issues import Issue
    from reports.query.lookups import is_known_account, known_accounts
    from reports.query.query import InvalidQuery

    if is_known_account(database, account):
        return
    found = known_accounts(database, _NAMED_ACCOUNTS)
    fix = f"there are {', '.join(found)}" if found else "there is none yet: send something first"
    problem = f"{account!r} has no messages and no settings"
    raise InvalidQuery([Issue("account", problem, fix)])


def output_options(formats: tuple[str, ...]) -> list[click.Parameter]:
    """--format, --output and --force."""
    return [
        click.Option(
            ["--format", "form"],
            type=click.Choice(formats),
            help=f"As the name of the --output file ends, or {formats[0]}.",
        ),
        click.Option(
            ["-o", "--output"],
            type=click.Path(path_type=Path, dir_okay=False),
            help="Write a file instead of the standard output.",
        ),
        click.Option(["--force"], is_flag=True, help="Replace the file if it exists."),
    ]


def format_of(form: str | None, output: Path | None, default: str) -> str:
    """The format that was asked for. Raises click.UsageError when it does not fit the output."""
    if form is None and output is not None:
        form = output.suffix.removeprefix(".").lower()
        if form not in FILES:
            fix = f"end its name with .csv, .xlsx or .json, or say --format {'|'.join(FILES)}"
            raise click.UsageError(f"--output: {output} does not tell its format. Fix: {fix}")
    form = form or default
    if form not in FILES and output is not None:
        raise click.UsageError(f"--output: a {form} is no file. Fix: say --format csv")
    if form == "xlsx" and output is None and sys.stdout.isatty():
        raise click.UsageError("--format: xlsx is no text. Fix: name a file with --output")
    return form


@contextmanager
def opened(output: Path | None, *, force: bool) -> Iterator[Callable[[bytes], Any]]:
    """Something to write bytes to. A file appears when it is whole, never half of it.

    Raises click.UsageError when the file exists and must not be replaced.
    """
    if output is None:
        yield click.get_binary_stream("stdout").write
        return
    if output.exists() and not force:
        raise click.UsageError(f"--output: {output} exists. Fix: add --force to replace it")
    part = output.with_name(output.name + ".part")
    try:
        with part.open("wb") as file:
            yield file.write
        part.replace(output)
    finally:
        part.unlink(missing_ok=True)


@contextmanager
def until_nobody_reads() -> Iterator[None]:
    """Ends in peace when the reader of the standard output went away, such as `head`."""
    try:
        yield
        sys.stdout.flush()
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


@contextmanager
def rows_told(total: Callable[[], int | None]) -> Iterator[Callable[[int], None]]:
    """A bar on stderr of rows so far, where somebody sees it. total: asked for only then."""
    with progress_bar("rows", total() if sys.stderr.isatty() else None) as tell:
        yield lambda done: tell(done, 0)
