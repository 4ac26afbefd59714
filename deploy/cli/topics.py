"""`receipts topics`."""

import asyncio
from collections.abc import Callable

import click
from rich.console import Console
from rich.table import Table

from deploy.cli.help import command
from deploy.processes.process import read_settings, silence_libraries
from models.access_rights import NEEDS


def principal_options(command: Callable[..., None]) -> Callable[..., None]:
    """An option for the principal of each program."""
    for program, needs in reversed(list(NEEDS.items())):
        text = f"With --acls: principal of {needs.meaning.replace('`', '')}."
        command = click.option(f"--{program}", metavar="PRINCIPAL", help=text)(command)
    return command


@command(
    "receipts topics",
    "receipts topics --check",
    "receipts topics --dry-run",
    "RECEIPTS_PARTITIONS=12 RECEIPTS_REPLICATION=3 receipts topics",
    "receipts topics --acls --worker User:CN=worker,O=acme",
)
@click.option("--check", is_flag=True, help="Create nothing; fail if a topic is missing.")
@click.option("--dry-run", is_flag=True, help="Create nothing; show what would be created.")
@click.option("--acls", is_flag=True, help="Print commands that grant the least rights in Kafka.")
@click.option(
    "--command-config", metavar="FILE", help="With --acls: how kafka-acls.sh itself logs in."
)
@principal_options
def topics(
    check: bool, dry_run: bool, acls: bool, command_config: str | None, **principals: str | None
) -> None:
    """Create missing Kafka topics, or check the existing ones.

    Never alters an existing topic. All topics must have the same number of partitions: if they do
    not, the command fails and prints the fix.
    """
    from deploy.kafka.access_rights import PRINCIPALS, acl_commands
    from deploy.kafka.topics import check_topics, create_topics

    if check + dry_run + acls > 1:
        raise click.UsageError("--check, --dry-run and --acls exclude each other")
    given = {program: name for program, name in principals.items() if name is not None}
    if not acls and (given or command_config):
        option = "command-config" if command_config else next(iter(given))
        raise click.UsageError(f"--{option} needs --acls")
    settings = read_settings()
    if acls:
        for line in acl_commands(settings, {**PRINCIPALS, **given}, command_config):
            click.echo(line)
        return
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
