"""`receipts doctor`."""

from __future__ import annotations

import asyncio
import os
import sys
from typing import TYPE_CHECKING

import click

from deploy.cli.help import command
from deploy.exit_codes import FAILED, OK, USAGE
from deploy.processes.process import silence_libraries

if TYPE_CHECKING:
    from deploy.diagnosis.examination import Examination
    from deploy.diagnosis.readings import Process


@command(
    "receipts doctor",
    "receipts doctor --for worker",
    "receipts doctor --json | jq '.checks[] | select(.state == \"error\")'",
)
@click.option(
    "--for",
    "processes",
    type=click.Choice(["worker", "sink"]),
    multiple=True,
    help="The process whose settings these are: what it uses is examined, and its rights. "
    "Default: both.",
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON; docs/status.md lists its keys.")
def doctor(processes: tuple[Process, ...], as_json: bool) -> None:
    """Examine an installation before it starts, or when it does not.

    Settings, connections, rights, topics, schema, clocks, disks, codecs, versions and file limits,
    each with a remedy where something is wrong. It changes nothing. Exit code 0 when nothing is
    wrong or there are only warnings, 1 after an error, 2 when settings are wrong.
    """
    from deploy.diagnosis.doctor import examine

    silence_libraries()
    found = asyncio.run(examine(os.environ, processes or ("worker", "sink")))
    _print(found, as_json)
    if any(check.kind == "settings" for check in found.checks):
        sys.exit(USAGE)
    sys.exit(OK if found.well else FAILED)


def _print(found: Examination, as_json: bool) -> None:
    import msgspec
    from rich.console import Console

    from deploy.diagnosis.screen import examination_screen

    if as_json:
        click.echo(msgspec.json.format(msgspec.json.encode(found), indent=2).decode())
    else:
        Console(highlight=False).print(examination_screen(found))
