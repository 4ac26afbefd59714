"""`receipts state`."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from deploy.cli.help import command, group
from deploy.exit_codes import FAILED, OK
from deploy.processes.process import read_settings, silence_libraries
from deploy.progress import progress_of_steps

if TYPE_CHECKING:
    from deploy.diagnosis.proofs import StateCheck
    from models.settings import Settings
    from streams.state_check import OnProgress


@group("receipts state check --help")
def state() -> None:
    """Examine the states that workers keep."""


@command(
    "RECEIPTS_STATE_DIR=/var/lib/receipts receipts state check",
    "receipts state check --dir /var/lib/receipts --partition 3 --partition 7",
    "receipts state check --dir /mnt/copy --offline --json | jq '.partitions[] | .faults'",
    "receipts state check --changelog",
)
@click.option(
    "--dir",
    "folder",
    type=click.Path(file_okay=False, path_type=Path),
    metavar="DIR",
    help="Folder of the states of a stopped worker. Default: RECEIPTS_STATE_DIR.",
)
@click.option(
    "--changelog",
    is_flag=True,
    help="Check Kafka instead: fold message-states, and compare with status-counters.",
)
@click.option(
    "--offline",
    is_flag=True,
    help="Read nothing from Kafka: timers of accounts with settings of their own are not proved.",
)
@click.option(
    "--partition",
    "partitions",
    type=click.IntRange(min=0),
    multiple=True,
    help="Only this one, several times for several. Default: all.",
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON; docs/status.md lists its keys.")
def check(
    folder: Path | None,
    changelog: bool,
    offline: bool,
    partitions: tuple[int, ...],
    as_json: bool,
) -> None:
    """Prove that counters, timers and days follow from the states.

    Reads each state of a stopped worker's folder and computes again what follows from it; timers
    depend on the settings of accounts, which are read from Kafka. It changes nothing. With
    --changelog workers may run, but without traffic: what is under way looks like a fault. Exit
    code 0 when every partition is exact, 1 when one is not or cannot be read, 2 when options or
    settings are wrong.
    """
    if changelog and (offline or folder is not None):
        raise click.UsageError("--changelog reads Kafka alone. Fix: leave out --dir and --offline")
    settings = read_settings()
    if not changelog and folder is None:
        if not settings.state_dir:
            fix = "set RECEIPTS_STATE_DIR, or add --dir or --changelog"
            raise click.UsageError(f"no folder of states is named. Fix: {fix}")
        folder = Path(settings.state_dir)
    silence_libraries()
    with progress_of_steps() as on_progress:
        found = _check(settings, folder, offline, partitions, on_progress)
    _print(found, as_json)
    sys.exit(OK if found.exact else FAILED)


def _check(
    settings: Settings,
    folder: Path | None,
    offline: bool,
    partitions: tuple[int, ...],
    on_progress: OnProgress,
) -> StateCheck:
    """folder: None: of the changelog"""
    from deploy.diagnosis.state_check import check_changelog, check_disk

    if folder is None:
        return asyncio.run(check_changelog(settings, partitions, on_progress))
    return check_disk(settings, folder, partitions, on_progress, offline=offline)


def _print(found: StateCheck, as_json: bool) -> None:
    import msgspec
    from rich.console import Console

    from deploy.diagnosis.proofs import state_screen

    if as_json:
        click.echo(msgspec.json.format(msgspec.json.encode(found), indent=2).decode())
    else:
        # As lines of a log: a terminal breaks them, a file does not.
        Console(highlight=False, soft_wrap=True).print(state_screen(found))


state.add_command(check)
