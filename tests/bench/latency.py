"""Produced → visible: how long until a reader of ClickHouse sees what was published.

Worker, sink and the engine (the HTTP front over chdb) run as processes. This process publishes
simulated events at a steady rate, record timestamps being now, and among them probes: fifty new
messages a second, each delivered by a receipt one second later. A reader asks the `messages` table
ten times a second for the probes not seen yet.

produced  the probe's Kafka timestamp, taken right before it is handed to the producer
visible   when the answer of the first query that shows it (new row, or delivered) has arrived

So a value holds producing, worker, sink, insert, and up to 0.1 s of waiting for the next question.
"""

import asyncio
import json
import math
import tempfile
import time
from collections import deque
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from itertools import islice
from typing import Any, NamedTuple
from urllib.parse import urlencode
from urllib.request import urlopen

import msgspec

from deploy.embedded.brokers import free_port
from models.keys import message_key, partition_of
from models.settings import Settings
from tests.bench.child import Child, running
from tests.bench.cluster import BenchError, Cluster
from tests.bench.job import settings_of
from tests.bench.sink import page
from tests.bench.traffic import Outgoing, events, place, producing, send_chunk, settled

ACCOUNT = "bench-probe"
STEP_S = 0.02
DELIVER_AFTER_S = 1.0
ASK_S = 0.1
WARM_UP_S = 5.0
DRAIN_S = 20.0
READY_S = 60.0

_QUERY = """
SELECT message_id, max(delivered_at) > toDateTime64(0, 3, 'UTC')
FROM receipts.messages
WHERE account = '{account}' AND sent_at >= fromUnixTimestamp64Milli({since}, 'UTC')
GROUP BY message_id FORMAT TabSeparated
"""


class Latency(msgspec.Struct):
    """One run. Values in seconds; cpu: share of one core by process, while publishing."""

    partitions: int
    wanted_events_per_s: int
    events_per_s: float
    seconds: float
    probes: int
    unseen: int
    p50_s: float
    p99_s: float
    max_s: float
    new_p99_s: float
    delivered_p99_s: float
    cpu: dict[str, float]


class Probes:
    """What was published and when it was seen. Epoch seconds."""

    def __init__(self, partitions: int, prefix: str) -> None:
        self._partitions = partitions
        self._prefix = prefix
        self._due: deque[tuple[float, str]] = deque()
        self._number = 0
        self._first_of: dict[str, float] = {}
        self.waiting: dict[tuple[str, bool], float] = {}
        self.seen: list[tuple[float, bool, float]] = []

    def take(self, now: float) -> Iterator[Outgoing]:
        """The probes to publish now: one new message, and the receipts that are due."""
        name = f"p{self._number:08}"
        self._number += 1
        self._due.append((now + DELIVER_AFTER_S, name))
        self._first_of[name] = now
        yield self._record(name, False, now, channel="sms", recipient="+4915112345678")
        while self._due and self._due[0][0] <= now:
            yield self._record(self._due.popleft()[1], True, now, status="delivered")

    def _record(self, name: str, delivered: bool, now: float, **fields: str) -> Outgoing:
        at_ms = int(now * 1000)
        time_field = "occurred_at" if delivered else "sent_at"
        event = {"account": ACCOUNT, "message_id": name, time_field: at_ms, **fields}
        key = message_key(ACCOUNT, name)
        self.waiting[name, delivered] = now
        topic = self._prefix + ("receipts" if delivered else "sends")
        partition = partition_of(key, self._partitions)
        return Outgoing(topic, partition, at_ms, key, json.dumps(event).encode())

    def oldest_ms(self) -> int | None:
        """`sent_at` of the oldest message with something not seen yet."""
        names = [name for name, _ in self.waiting]
        return int(min(self._first_of[name] for name in names) * 1000) if names else None

    def note(self, name: str, delivered: bool, at: float) -> None:
        """The reader sees a message, perhaps delivered."""
        for kind in (False, True) if delivered else (False,):
            produced = self.waiting.pop((name, kind), None)
            if produced is not None:
                self.seen.append((produced, kind, at - produced))


async def bench_latency(
    cluster: Cluster, rate: int, seconds: float, partitions: int, shape: str
) -> list[Latency]:
    """Run everything once; one result."""
    prefix = f"late{partitions}."
    port = free_port()
    url = f"http://default:@127.0.0.1:{port}/receipts"
    settings = settings_of(cluster, prefix, partitions, clickhouse_url=url)
    await cluster.create_all(settings)
    count = int((seconds + WARM_UP_S) * (rate - 2 / STEP_S)) + 1
    background = [place(event, prefix, partitions) for event in events(count, shape)]
    async with everything(settings, port) as children:
        load = Load(cluster.brokers, background, rate, WARM_UP_S + seconds)
        found = await _measure(settings, children, load, port)
    print(
        f"latency at {found.events_per_s:,.0f} events/s: p50 {found.p50_s:.2f} s, "
        f"p99 {found.p99_s:.2f} s, max {found.max_s:.2f} s, unseen {found.unseen} "
        f"of {found.probes}, cores {found.cpu}",
        flush=True,
    )
    await cluster.delete(await cluster.names(prefix))
    return [found]


class Load(NamedTuple):
    """What is published: background events and probes, `rate` events a second, for `seconds`.

    enough: ends it earlier
    """

    brokers: str
    background: list[Outgoing]
    rate: int
    seconds: float
    enough: asyncio.Event | None = None


