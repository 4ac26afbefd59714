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
@click.option("--events", type=click.IntRange(1), default=50_000, show_default=True)
@click.option("--seed", type=int, default=1, show_default=True, help="Same seed, same traffic.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object and nothing else.")
@click.option("--no-serve", is_flag=True, help="Leave after the ledger, without the pages.")
def demo(events: int, seed: int, as_json: bool, no_serve: bool) -> None:
    """Show the whole system at work, embedded.

    Starts a broker, the worker and the sink, publishes simulated events, then prints tables and
    a ledger of what was published against what the tables hold. Exit code 0 only if it balances.
    Then it serves the report pages of what it made, and prints their address and links to sign in,
    until Ctrl-C, in a terminal and in a script alike; with --json or --no-serve it leaves at once.

    Needs no settings, no Java, no containers; everything it made is gone afterwards.
    """
    from deploy.demo.run import run

    sys.exit(run(events, seed, as_json, serve=not (as_json or no_serve)))
