"""`receipts status`."""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

import click

from deploy.cli.help import command
from deploy.exit_codes import FAILED, OK
from deploy.processes.process import read_settings, silence_libraries

if TYPE_CHECKING:
    from deploy.diagnosis.readings import Status


@command(
    "receipts status",
    "receipts status --watch 5",
    "receipts status --page http://worker-1:6066 --page http://sink-1:6067",
    "receipts status --page https://worker-1:6066 --cafile /etc/receipts/ca.pem",
    "receipts status --json | jq '.findings[] | .help'",
)
@click.option(
    "--page",
    "pages",
    multiple=True,
    metavar="URL",
    help="Pages of a worker or sink, several times for several processes. Default: those of "
    "RECEIPTS_WORKER_HOST and RECEIPTS_SINK_HOST, if they answer.",
)
@click.option(
    "--cafile",
    type=click.Path(exists=True, dir_okay=False),
    metavar="FILE",
    help="With --page https://…: certificates (PEM) that sign those of the pages. Default: those "
    "that the operating system trusts.",
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON; docs/status.md lists its keys.")
@click.option(
    "--watch",
    "every_s",
    type=click.FloatRange(min=1),
    metavar="SECONDS",
    help="Look again every SECONDS until Ctrl-C; with --json one line each time.",
)
def status(
    pages: tuple[str, ...], cafile: str | None, as_json: bool, every_s: float | None
) -> None:
    """Show on one screen whether everything is well, and where to read on if not.

    Asks Kafka, ClickHouse and the pages of the processes at once, and shows what answers within
    seconds: topics, lag, owners, restores, rates, last inserts, dead letters, suppressed
    recipients, versions. It joins no consumer group and changes nothing. Exit code 0 when nothing
    is wrong or there are only warnings, 1 after an error.
    """
    from deploy.diagnosis.pages import trust_in
    from deploy.diagnosis.status import look

    for page in pages:
        if not page.startswith(("http://", "https://")):
            raise click.UsageError(f"--page: {page!r} is not a URL. Fix: write http://host:port")
    try:
        trust_in(cafile or "")
    except OSError as error:
        raise click.UsageError(f"--cafile: {cafile} has no certificates in PEM ({error})") from None
    settings = read_settings(clickhouse=True)
    silence_libraries()

    def take() -> Status:
        return asyncio.run(look(settings, pages, cafile or ""))

    if every_s is None:
        found = take()
        _print(found, as_json)
        sys.exit(OK if found.well else FAILED)
    _watch(take, as_json, every_s)


def _print(found: Status, as_json: bool) -> None:
    import msgspec
    from rich.console import Console

    from deploy.diagnosis.screen import status_screen

    if as_json:
        text = msgspec.json.format(msgspec.json.encode(found), indent=2)
        click.echo(text.decode())
    else:
        Console(highlight=False).print(status_screen(found))


def _watch(take: Callable[[], Status], as_json: bool, every_s: float) -> None:
    """Until Ctrl-C, on a terminal always in the same place."""
    import msgspec
    from rich.console import Console
    from rich.live import Live

    from deploy.diagnosis.screen import status_screen

    console = Console(highlight=False)
    if as_json or not console.is_terminal:
        while True:
            if as_json:
                click.echo(msgspec.json.encode(take()).decode())
            else:
                console.print(status_screen(take()))
            time.sleep(every_s)
    with Live(console=console, screen=True, auto_refresh=False) as live:
        while True:
            live.update(status_screen(take()), refresh=True)
            time.sleep(every_s)
