"""`python -m tests.chaos`: see --help.

Exit codes: 0 every ledger balances and nothing ended that should not have; 1 something is wrong;
2 wrong usage or no Kafka; 130 after Ctrl-C, 143 after SIGTERM.
"""

from __future__ import annotations

import asyncio
import signal
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import click
import uvloop

from deploy.cli.help import command
from deploy.embedded.brokers import missing_for_kafka
from deploy.processes.process import silence_libraries
from tests.chaos import report
from tests.chaos.catalogue import Unknown, chosen, plan
from tests.chaos.driver import Driver, Options
from tests.chaos.faults import Fault

RATE, SHORT_RATE = 400, 250


@command(
    "python -m tests.chaos",
    "python -m tests.chaos --seed 7 --minutes 30 --json build/chaos.json",
    "python -m tests.chaos --brokers 3 --only kill-brokers --only freeze-broker",
    "python -m tests.chaos --skip full-replay --markdown",
    "python -m tests.chaos --short        # what CI runs",
)
@click.option("--seed", default=1, show_default=True, help="What all chances are drawn from.")
@click.option("--minutes", type=float, help="Go on with the faults, in turn, until then "
              "[default: each once].")  # fmt: skip
@click.option("--rate", type=click.IntRange(10), help=f"Events a second [default: {RATE}; "
              f"{SHORT_RATE} with --short].")  # fmt: skip
@click.option("--brokers", type=click.Choice(("1", "3")), default="1", show_default=True,
              help="Brokers of Apache Kafka.")  # fmt: skip
@click.option("--only", multiple=True, metavar="NAME", help="Only this fault; may be given again.")
@click.option("--skip", multiple=True, metavar="NAME", help="Not this fault; may be given again.")
@click.option("--short", is_flag=True, help="A handful of faults, each once, in about a minute.")
@click.option("--list", "listing", is_flag=True, help="Show the faults and leave.")
@click.option("--markdown", is_flag=True, help="The table as in docs/reliability.md.")
@click.option("--json", "json_path", type=click.Path(dir_okay=False, path_type=Path),
              help="Write everything that was found to this file.")  # fmt: skip
@click.option("--keep", type=click.Path(file_okay=False, path_type=Path), metavar="FOLDER",
              help="Keep logs and truth files in this folder, which must not exist.")  # fmt: skip
def main(
    seed: int, minutes: float | None, rate: int | None, brokers: str, only: tuple[str, ...],
    skip: tuple[str, ...], short: bool, listing: bool, markdown: bool, json_path: Path | None,
    keep: Path | None,
) -> None:  # fmt: skip
    """Break a whole installation on real Kafka, and see whether its ledger still balances.

    Kafka, two workers, a sink and ClickHouse's engine run as processes, simulated events flow, and
    one fault after another is done to them. The ledger says what got lost, doubled or wrong.
    """
    try:
        faults = chosen(only, skip, int(brokers), short)
    except Unknown as error:
        raise click.UsageError(str(error)) from error
    if listing:
        for one in faults:
            click.echo(f"{one.name:20} {one.meaning}")
        return
    if lack := missing_for_kafka():
        raise click.UsageError(lack)
    options = Options(seed, rate or (SHORT_RATE if short else RATE), int(brokers), short)
    silence_libraries()  # the clients of the driver see every fault too
    with _folder(keep) as home:
        driver = Driver(options, home)
        try:
            code = uvloop.run(_until_told(driver, plan(faults, seed, short), minutes))
        finally:
            report.show(driver.outcomes, markdown)
            if json_path:
                report.write(json_path, options, driver.outcomes)
    passed = bool(driver.outcomes) and all(outcome.passed for outcome in driver.outcomes)
    sys.exit(code or (0 if passed else 1))


@contextmanager
def _folder(keep: Path | None) -> Iterator[Path]:
    """For logs and truth files."""
    if keep is None:
        with tempfile.TemporaryDirectory(
            prefix="receipts-chaos-", ignore_cleanup_errors=True
        ) as home:
            yield Path(home)
    else:
        keep.mkdir(parents=True)
        yield keep


async def _until_told(driver: Driver, rounds: list[list[Fault]], minutes: float | None) -> int:
    """Ctrl-C and SIGTERM end it cleanly."""
    work = asyncio.ensure_future(driver.run(rounds, minutes))
    told: list[int] = []

    def tell(number: int) -> None:
        told.append(number)
        work.cancel()

    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, tell, number)
    try:
        await work
    except asyncio.CancelledError:
        return 128 + told[0] if told else 1
    return 0


if __name__ == "__main__":
    main()
