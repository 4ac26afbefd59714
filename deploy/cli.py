"""The command line `receipts`: settings from the environment, one clear line for every failure.

Exit codes: 0 done, 1 failed, 2 wrong usage or settings, 3 the number asked about is suppressed, 130
ended by Ctrl-C.
Commands import what they run only when they run: `receipts --help` needs no Kafka client.
"""

import asyncio
import sys
from functools import partial
from typing import TYPE_CHECKING

import click
from rich.console import Console
from rich.table import Table

from deploy import __version__
from deploy.cli_help import command
from deploy.cli_pages import pages
from deploy.cli_report import report
from deploy.cli_segments import segments
from deploy.cli_suppressions import suppressions
from deploy.cli_traffic import demo, simulate
from deploy.process import build, read_settings, run_process, run_until_told, silence_libraries
from models.issues import SettingsError, mask_url
from models.metrics import Health, Meter
from models.settings import Settings

if TYPE_CHECKING:
    from streams.followers.suppression_index import SuppressionIndex

FAILED, USAGE, INTERRUPTED = 1, 2, 130


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
def cli() -> None:
    """Joins SMS and WhatsApp delivery receipts from Kafka into exact tables in ClickHouse.

    Settings come from the environment (RECEIPTS_...), see docs/settings.md.
    """


@command(
    "receipts worker",
    "RECEIPTS_BROKERS=kafka-1:9092,kafka-2:9092 receipts worker",
    "RECEIPTS_WORKER_PORT=6068 receipts worker    # a second one on the same machine",
)
def worker() -> None:
    """Turn sends and receipts into message states and counters.

    Checks the topics, then runs until SIGTERM or Ctrl-C. Start more to share the partitions.
    """
    from deploy.suppressions_page import suppressions_page
    from streams.followers.suppression_index import SuppressionIndex

    settings, suppressed = read_settings(), SuppressionIndex()
    page = suppressions_page(suppressed, settings.alive_s)
    at = (settings.worker_host, settings.worker_port)
    sys.exit(run_process("worker", *at, settings, partial(_worker, suppressed), [page]))


def _worker(
    suppressed: "SuppressionIndex", settings: Settings, meter: Meter, health: Health
) -> int:
    from streams.worker import run

    _check_topics(settings)
    return run(settings, meter, health, suppressed)


def _check_topics(settings: Settings) -> None:
    """Warn of what does no harm. Raises TopicsError with every difference and its fix.

    Raises UnusableClient first when the Kafka client cannot read as it is installed.
    """
    from deploy.topics import check_topics
    from streams.kafka.reading import guard_reading

    guard_reading()
    for warning in asyncio.run(check_topics(settings)):
        click.echo(f"receipts: warning: {warning}", err=True)


@command(
    "receipts sink",
    "RECEIPTS_CLICKHOUSE_URL=http://user:password@clickhouse:8123/receipts receipts sink",
    "RECEIPTS_MIGRATE_ON_START=false receipts sink",
)
def sink() -> None:
    """Write everything to ClickHouse.

    States, counters, texts, engagements, campaigns and dead letters, in whole batches. Checks the
    topics and applies missing migrations (unless RECEIPTS_MIGRATE_ON_START=false) first, then runs
    until SIGTERM or Ctrl-C. While ClickHouse is away the rows wait in Kafka. Start more to share
    the partitions.
    """
    settings = read_settings()
    sys.exit(run_process("sink", settings.sink_host, settings.sink_port, settings, _sink))


def _sink(settings: Settings, meter: Meter, health: Health) -> int:
    from reports.views import statements
    from sinks.run import run_sink

    _check_topics(settings)
    views = statements()
    return run_until_told(lambda stop: run_sink(settings, meter, health, stop, views=views), health)


