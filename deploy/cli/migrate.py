"""`receipts migrate`."""

import sys

import click

from deploy.cli.help import command
from deploy.exit_codes import FAILED, OK
from deploy.processes.process import read_settings, silence_libraries
from models.issues import mask_url
from models.settings import Settings


@command(
    "receipts migrate",
    "receipts migrate --status",
    "RECEIPTS_CLICKHOUSE_URL=chdb:///var/lib/receipts/engine receipts migrate",
)
@click.option(
    "--status", is_flag=True, help="Only show which migrations are applied and which are missing."
)
def migrate(status: bool) -> None:
    """Apply missing migrations to ClickHouse.

    --status changes nothing; its exit code is 1 while migrations are missing.
    """
    from sinks.errors import Unavailable

    settings = read_settings(clickhouse=True)
    silence_libraries()
    try:
        sys.exit(_status(settings) if status else _migrate(settings))
    except Unavailable as error:
        url = mask_url(settings.clickhouse_url)
        problem, _, fix = str(error).partition(". Fix: ")
        fix = fix or "start it, or set RECEIPTS_CLICKHOUSE_URL"
        raise Unavailable(f"ClickHouse at {url} does not answer ({problem}). Fix: {fix}") from error


def _migrate(settings: Settings) -> int:
    from reports.views import statements
    from sinks.client import connect
    from sinks.migrate import migrate

    clickhouse, views = connect(settings.sink_url), statements()
    applied = migrate(
        clickhouse,
        settings.text_days,
        on_applied=lambda m: click.echo(m.name),
        views=views,
        events_days=settings.events_days,
    )
    done = f"{len(applied)} migrations applied to {clickhouse.database}"
    click.echo(f"{done}, views of tables and {len(views)} views of reports re-created")
    return OK


def _status(settings: Settings) -> int:
    from sinks.client import connect
    from sinks.migrate import load, status

    found = status(connect(settings.sink_url), load())
    for one in found:
        click.echo(f"{one.state:8} {one.name} {one.applied_at}".rstrip())
    return FAILED if any(s.state in ("pending", "edited") for s in found) else OK
