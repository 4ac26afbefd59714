"""`receipts demo`."""

import sys

import click

from deploy.cli.help import command


@command(
    "receipts demo",
    "receipts demo --events 20000 --seed 7",
    "receipts demo --no-serve",
    "receipts demo --json | python -m json.tool",
)
@click.option(
    "--events", type=click.IntRange(1), default=50_000, show_default=True, help="Number of events."
)
@click.option("--seed", type=int, default=1, show_default=True, help="Same seed, same traffic.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object and nothing else.")
@click.option("--no-serve", is_flag=True, help="Exit after the ledger, without the pages.")
def demo(events: int, seed: int, as_json: bool, no_serve: bool) -> None:
    """Run the whole system on simulated events, embedded.

    Starts a broker, a worker and a sink, publishes events, and prints tables and a ledger that
    compares the published events with the tables. The exit code is 0 only if the ledger balances.
    Then it prints the address and sign-in links of the report pages and serves them until Ctrl-C,
    also in a script; with --json or --no-serve it exits at once.

    Needs no settings, Java or containers. Removes all its files at the end.
    """
    from deploy.demo.run import run

    sys.exit(run(events, seed, as_json, serve=not (as_json or no_serve)))
