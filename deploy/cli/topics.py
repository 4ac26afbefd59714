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
@click.option("--check", is_flag=True, help="Create nothing; fail if a topic is missing.")
@click.option("--dry-run", is_flag=True, help="Create nothing; show what would be created.")
def topics(check: bool, dry_run: bool) -> None:
    """Create missing Kafka topics, or check the existing ones.

    Never alters an existing topic. All topics must have the same number of partitions: if they do
    not, the command fails and prints the fix.
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
        result = asyncio.run(create_topics(settings, dry_run=dry_run))
        created = "would be created" if dry_run else "created"
        table = Table("topic", "partitions", "copies", "cleanup", "state")
        for spec in sorted(result.created + result.existing):
            state = created if spec in result.created else "exists"
            shape = str(spec.partitions), str(spec.replication), spec.config["cleanup.policy"]
            table.add_row(spec.name, *shape, state)
        Console().print(table)
        warnings = result.warnings
    for warning in warnings:
        click.echo(f"receipts: warning: {warning}", err=True)
