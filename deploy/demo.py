"""The whole system once, on one machine with Python only: `receipts demo`.

An embedded broker and the worker run as child processes; the sink runs here, on the embedded
engine. At the end the report pages are served here over the same engine. Everything lives in a
temporary folder and is gone afterwards, whatever happens.
"""

import asyncio
import json
import shutil
import signal
import socket
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Mapping
from contextlib import ExitStack, asynccontextmanager, suppress
from functools import partial
from operator import itemgetter
from pathlib import Path
from typing import Any, NamedTuple

import clickhouse_connect
import uvloop
from prometheus_client import CollectorRegistry
from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
)
from rich.table import Table

from deploy.children import Child, ChildError
from deploy.embedded.brokers import EmbeddedBroker, free_port
from deploy.overview import overviews
from deploy.process import silence_libraries
from deploy.scrape import Samples, samples_at, samples_of
from deploy.serving import ProcessHealth, PrometheusMeter
from deploy.simulator.ledger import Ledger, compare, expectation
from deploy.simulator.publish import SimulateOptions, Summary, simulate
from deploy.topics import create_topics
from models.settings import Settings
from reports.views import statements
from sinks.run import run_sink

JSON_KEYS = ("events", "messages", "orphans", "dead_letters", "lost", "doubled", "wrong_status",
             "wrong_cells")  # fmt: skip
POLL_S = 0.3
QUIET_S = 1.5
"""Nothing moves for this long: everything has arrived (cells are published once a second)."""
STUCK_S = 20.0
"""Nothing moves for this long though events are missing: look at the tables as they are."""
ATTEMPTS = 4
"""A message may expire while the tables are read; then they are compared once more."""
REMOVE_S = 6.0
PIPED_WIDTH = 100
TERMINATED = 128 + signal.SIGTERM
MOST_ACCOUNTS = 50


class Result(NamedTuple):
    """What the demo found out; `worker_log` is the end of the worker's log."""

    published: Summary
    ledger: Ledger
    tables: list[Table]
    seconds: float
    worker_log: str


class Stage(NamedTuple):
    """What the parts of the demo share."""

    settings: Settings
    worker: Child
    sink: "asyncio.Task[None]"
    registry: CollectorRegistry
    bars: Progress

    def check(self) -> None:
        """Raises ChildError, or what the sink raised, when one of them has ended."""
        self.worker.check()
        if self.sink.done():
            self.sink.result()
            raise ChildError("the sink ended by itself")


def run(events: int, seed: int, as_json: bool, serve: bool) -> int:
    """Run the demo; 0 when the ledger balances, 1 when it does not, 143 after SIGTERM.

    serve: show the report pages of what it made until Ctrl-C, when the ledger balances.

    Raises ChildError, BrokerError, PublishError or SinkError when a part fails, and
    KeyboardInterrupt after Ctrl-C; nothing is left behind in any case.
    """
    silence_libraries()
    home = Path(tempfile.mkdtemp(prefix="receipts-demo-"))
    # The driver of the embedded engine makes temporary files too, to the end of this process.
    tempfile.tempdir = str(home)
    try:
        result = uvloop.run(_until_terminated(_demo(events, seed, home)))
        code = _report(result, as_json)
        return _serve(home) if serve and code == 0 else code
    except asyncio.CancelledError:
        return TERMINATED
    finally:
        _remove(home)


def _serve(home: Path) -> int:
    """The report pages over the engine the sink has written, in this process."""
    from deploy.pages import serve, tokens_for
    from reports.query.database import Database
    from reports.query.lookups import known_accounts

    url = _engine(home)
    database = Database(url)
    accounts = tokens_for(known_accounts(database, MOST_ACCOUNTS))
    database.close()
    settings = Settings()
    with suppress(KeyboardInterrupt):
        port = settings.pages_port if _is_free(settings) else 0
        terminated = serve(url, accounts, settings.pages_host, port, partial(_invite, accounts))
        return TERMINATED if terminated else 0
    return 0


def _is_free(settings: Settings) -> bool:
    try:
        socket.create_server((settings.pages_host, settings.pages_port)).close()
    except OSError:
        return False
    return True


def _invite(accounts: Mapping[str, str], address: str) -> None:
    print(f"\nThe reports are at {address} until Ctrl-C. Sign in with one of these links:")
    for token, account in sorted(accounts.items(), key=itemgetter(1)):
        print(f"  {account:<12} {address}/sign-in#token={token}")
    sys.stdout.flush()


def _engine(home: Path) -> str:
    return f"chdb://{home}/engine"


def _remove(home: Path) -> None:
    """Remove the folder, though the engine may still be at an insert that was interrupted."""
    for _ in range(int(REMOVE_S / POLL_S)):
        shutil.rmtree(home, ignore_errors=True)
        if not home.exists():
            return
        time.sleep(POLL_S)
    print(f"receipts: warning: {home} could not be removed", file=sys.stderr)


async def _until_terminated(work: Awaitable[Result]) -> Result:
    task = asyncio.ensure_future(work)
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
    return await task


async def _demo(events: int, seed: int, home: Path) -> Result:
    begun = time.monotonic()
    with ExitStack() as stack:
        bars = stack.enter_context(_bars())
        broker = stack.enter_context(EmbeddedBroker())
        settings = Settings(
            brokers=broker.bootstrap,
            clickhouse_url=_engine(home),
            worker_port=free_port(),
            session_timeout_s=6,  # joining a group of the embedded broker takes half of it
        )
        await create_topics(settings)
        command = [sys.executable, "-m", "deploy.cli", "worker"]
        worker = stack.enter_context(Child("worker", command, settings.environ(), home / "worker"))
        registry = CollectorRegistry()
        async with _sink(settings, registry) as sink:
            stage = Stage(settings, worker, sink, registry, bars)
            published = await _publish(stage, events, seed, home / "truth.jsonl")
            await _settle(stage, published)
            ledger, tables = await _compare(stage, home / "truth.jsonl")
        return Result(published, ledger, tables, time.monotonic() - begun, worker.tail())


