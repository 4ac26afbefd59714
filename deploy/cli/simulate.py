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
    "receipts simulate --replay truth.jsonl",
    "receipts simulate --replay recording.jsonl --speed 2",
)
@click.option("--events", type=click.IntRange(0), default=50_000, show_default=True)
@click.option("--seed", type=int, default=1, show_default=True, help="Same seed, same traffic.")
@click.option("--rate", type=float, help="Events a second; as fast as possible when left out.")
@click.option(
    "--shape",
    type=click.Choice(["days", "hour", "burst"]),
    default="days",
    show_default=True,
    help="Several days, one hour, or a few hours of big campaigns.",
)
@click.option(
    "--as-of",
    type=click.DateTime(["%Y-%m-%dT%H:%M:%SZ"]),
    help="The present of the traffic, UTC; now when left out.",
)
@click.option("--truth", type=click.Path(path_type=Path), help="Write what was published here.")
@click.option(
    "--replay",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    help="Publish a recording: JSON lines of topic, key, value and optionally partition, headers.",
)
@click.option("--speed", type=float, help="Pace of a replay: 1 its own, 2 twice as fast.")
@click.option("--now", is_flag=True, help="Give replayed records the present as their time.")
@click.option("--idempotent", is_flag=True, help="No repeats by the producer; Apache Kafka only.")
@click.option(
    "--compression",
    type=click.Choice(["gzip", "snappy", "lz4", "zstd"]),
    help="Compress batches, as most producers do; not at all when left out.",
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
) -> None:
    """Publish seeded, realistic traffic, or a recording.

    Several accounts, SMS and WhatsApp, campaigns with clicks, retries; receipts late, twice, out
    of order, before their send or never, and 0.5 % broken input. Ctrl-C ends it early; what was
    acknowledged is in the truth file.
    """
    from deploy.simulator.publish import publish
    from deploy.simulator.traffic.load_profiles import SHAPES

    settings = read_settings()
    silence_libraries()
    if replay is None and (speed is not None or now):
        raise click.UsageError("--speed and --now belong to --replay")
    if replay is not None:
        replayed = publish.ReplayOptions(
            settings.brokers, replay, speed, now, truth, idempotent, compression
        )
        _publish(f"replaying {replay}", lambda update, stop: publish.replay(replayed, update, stop))
        return
    as_of_ms = int(as_of.replace(tzinfo=UTC).timestamp() * 1000) if as_of else None
    topics = _topics(settings)
    options = publish.SimulateOptions(
        settings.brokers,
        seed,
        events,
        rate,
        SHAPES[shape],
        as_of_ms,
        truth,
        topics,
        idempotent,
        compression,
    )
    _publish("publishing", lambda update, stop: publish.simulate(options, update, stop))


def _publish(title: str, work: "Callable[[OnProgress, asyncio.Event], Awaitable[Summary]]") -> None:
    """Run it with a bar, say what was done, end with 130 when it was interrupted."""
    from deploy.simulator.publish.publish import run

    with progress_bar(title, None) as on_progress:
        done = run(lambda stop: work(on_progress, stop))
    kinds = ", ".join(f"{count} {kind}" for kind, count in sorted(done.by_kind.items()))
    rate = done.events / done.seconds if done.seconds else 0
    click.echo(f"{done.events} events in {done.seconds:.1f} s ({rate:.0f} a second): {kinds}")
    if done.interrupted:
        click.echo("receipts: interrupted", err=True)
        sys.exit(INTERRUPTED)


def _topics(settings: Settings) -> dict[str, str]:
    from deploy.simulator.event import KINDS

    return {kind: settings.topic(kind) for kind in KINDS}
