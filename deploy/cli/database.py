"""The connection of commands that query ClickHouse; prints invalid options, one a line."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

import click

from deploy.exit_codes import USAGE
from deploy.processes.process import read_settings, silence_libraries
from models.issues import mask_url

if TYPE_CHECKING:
    from reports.query.database import Database

_NAMED_ACCOUNTS: Final = 10


@contextmanager
def open_database() -> Iterator[Database]:
    """The database of the settings. Raises DatabaseError with the fix.

    Ends the process with exit code 2 after an InvalidQuery, one line for each issue.
    """
    from reports.query.database import Database, DatabaseUnavailable
    from reports.query.query import InvalidQuery

    url = read_settings(clickhouse=True).reports_url
    silence_libraries()
    try:
        database = Database(url)
        try:
            yield database
        finally:
            database.close()
    except InvalidQuery as error:
        for issue in error.issues:
            option = _option_of(issue.where)
            click.echo(f"receipts: {option}: {issue.problem}. Fix: {issue.fix}", err=True)
        sys.exit(USAGE)
    except DatabaseUnavailable as error:
        fix = "Fix: start it, or set RECEIPTS_CLICKHOUSE_URL (or RECEIPTS_PAGES_CLICKHOUSE_URL)"
        raise DatabaseUnavailable(f"{mask_url(url)}: {error}. {fix}") from error


def _option_of(name: str) -> str:
    """The option of that name; the name itself when the command has no such option."""
    option = "--" + name.replace("_", "-")
    context = click.get_current_context()
    return option if any(option in one.opts for one in context.command.params) else name


def require_account(database: Database, account: str) -> None:
    """Raises InvalidQuery for an account without messages and settings: probably a typo."""
    from models.issues import Issue
    from reports.query.lookups import is_known_account, known_accounts
    from reports.query.query import InvalidQuery

    if is_known_account(database, account):
        return
    found = known_accounts(database, _NAMED_ACCOUNTS)
    fix = f"use one of {', '.join(found)}" if found else "no account exists yet: send a message"
    problem = f"{account!r} has no messages and no settings"
    raise InvalidQuery([Issue("account", problem, fix)])
