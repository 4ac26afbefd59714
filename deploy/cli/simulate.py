"""`receipts simulate`."""

import asyncio
import sys
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click

from deploy.cli.help import command
from deploy.exit_codes import INTERRUPTED
from deploy.processes.process import read_settings, silence_libraries
from deploy.progress import OnProgress, progress_bar
from models.settings import Settings

if TYPE_CHECKING:
    from deploy.simulator.publish.publish import Summary


@command(
    "receipts simulate",
    "receipts simulate --events 200000 --rate 2000 --seed 7 --truth truth.jsonl",
    "receipts simulate --shape burst --as-of 2026-03-01T12:00:00Z",
    "receipts simulate --write-endpoints endpoints    # then, with RECEIPTS_ENDPOINTS set for all:",
    "receipts simulate --callbacks http://127.0.0.1:8090",
    "receipts simulate --replay truth.jsonl",
    "receipts simulate --replay recording.jsonl --speed 2",
)
@click.option(
    "--events", type=click.IntRange(0), default=50_000, show_default=True, help="Number of events."
)
@click.option("--seed", type=int, default=1, show_default=True, help="Same seed, same traffic.")
@click.option("--rate", type=float, help="Events per second; default: as fast as possible.")
@click.option(
    "--shape",
    type=click.Choice(["days", "hour", "burst"]),
    default="days",
    show_default=True,
    help="Several days, one hour, or a few hours of large campaigns.",
)
@click.option(
    "--as-of",
    type=click.DateTime(["%Y-%m-%dT%H:%M:%SZ"]),
    help="End of the traffic, UTC; default: now.",
)
@click.option(
    "--truth", type=click.Path(path_type=Path), help="Write acknowledged records to this file."
)
@click.option(
    "--replay",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    help="Publish a recording: JSON lines with topic, key, value, optional partition and headers. "
    "Callbacks of a truth file are left out.",
)
@click.option(
    "--speed",
    type=float,
    help="Speed of a replay: 1 as recorded, 2 twice as fast; default: as fast as possible.",
)
@click.option("--now", is_flag=True, help="Give replayed records the current time.")
@click.option("--idempotent", is_flag=True, help="Use an idempotent producer; Apache Kafka only.")
@click.option(
    "--compression",
    type=click.Choice(["gzip", "snappy", "lz4", "zstd"]),
    help="Compress batches, as most producers do; default: none.",
)
@click.option(
    "--callbacks",
    metavar="URL",
    help="Post some receipts to `receipts listen` there, as five providers would: signed, early, "
    "doubled, in batches, without their message, forged.",
)
@click.option(
    "--write-endpoints",
    type=click.Path(path_type=Path, file_okay=False),
    help="Write endpoints.toml, for RECEIPTS_ENDPOINTS, and the secrets of the simulated providers "
    "into this folder, and end.",
)
def simulate(
    events: int,
    seed: int,
    rate: float | None,
    shape: str,
    as_of: datetime | None,
    truth: Path | None,
    replay: Path | None,
    speed: float | None,
    now: bool,
    idempotent: bool,
    compression: str | None,
    callbacks: str | None,
    write_endpoints: Path | None,
) -> None:
    """Publish realistic traffic from a seed, or a recording.

    Several accounts, SMS and WhatsApp, campaigns with clicks, retries, replies, unsubscribes;
    receipts that are late, duplicated, out of order, before their send, by part or missing; fields
    with small flaws, and 0.5 % invalid input. Ctrl-C ends it early; the truth file has the records
    acknowledged so far.
    """
    from deploy.simulator.publish import publish
    from deploy.simulator.traffic.load_profiles import SHAPES
    from streams.kafka.security import kafka_access

    if write_endpoints is not None:
        _write_endpoints(write_endpoints)
        return
    settings = read_settings()
    access = kafka_access(settings)
    silence_libraries()
    if replay is not None and callbacks is not None:
        raise click.UsageError("--callbacks: a recording is published as it is")
    if replay is None and (speed is not None or now):
        raise click.UsageError("--speed and --now need --replay")
    if replay is not None:
        replayed = publish.ReplayOptions(access, replay, speed, now, truth, idempotent, compression)
        _publish(f"replaying {replay}", lambda update, stop: publish.replay(replayed, update, stop))
        return
    as_of_ms = int(as_of.replace(tzinfo=UTC).timestamp() * 1000) if as_of else None
    topics = _topics(settings)
    options = publish.SimulateOptions(
        access,
        seed,
        events,
        rate,
        SHAPES[shape],
        as_of_ms,
        truth,
        topics,
        idempotent,
        compression,
        callbacks,
    )
    _publish("publishing", lambda update, stop: publish.simulate(options, update, stop))


def _write_endpoints(folder: Path) -> None:
    from deploy.simulator.callbacks.endpoints import write_endpoints
    from deploy.simulator.traffic.profiles import ACCOUNTS

    click.echo(write_endpoints(folder, [account.name for account in ACCOUNTS]))


def _publish(title: str, work: "Callable[[OnProgress, asyncio.Event], Awaitable[Summary]]") -> None:
    """Run it with a progress bar and print a summary; exit code 130 when interrupted."""
    from deploy.simulator.publish.publish import run

    with progress_bar(title, None) as on_progress:
        done = run(lambda stop: work(on_progress, stop))
    kinds = ", ".join(f"{count} {kind}" for kind, count in sorted(done.by_kind.items()))
    rate = done.events / done.seconds if done.seconds else 0
    click.echo(f"{done.events} events in {done.seconds:.1f} s ({rate:.0f} per second): {kinds}")
    if done.interrupted:
        click.echo("receipts: interrupted", err=True)
        sys.exit(INTERRUPTED)


def _topics(settings: Settings) -> dict[str, str]:
    from deploy.simulator.event import EVERY_KIND

    return {kind: settings.topic(kind) for kind in EVERY_KIND}