@command(
    "receipts migrate",
    "receipts migrate --status",
    "RECEIPTS_CLICKHOUSE_URL=chdb:///var/lib/receipts/engine receipts migrate",
)
@click.option("--status", is_flag=True, help="Only show what is applied and what is missing.")
def migrate(status: bool) -> None:
    """Bring the schema of ClickHouse up to date.

    With --status nothing is changed, and the exit code is 1 while migrations are missing.
    """
    from sinks.errors import Unavailable

    settings = read_settings()
    silence_libraries()
    try:
        sys.exit(_standing(settings) if status else _migrate(settings))
    except Unavailable as error:
        url = mask_url(settings.clickhouse_url)
        fix = "Fix: start it, or set RECEIPTS_CLICKHOUSE_URL"
        raise Unavailable(f"ClickHouse at {url} gives no answer ({error}). {fix}") from error


def _migrate(settings: Settings) -> int:
    from reports.views import statements
    from sinks.client import connect
    from sinks.migrate import migrate

    clickhouse, views = connect(settings.clickhouse_url), statements()
    applied = migrate(
        clickhouse, settings.text_days, on_applied=lambda m: click.echo(m.name), views=views
    )
    done = f"{len(applied)} migrations applied to {clickhouse.database}"
    click.echo(f"{done}, {len(views)} views of reports made anew")
    return 0


def _standing(settings: Settings) -> int:
    from sinks.client import connect
    from sinks.migrate import load, status

    found = status(connect(settings.clickhouse_url), load())
    for standing in found:
        click.echo(f"{standing.state:8} {standing.name} {standing.applied_at}".rstrip())
    return FAILED if any(s.state in ("pending", "edited") for s in found) else 0


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
    from deploy.topics import check_topics, create_topics

    if check and dry_run:
        raise click.UsageError("--check and --dry-run exclude each other")
    settings = read_settings()
    silence_libraries()
    if check:
        warnings = asyncio.run(check_topics(settings))
        click.echo("all topics are as they must be")
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


@command("receipts version")
def version() -> None:
    """Print what runs."""
    for name, value in {"receipts": __version__, **build()}.items():
        if name != "version":
            click.echo(f"{name} {value}")


for _command in (
    worker,
    sink,
    migrate,
    topics,
    report,
    segments,
    pages,
    suppressions,
    simulate,
    demo,
    version,
):
    cli.add_command(_command)


def main() -> None:
    """Entry point of `receipts`."""
    sys.exit(_run(sys.argv[1:]))


def _run(arguments: list[str]) -> int:
    try:
        result = cli.main(arguments, prog_name="receipts", standalone_mode=False)
        return result if isinstance(result, int) else 0
    except click.UsageError as error:
        error.show()
        return USAGE
    except SettingsError as error:
        for issue in error.issues:
            click.echo(f"receipts: {issue}", err=True)
        return USAGE
    except (click.Abort, KeyboardInterrupt):
        click.echo("receipts: interrupted", err=True)
        return INTERRUPTED
    except _expected() as error:
        for line in str(error).splitlines():
            quoted = line.startswith("  | ")  # from the log of a child process
            click.echo(line if quoted else f"receipts: error: {line}", err=True)
        return FAILED


def _expected() -> tuple[type[Exception], ...]:
    """Failures whose text is made for people; any other is a bug and shows its traceback."""
    from aiokafka.errors import KafkaError

    from deploy.children import ChildError
    from deploy.embedded.brokers import BrokerError
    from deploy.simulator.publish import PublishError
    from deploy.simulator.recording import BadRecording
    from deploy.suppressions import SuppressionsError
    from deploy.topics import TopicsError
    from reports.query.database import DatabaseError
    from sinks.errors import SinkError
    from streams.kafka.reading import UnusableClient

    return (
        UnusableClient,
        TopicsError,
        BrokerError,
        ChildError,
        PublishError,
        BadRecording,
        SuppressionsError,
        DatabaseError,
        SinkError,
        KafkaError,
        OSError,
    )


if __name__ == "__main__":
    main()
