"""The whole system once, on one machine with Python only: `receipts demo`.

An embedded broker, the worker, and the listener to which simulated providers post callbacks run as
child processes; the sink runs in this process, on the embedded engine. At the end this process
serves the report pages over the same engine. All files are in a temporary folder, which is removed
however the demo ends.
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
from rich.progress import Progress, TaskID
from rich.table import Table

from deploy.demo.scrape import Samples, is_ready, samples_at, samples_of
from deploy.demo.tables import overviews
from deploy.embedded.brokers import EmbeddedBroker, free_port
from deploy.exit_codes import FAILED, OK, TERMINATED
from deploy.kafka.topics import create_topics
from deploy.processes.child import Child, ChildError
from deploy.processes.monitoring import ProcessHealth, PrometheusMeter
from deploy.processes.process import silence_libraries
from deploy.progress import progress_bars
from deploy.simulator.callbacks.endpoints import write_endpoints
from deploy.simulator.ledger.compare import Ledger, compare, expectation
from deploy.simulator.publish.publish import SimulateOptions, Summary, simulate
from deploy.simulator.traffic.profiles import ACCOUNTS
from models.settings import Settings
from reports.views import statements
from sinks.run import run_sink
from streams.kafka.security import kafka_access

JSON_KEYS = ("events", "messages", "orphans", "dead_letters", "unmatched", "lost", "doubled",
             "wrong_status", "wrong_cells")  # fmt: skip
POLL_S = 0.3
IDLE_S = 1.5
"""No progress for this long: everything has arrived (cells are published once a second)."""
STUCK_S = 20.0
"""No progress for this long although events are missing: compare the tables as they are."""
ATTEMPTS = 4
"""A message may expire while the tables are read; then they are compared once more."""
REMOVE_S = 6.0
PIPED_WIDTH = 100
MAX_ACCOUNTS = 50
#: A receipt of a callback counts in both of the last ones; so all may look done too early, and then
#: only silence ends the wait.
PROCESSED = (
    "receipts_events_total",
    "receipts_dead_letters_total",
    "receipts_callback_items_total",
)
WORKER_METRICS = (*PROCESSED, "receipts_strays_total", "receipts_records_out_total")
SINK_METRICS = ("receipts_sink_rows_total", "receipts_batch_records_sum")


class Result(NamedTuple):
    """The outcome of the demo; `worker_log` is the end of the worker's log."""

    published: Summary
    ledger: Ledger
    tables: list[Table]
    seconds: float
    worker_log: str


class RunningSystem(NamedTuple):
    """Worker and sink at work."""

    settings: Settings
    worker: Child
    listener: Child
    sink: "asyncio.Task[None]"
    registry: CollectorRegistry
    bars: Progress

    def check(self) -> None:
        """Raises ChildError, or the error of the sink, when one of them has ended."""
        self.worker.check()
        self.listener.check()
        if self.sink.done():
            self.sink.result()
            raise ChildError("the sink ended unexpectedly")


def run(events: int, seed: int, as_json: bool, serve: bool) -> int:
    """Run the demo; 0 when the ledger balances, 1 when it does not, 143 after SIGTERM.

    serve: when the ledger balances, serve the report pages until Ctrl-C.

    Raises ChildError, BrokerError, PublishError or SinkError when a part fails, and
    KeyboardInterrupt after Ctrl-C; removes its processes and files in any case.
    """
    silence_libraries()
    home = Path(tempfile.mkdtemp(prefix="receipts-demo-"))
    # The driver of the embedded engine makes temporary files too, until this process ends.
    tempfile.tempdir = str(home)
    try:
        result = uvloop.run(_cancelled_by_sigterm(_demo(events, seed, home)))
        code = _print_result(result, as_json)
        return _serve(home) if serve and code == OK else code
    except asyncio.CancelledError:
        return TERMINATED
    finally:
        _remove(home)


def _serve(home: Path) -> int:
    """Serve the report pages over the engine that the sink has filled."""
    from deploy.processes.pages_server import serve_pages, tokens_for
    from reports.query.database import Database
    from reports.query.lookups import known_accounts

    url = _engine_url(home)
    database = Database(url)
    accounts = tokens_for(known_accounts(database, MAX_ACCOUNTS))
    database.close()
    settings = Settings()
    with suppress(KeyboardInterrupt):
        port = settings.pages_port if _is_free(settings) else 0
        on_ready = partial(_print_links, accounts)
        all_texts = settings.show_verification_text
        terminated = serve_pages(
            url, accounts, settings.pages_host, port, on_ready, all_texts=all_texts
        )
        return TERMINATED if terminated else OK
    return OK


def _is_free(settings: Settings) -> bool:
    try:
        socket.create_server((settings.pages_host, settings.pages_port)).close()
    except OSError:
        return False
    return True


def _print_links(accounts: Mapping[str, str], address: str) -> None:
    print(f"\nThe reports are at {address} until Ctrl-C. Sign in with one of these links:")
    for token, account in sorted(accounts.items(), key=itemgetter(1)):
        print(f"  {account:<12} {address}/sign-in#token={token}")
    sys.stdout.flush()


def _engine_url(home: Path) -> str:
    return f"chdb://{home}/engine"


