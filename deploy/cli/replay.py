"""`receipts replay-callbacks`."""

from __future__ import annotations

import asyncio
import signal
import sys
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator
from typing import TYPE_CHECKING, Any, Final

import click

from deploy.cli import moments
from deploy.cli.callbacks import NO_END, endpoint_named, settings_and_endpoints
from deploy.cli.help import command
from deploy.exit_codes import INTERRUPTED
from deploy.processes.logs import masked_line
from deploy.processes.process import read_settings
from deploy.progress import progress_bar

if TYPE_CHECKING:
    from deploy.cli.replay_preview import Preview
    from deploy.kafka.callbacks_client import Bounds, KeptCallback
    from models.endpoints import Endpoint
    from models.settings import Settings

    Wanted = Callable[[KeptCallback], bool]

DEFAULT_RATE: Final = 1_000.0

#: By effect: what the preview says.
_EFFECTS: Final = {
    "same": "as before",
    "new": "not in ClickHouse yet: refused before, or the message is not known",
    "wins": "read differently, and it wins over the earlier reading",
    "stays": "read differently, and the earlier reading stays: it cannot be taken back",
    "elsewhere": "of another message now; the one that has the earlier reading keeps it",
    "refused": "no valid events: each is a dead letter of the topic receipts",
}


@command(
    "receipts replay-callbacks --endpoint twilio-eu --since 2h --dry-run",
    "receipts replay-callbacks --endpoint smsc-1 --since 2026-11-01 --until 2026-11-03",
    "receipts replay-callbacks --endpoint smsc-1 --since 3d --yes --rate 200",
)
@click.option("--endpoint", metavar="NAME", required=True, help="Callbacks of this endpoint.")
@moments.since(required=True)
@moments.until()
@click.option("--dry-run", is_flag=True, help="Show what would change, and change nothing.")
@click.option("--yes", is_flag=True, help="Do it without a question.")
@click.option(
    "--rate",
    type=click.FloatRange(min=0, min_open=True),
    default=DEFAULT_RATE,
    show_default=True,
    help="Callbacks per second: new ones wait behind them.",
)
def replay_callbacks(
    endpoint: str, since: int, until: int | None, dry_run: bool, yes: bool, rate: float
) -> None:
    """Let the workers read callbacks again, after a correction of an endpoint or an adapter.

    First it reads them as this version and file of endpoints do, and compares with ClickHouse
    (RECEIPTS_CLICKHOUSE_URL). Then it produces them again, byte for byte; workers read them by
    their own version and file, so bring those up to date before. An equal reading changes nothing.
    Another one counts where it wins over the earlier one, which is never taken back:
    docs/semantics.md. Ctrl-C ends it early; run it again to do the rest. Exit code 0 when it is
    done, 1 when Kafka fails, 130 after Ctrl-C.
    """
    from deploy.cli.replay_preview import is_useful
    from deploy.kafka.callbacks_client import Span, bounds_since
    from models.reading import read_callback

    settings, file = settings_and_endpoints()
    found = endpoint_named(file, endpoint)
    if not dry_run and not yes and not sys.stdin.isatty():
        raise click.UsageError("--yes: needed without a terminal. Fix: add --yes, or --dry-run")
    span = Span(since, NO_END if until is None else until)
    if span.since >= span.until:
        raise click.UsageError("--until: is not after --since")
    bounds = asyncio.run(bounds_since(settings, since))

    def is_of_endpoint(kept: KeptCallback) -> bool:
        return kept.raw.endpoint == endpoint and span.has(kept.raw)

    def wanted(kept: KeptCallback) -> bool:
        return is_of_endpoint(kept) and is_useful(read_callback(kept.raw, found))

    preview = _previewed(settings, found, bounds, is_of_endpoint)
    if dry_run or not preview.callbacks:
        return
    if not yes and not click.confirm(f"Replay {preview.callbacks:,} callbacks?"):
        click.echo("nothing is changed")
        return
    _replay(settings, wanted, bounds, rate, preview.callbacks)


def _previewed(
    settings: Settings, endpoint: Endpoint, bounds: list[Bounds], is_wanted: Wanted
) -> Preview:
    """Print what is found, and what would change."""
    from deploy.cli.replay_preview import preview_of
    from deploy.kafka.callbacks_client import callbacks_in
    from reports.query.database import Database, DatabaseError

    def read(database: Database | None) -> Preview:
        with progress_bar("callbacks read", None) as on_read:
            kept = callbacks_in(settings, bounds, is_wanted, on_read)
            return asyncio.run(preview_of(kept, endpoint, database))

    try:
        database = Database(read_settings(clickhouse=True).reports_url)
        try:
            preview = read(database)
        finally:
            database.close()
    except DatabaseError as error:
        fix = "Fix: set RECEIPTS_CLICKHOUSE_URL, or see what refuses it"
        preview, why = read(None), f"{masked_line(str(error))}. {fix}"
    else:
        why = ""
    for line in preview_lines(preview, why):
        click.echo(line)
    return preview


def preview_lines(preview: Preview, why_not: str) -> Iterator[str]:
    """For a terminal. why_not: nothing was compared with ClickHouse for this reason; "": it was"""
    yield f"{preview.callbacks:,} callbacks can be read"
    if preview.refused:
        yield f"{preview.refused:,} cannot: they are left out"
    if preview.empty:
        yield f"{preview.empty:,} have neither receipts nor messages: they are left out"
    if preview.partly:
        yield f"{preview.partly:,} can be read in part: each is another dead letter"
    for what, count in _most_first(preview.items):
        yield f"{count:>10,}  {what}"
    if why_not:
        yield f"not compared with ClickHouse: {why_not}"
        return
    for effect, meaning in _EFFECTS.items():
        changes = [each for each in _most_first(preview.changes) if each[0].effect == effect]
        if not changes:
            continue
        yield f"{sum(count for _, count in changes):,} receipts: {meaning}"
        if effect in ("wins", "stays", "elsewhere"):
            for change, count in changes:
                yield f"{count:>10,}  {change.before} → {change.now}"


def _most_first(counts: Counter[Any]) -> list[tuple[Any, int]]:
    return sorted(counts.items(), key=lambda each: (-each[1], each[0]))


def _replay(
    settings: Settings, is_wanted: Wanted, bounds: list[Bounds], rate: float, total: int
) -> None:
    from deploy.kafka.callbacks_client import callbacks_in, replay

    with progress_bar("callbacks replayed", total) as on_progress:

        async def work(stop: asyncio.Event) -> int:
            kept = callbacks_in(settings, bounds, is_wanted, lambda *_: None)
            return await replay(settings, kept, rate, lambda sent: on_progress(sent, total), stop)

        sent, interrupted = _until_stopped(work)
    click.echo(f"{sent:,} of {total:,} callbacks replayed")
    if interrupted:
        click.echo("receipts: interrupted. Run it again to do the rest", err=True)
        sys.exit(INTERRUPTED)


def _until_stopped(work: Callable[[asyncio.Event], Awaitable[int]]) -> tuple[int, bool]:
    """Its result, and whether Ctrl-C or SIGTERM stopped it."""

    async def main() -> tuple[int, bool]:
        stop, loop = asyncio.Event(), asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, stop.set)
        return await work(stop), stop.is_set()

    return asyncio.run(main())
