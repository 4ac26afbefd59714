"""`receipts topics`."""

import asyncio

import click
from rich.console import Console
from rich.table import Table

from deploy.cli.help import command
from deploy.processes.process import read_settings, silence_libraries


@command(
    "receipts topics",
    "receipts topics --check",
    "receipts topics --dry-run",
    "RECEIPTS_PARTITIONS=12 RECEIPTS_REPLICATION=3 receipts topics",
)
@click.option("--check", is_flag=True, help="Create nothing; fail when a topic is missing.")
@click.option("--dry-run", is_flag=True, help="Create nothing; show what would be created.")
def topics(check: bool, dry_run: bool) -> None:
    """Create every Kafka topic, or check those that exist.

    Nothing that exists is altered. Topics that must have the same number of partitions and do
    not are refused, with the fix.
    """
    from deploy.kafka.topics import check_topics, create_topics

    if check and dry_run:
        raise click.UsageError("--check and --dry-run exclude each other")
    settings = read_settings()
    silence_libraries()
    if check:
        warnings = asyncio.run(check_topics(settings))
        click.echo("all topics match the settings")
    else:
        outcome = asyncio.run(create_topics(settings, dry_run=dry_run))
        word = "would be created" if dry_run else "created"
        table = Table("topic", "partitions", "copies", "cleanup", "state")
        for spec in sorted(outcome.created + outcome.kept):
            state = word if spec in outcome.created else "exists"
            shape = str(spec.partitions), str(spec.replication), spec.config["cleanup.policy"]
            table.add_row(spec.name, *shape, state)
        Console().print(table)
        warnings = outcome.warnings
    for warning in warnings:
        click.echo(f"receipts: warning: {warning}", err=True)