@asynccontextmanager
async def everything(
    settings: Settings, port: int, ready_s: float = READY_S
) -> AsyncIterator[dict[str, Child]]:
    """Engine, sink and worker, ready. port: of the engine. ready_s: how long that may take"""
    environ = settings.environ()
    async with AsyncExitStack() as stack:
        folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="bench-front-"))
        front = ["-m", "deploy.embedded.clickhouse", "--path", folder, "--port", str(port)]
        commands = {
            "engine": (front, {}),
            "sink": (["-m", "deploy.cli", "sink"], environ),
            "worker": (["-m", "deploy.cli", "worker"], environ),
        }
        children = {}
        for name, (command, variables) in commands.items():
            children[name] = await stack.enter_async_context(running(name, command, variables))
        for name, ours in (("worker", settings.worker_port), ("sink", settings.sink_port)):
            await _ready(children[name], ours, ready_s)
        yield children


async def _ready(child: Child, port: int, ready_s: float) -> None:
    deadline = time.monotonic() + ready_s
    while '"ready": true' not in await asyncio.to_thread(page, port, "readyz"):
        child.check()
        if time.monotonic() > deadline:
            raise BenchError(f"{child.name} was not ready within {ready_s:.0f} s: {child.tail()}")
        await asyncio.sleep(0.2)


class Seen(NamedTuple):
    """What came of a load. began, ended: of publishing, epoch seconds"""

    probes: Probes
    published: int
    began: float
    ended: float


async def observe(settings: Settings, children: dict[str, Child], load: Load, port: int) -> Seen:
    """Publish a load and read until its probes are seen, or are given up."""
    probes = Probes(settings.partitions, settings.topic_prefix)
    reading = asyncio.create_task(_read(probes, port))
    began = time.time()
    published = await _publish(load, probes)
    ended = time.time()
    await _drain(probes, children, reading)
    return Seen(probes, published, began, ended)


async def _measure(
    settings: Settings, children: dict[str, Child], load: Load, port: int
) -> Latency:
    probes, published, began, ended = await observe(settings, children, load, port)
    measured_from = began + WARM_UP_S
    kept = [each for each in probes.seen if each[0] >= measured_from]
    delays = [delay for _, _, delay in kept]
    unseen = sum(at >= measured_from for at in probes.waiting.values())
    return Latency(
        partitions=settings.partitions,
        wanted_events_per_s=load.rate,
        events_per_s=round(published / (ended - began), 1),
        seconds=load.seconds - WARM_UP_S,
        probes=len(kept) + unseen,
        unseen=unseen,
        p50_s=quantile(delays, 0.5),
        p99_s=quantile(delays, 0.99),
        max_s=quantile(delays, 1.0),
        new_p99_s=quantile([d for _, delivered, d in kept if not delivered], 0.99),
        delivered_p99_s=quantile([d for _, delivered, d in kept if delivered], 0.99),
        cpu={name: _cores(child, measured_from, ended) for name, child in children.items()},
    )


def _cores(child: Child, began: float, ended: float) -> float:
    used = child.cpu_at(ended * 1000) - child.cpu_at(began * 1000)
    return round(used / (ended - began), 2)


def quantile(values: Sequence[float], share: float) -> float:
    """The smallest value that at least this share of the values does not exceed."""
    if not values:
        raise BenchError("latency: no probe was ever seen")
    return round(sorted(values)[max(math.ceil(share * len(values)) - 1, 0)], 3)


async def _publish(load: Load, probes: Probes) -> int:
    """Publish at the rate, a step every 20 ms, late steps at once; the number of events."""
    waiting = iter(load.background)
    share = int(load.rate * STEP_S) - 2
    flying: deque[list[Any]] = deque()
    published = 0
    async with producing(load.brokers) as producer:
        began = time.monotonic()
        for step in range(int(load.seconds / STEP_S)):
            if load.enough is not None and load.enough.is_set():
                break
            await asyncio.sleep(max(began + step * STEP_S - time.monotonic(), 0))
            now = time.time()
            chunk = [r._replace(timestamp=int(now * 1000)) for r in islice(waiting, share)]
            chunk += probes.take(now)
            published += len(chunk)
            flying.append(await send_chunk(producer, chunk))
            while len(flying) > 1 / STEP_S:  # acknowledged within a second, or the rate suffers
                await settled(flying.popleft())
        for futures in flying:
            await settled(futures)
    return published


async def _drain(probes: Probes, children: dict[str, Child], reading: "asyncio.Task[None]") -> None:
    """Let the reader see the rest; what is not seen by then counts as unseen."""
    deadline = time.monotonic() + DRAIN_S
    while probes.waiting and time.monotonic() < deadline and not reading.done():
        for child in children.values():
            child.check()
        await asyncio.sleep(ASK_S)
    if reading.done():
        reading.result()
    reading.cancel()


async def _read(probes: Probes, port: int) -> None:
    """Ask ten times a second for what was not seen yet."""
    while True:
        began = time.monotonic()
        since = probes.oldest_ms()
        if since is not None:
            answer = await asyncio.to_thread(_ask, port, since)
            at = time.time()
            for line in answer.splitlines():
                name, delivered = line.split("\t")
                probes.note(name, delivered == "1", at)
        await asyncio.sleep(max(ASK_S - (time.monotonic() - began), 0.01))


def _ask(port: int, since_ms: int) -> str:
    query = _QUERY.format(account=ACCOUNT, since=since_ms)
    address = f"http://127.0.0.1:{port}/?{urlencode({'query': query})}"
    with urlopen(address, timeout=10) as answer:
        return str(answer.read().decode())