def _bars() -> Progress:
    columns = (TextColumn("{task.description:<10}"), BarColumn(), MofNCompleteColumn())
    console = Console(stderr=True)
    shown = console.is_terminal
    return Progress(
        *columns, TimeElapsedColumn(), console=console, transient=True, disable=not shown
    )


@asynccontextmanager
async def _sink(
    settings: Settings, registry: CollectorRegistry
) -> AsyncIterator["asyncio.Task[None]"]:
    """The sink as a task of this process; it is stopped as SIGTERM would stop it."""
    meter = PrometheusMeter(registry)
    stop = asyncio.Event()
    health = ProcessHealth(settings.alive_s, meter)
    task = asyncio.create_task(run_sink(settings, meter, health, stop, views=statements()))
    try:
        yield task
    finally:
        stop.set()
        await asyncio.wait({task}, timeout=12)
        if not task.done():
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task


async def _publish(stage: Stage, events: int, seed: int, truth: Path) -> Summary:
    bar = stage.bars.add_task("published", total=events)
    options = SimulateOptions(stage.settings.brokers, seed, events, truth_path=truth)

    def tell(done: int, _: int) -> None:
        stage.bars.update(bar, completed=done)
        stage.check()

    return await simulate(options, tell)


async def _settle(stage: Stage, published: Summary) -> None:
    """Wait until worker and sink have worked through everything and nothing moves any more."""
    wanted = published.events - published.by_kind.get("campaigns", 0)
    joined = stage.bars.add_task("joined", total=wanted)
    stored = stage.bars.add_task("stored", total=None)
    before: tuple[Samples, Samples] | None = None
    since = time.monotonic()
    while True:
        stage.check()
        now = (await _of_worker(stage), samples_of(stage.registry, *OF_SINK))
        done = sum(now[0].get(name, 0) for name in WORKED_THROUGH)
        _show(stage.bars, joined, stored, done, now[1])
        if now != before:
            before, since = now, time.monotonic()
        if time.monotonic() - since > (QUIET_S if done >= wanted else STUCK_S):
            return
        await asyncio.sleep(POLL_S)


WORKED_THROUGH = ("receipts_events_total", "receipts_dead_letters_total")
OF_WORKER = (*WORKED_THROUGH, "receipts_strays_total", "receipts_records_out_total")
OF_SINK = ("receipts_sink_rows_total", "receipts_batch_records_sum")


async def _of_worker(stage: Stage) -> Samples:
    url = f"http://127.0.0.1:{stage.settings.worker_port}/metrics"
    return await asyncio.to_thread(samples_at, url, *OF_WORKER)


def _show(bars: Progress, joined: TaskID, stored: TaskID, done: float, sink: Samples) -> None:
    bars.update(joined, completed=int(done))
    bars.update(stored, completed=int(sink.get("receipts_sink_rows_total", 0)))


async def _compare(stage: Stage, truth: Path) -> tuple[Ledger, list[Table]]:
    """The ledger, and the overview tables."""
    checking = stage.bars.add_task("checking", total=None)
    client = _reader(stage.settings)
    try:
        for _ in range(ATTEMPTS):
            ledger = await asyncio.to_thread(_ledger, client, truth)
            if ledger.balances:
                break
            await asyncio.sleep(QUIET_S)
        stage.bars.remove_task(checking)
        return ledger, await asyncio.to_thread(overviews, client)
    finally:
        client.close()


def _reader(settings: Settings) -> Any:
    client = clickhouse_connect.get_client(dsn=settings.clickhouse_url)
    client.database = "receipts"
    return client


def _ledger(client: Any, truth: Path) -> Ledger:
    return compare(client, expectation([truth], time.time_ns() // 1_000_000))


def _console() -> Console:
    """As wide as the terminal; in a pipe wide enough for the tables."""
    return Console() if sys.stdout.isatty() else Console(width=PIPED_WIDTH)


def _report(result: Result, as_json: bool) -> int:
    """Print what was found; the exit code."""
    ledger = result.ledger
    if as_json:
        counts = {key: getattr(ledger, key) for key in JSON_KEYS}
        print(json.dumps({**counts, "seconds": round(result.seconds, 1)}))
    else:
        _print_tables(result, _console())
    if not ledger.balances:
        print(f"{ledger}\nThe end of the worker's log:\n{result.worker_log}", file=sys.stderr)
    return 0 if ledger.balances else 1


def _print_tables(result: Result, console: Console) -> None:
    for table in result.tables:
        console.print(table)
    ledger, kinds = result.ledger, result.published.by_kind
    published = ", ".join(f"{kinds[kind]:,} {kind}" for kind in sorted(kinds))
    counts = (
        (ledger.events, f"events: {published}"),
        (ledger.messages, "messages in messages_current"),
        (ledger.orphans, "orphans: receipts whose send is unknown"),
        (ledger.dead_letters, "dead letters: refused input, kept with its reason"),
        (ledger.lost, "lost"),
        (ledger.doubled, "doubled"),
        (ledger.wrong_status, "with a wrong status"),
        (ledger.wrong_cells, "counter cells wrong"),
    )
    console.print("[bold]Ledger[/bold]")
    for count, what in counts:
        console.print(f"{count:>10,}  {what}", highlight=False)
    verdict = "balances" if ledger.balances else "DOES NOT BALANCE"
    console.print(f"The ledger {verdict} after {result.seconds:.1f} s.", highlight=False)
