"""The command line `receipts`: settings from the environment, one clear line for every failure.

Exit codes are in deploy/exit_codes.py. Commands import their dependencies when they run, so that
`receipts --help` is fast.
"""

import sys

import click

from deploy import __version__
from deploy.cli import (
    callbacks,
    codes,
    demo,
    doctor,
    endpoints,
    listen,
    migrate,
    pages,
    replay,
    report,
    segments,
    simulate,
    sink,
    state,
    status,
    suppressions,
    topics,
    worker,
)
from deploy.cli.help import command
from deploy.exit_codes import FAILED, INTERRUPTED, OK, USAGE
from deploy.processes.logs import masked_line
from deploy.processes.process import build
from models.issues import SettingsError


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
def cli() -> None:
    """Join SMS and WhatsApp delivery receipts from Kafka into exact tables in ClickHouse.

    Settings come from environment variables (RECEIPTS_...), see docs/settings.md.
    """


@command("receipts version")
def version() -> None:
    """Print the versions of receipts and of its main libraries."""
    for name, value in {"receipts": __version__, **build()}.items():
        if name != "version":
            click.echo(f"{name} {value}")


for _command in (
    worker.worker,
    sink.sink,
    listen.listen,
    endpoints.endpoints,
    migrate.migrate,
    topics.topics,
    status.status,
    doctor.doctor,
    state.state,
    report.report,
    segments.segments,
    pages.pages,
    suppressions.suppressions,
    callbacks.callbacks,
    replay.replay_callbacks,
    codes.codes,
    simulate.simulate,
    demo.demo,
    version,
):
    cli.add_command(_command)


def main() -> None:
    """Entry point of `receipts`."""
    sys.exit(_run(sys.argv[1:]))


def _run(arguments: list[str]) -> int:
    try:
        result = cli.main(arguments, prog_name="receipts", standalone_mode=False)
        return result if isinstance(result, int) else OK
    except click.UsageError as error:
        error.show()
        return USAGE
    except SettingsError as error:
        for issue in error.issues:
            click.echo(f"receipts: {issue}", err=True)
        return USAGE
    except _unusable_files() as error:
        for line in str(error).splitlines():
            click.echo(f"receipts: {line}", err=True)
        return USAGE
    except (click.Abort, KeyboardInterrupt):
        click.echo("receipts: interrupted", err=True)
        return INTERRUPTED
    except _expected() as error:
        for line in masked_line(str(error)).splitlines():
            quoted = line.startswith("  | ")  # from the log of a child process
            click.echo(line if quoted else f"receipts: error: {line}", err=True)
        return FAILED


def _unusable_files() -> type[Exception]:
    """Files that the settings name and that cannot be used: as wrong settings."""
    from streams.tls.certificates import UnusableFiles

    return UnusableFiles


def _expected() -> tuple[type[Exception], ...]:
    """Errors with a text for users; any other is a bug and shows its traceback."""
    from aiokafka.errors import KafkaError

    from deploy.diagnosis.state_check import StateCheckError
    from deploy.embedded.brokers import BrokerError
    from deploy.kafka.command_clients import CommandError
    from deploy.kafka.topics import TopicsError
    from deploy.processes.child import ChildError
    from deploy.simulator.publish.publish import PublishError
    from deploy.simulator.publish.recording import BadRecording
    from reports.query.database import DatabaseError
    from sinks.errors import SinkError
    from streams.batching import StateFolderError
    from streams.kafka.reading import UnusableClient

    return (
        StateCheckError,
        StateFolderError,
        UnusableClient,
        TopicsError,
        BrokerError,
        ChildError,
        PublishError,
        BadRecording,
        CommandError,
        DatabaseError,
        SinkError,
        KafkaError,
        OSError,
    )