def _remove(home: Path) -> None:
    """Remove the folder; tries again while the engine finishes an interrupted insert."""
    for _ in range(int(REMOVE_S / POLL_S)):
        shutil.rmtree(home, ignore_errors=True)
        if not home.exists():
            return
        time.sleep(POLL_S)
    print(f"receipts: warning: {home} could not be removed", file=sys.stderr)


async def _cancelled_by_sigterm(work: Awaitable[Result]) -> Result:
    task = asyncio.ensure_future(work)
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
    return await task


async def _demo(events: int, seed: int, home: Path) -> Result:
    started = time.monotonic()
    with ExitStack() as stack:
        bars = stack.enter_context(progress_bars(title_width=10))
        broker = stack.enter_context(EmbeddedBroker())
        settings = Settings(
            brokers=broker.bootstrap,
            clickhouse_url=_engine_url(home),
            worker_port=free_port(),
            session_timeout_s=6,  # joining a group of the embedded broker takes half of it
            endpoints=str(write_endpoints(home / "endpoints", [each.name for each in ACCOUNTS])),
            listen_port=free_port(),
            listen_monitoring_port=free_port(),
            unmatched_days=0,  # nobody waits for days
        )
        await create_topics(settings)
        worker, listener = (
            stack.enter_context(Child(name, _command(name), settings.environ(), home / name))
            for name in ("worker", "listen")
        )
        registry = CollectorRegistry()
        async with _sink(settings, registry) as sink:
            system = RunningSystem(settings, worker, listener, sink, registry, bars)
            await _wait_for_listener(system)
            published = await _publish(system, events, seed, home / "truth.jsonl")
            await _wait_until_idle(system, published)
            ledger, tables = await _compare(system, home / "truth.jsonl")
        return Result(published, ledger, tables, time.monotonic() - started, worker.tail())


def _command(name: str) -> list[str]:
    return [sys.executable, "-m", "deploy.cli", name]


async def _wait_for_listener(system: RunningSystem) -> None:
    """Wait until it takes callbacks, which it does once Kafka answers."""
    url = f"http://127.0.0.1:{system.settings.listen_monitoring_port}/readyz"
    while not await asyncio.to_thread(is_ready, url):
        system.check()
        await asyncio.sleep(POLL_S)


@asynccontextmanager
async def _sink(
    settings: Settings, registry: CollectorRegistry
) -> AsyncIterator["asyncio.Task[None]"]:
    """The sink as a task of this process, stopped as by SIGTERM."""
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


async def _publish(system: RunningSystem, events: int, seed: int, truth: Path) -> Summary:
    bar = system.bars.add_task("published", total=events)
    listener = f"http://127.0.0.1:{system.settings.listen_port}"
    access = kafka_access(system.settings)
    options = SimulateOptions(access, seed, events, truth_path=truth, callbacks=listener)

    def on_progress(done: int, _: int) -> None:
        system.bars.update(bar, completed=done)
        system.check()

    return await simulate(options, on_progress)


async def _wait_until_idle(system: RunningSystem, published: Summary) -> None:
    """Wait until worker and sink have processed everything and make no more progress."""
    expected = published.events - published.by_kind.get("campaigns", 0)
    joined = system.bars.add_task("joined", total=expected)
    stored = system.bars.add_task("stored", total=None)
    before: tuple[Samples, Samples] | None = None
    since = time.monotonic()
    while True:
        system.check()
        now = (await _worker_samples(system), samples_of(system.registry, *SINK_METRICS))
        done = sum(now[0].get(name, 0) for name in PROCESSED)
        _update_bars(system.bars, joined, stored, done, now[1])
        if now != before:
            before, since = now, time.monotonic()
        if time.monotonic() - since > (IDLE_S if done >= expected else STUCK_S):
            return
        await asyncio.sleep(POLL_S)


async def _worker_samples(system: RunningSystem) -> Samples:
    url = f"http://127.0.0.1:{system.settings.worker_port}/metrics"
    return await asyncio.to_thread(samples_at, url, *WORKER_METRICS)


def _update_bars(
    bars: Progress, joined: TaskID, stored: TaskID, done: float, sink: Samples
) -> None:
    bars.update(joined, completed=int(done))
    bars.update(stored, completed=int(sink.get("receipts_sink_rows_total", 0)))


async def _compare(system: RunningSystem, truth: Path) -> tuple[Ledger, list[Table]]:
    """The ledger, and the overview tables."""
    checking = system.bars.add_task("checking", total=None)
    client = _reader(system.settings)
    try:
        for _ in range(ATTEMPTS):
            ledger = await asyncio.to_thread(_ledger, client, truth)
            if ledger.balances:
                break
            await asyncio.sleep(IDLE_S)
        system.bars.remove_task(checking)
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


def _print_result(result: Result, as_json: bool) -> int:
    """Print tables and ledger; the exit code."""
    ledger = result.ledger
    if as_json:
        counts = {key: getattr(ledger, key) for key in JSON_KEYS}
        print(json.dumps({**counts, "seconds": round(result.seconds, 1)}))
    else:
        _print_tables(result, _console())
    if not ledger.balances:
        print(f"{ledger}\nThe end of the worker's log:\n{result.worker_log}", file=sys.stderr)
    return OK if ledger.balances else FAILED


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
        (ledger.unmatched, "unmatched: receipts of callbacks that name no known message"),
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
