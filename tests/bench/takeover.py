"""How long a partition is not processed when one of two workers dies, stops or returns.

`python -m tests.bench.takeover --states 400000` writes so many states, starts two workers, sends
receipts into each partition every 50 ms, and reads the pause off the changelog: the longest time
between two records of one partition, by the clock of this machine. docs/standbys.md has a run.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import AsyncExitStack
from itertools import count, pairwise
from pathlib import Path
from uuid import uuid4

import msgspec
from aiokafka import AIOKafkaProducer, TopicPartition

from deploy.embedded.brokers import KafkaBroker
from deploy.processes.child import Child
from models.keys import message_key, partition_of
from streams.kafka import clients
from streams.kafka.security import Access
from tests.bench.cluster import BenchError, Cluster, connected
from tests.bench.job import settings_of
from tests.bench.states import store

PARTITIONS = 4
SESSION_S = 6
PROBE_S = 0.05
PER_TURN = 4 * PARTITIONS
CALM_S = 5.0
TIMEOUT_S = 180.0


class Run(msgspec.Struct):
    """Pauses in seconds: the longest of a partition, in three events."""

    store: str
    standbys: int
    states: int
    killed: float
    returned: float
    stopped: float


class Workers:
    """Two workers of one installation, and receipts for all partitions all the time."""

    def __init__(self, brokers: str, prefix: str, folder: Path, settings: dict[str, str]) -> None:
        self._brokers, self._prefix = brokers, prefix
        self._folder, self._settings = folder, settings
        self.children: dict[str, Child] = {}

    def start(self, name: str) -> None:
        changed: dict[str, str] = {}
        if "RECEIPTS_STATE_DIR" in self._settings:
            changed["RECEIPTS_STATE_DIR"] = str(self._folder / name)
        self.children[name] = Child(
            name, [sys.executable, "-m", "deploy.cli", "worker"], self._settings | changed,
            self._folder / f"{name}-{uuid4().hex[:4]}.log",
        )  # fmt: skip

    async def probe(self) -> None:
        """Send receipts of ever new messages until cancelled."""
        topic, name = self._prefix + "receipts", uuid4().hex
        async with AIOKafkaProducer(bootstrap_servers=self._brokers) as producer:
            for number in count():
                message, at = f"{name}-{number}", time.time_ns() // 1_000_000
                value = {"account": "acme", "message_id": message, "status": "delivered"}
                key, encoded = message_key("acme", message), json.dumps(value | {"occurred_at": at})
                await producer.send(
                    topic, encoded.encode(), key=key, partition=partition_of(key, PARTITIONS)
                )
                if number % PER_TURN == 0:
                    await asyncio.sleep(PROBE_S)

    async def ends(self) -> dict[TopicPartition, int]:
        """Ends of the changelog."""
        async with clients.consumer(Access(self._brokers)) as consumer:
            return dict(await consumer.end_offsets(self._parts()))

    def _parts(self) -> list[TopicPartition]:
        return [TopicPartition(f"{self._prefix}message-states", n) for n in range(PARTITIONS)]

    async def pause(self, since: dict[TopicPartition, int]) -> float:
        """The longest time, in seconds, between two states of a partition."""
        times: dict[TopicPartition, list[int]] = {part: [] for part in since}
        ends = await self.ends()
        async with clients.consumer(Access(self._brokers)) as consumer:
            consumer.assign(list(since))
            for part, offset in since.items():
                consumer.seek(part, offset)
            while any([await consumer.position(part) < ends[part] for part in since]):
                for part, records in (await consumer.getmany(timeout_ms=200)).items():
                    times[part] += [record.timestamp for record in records]
        gaps = [later - earlier for each in times.values() for earlier, later in pairwise(each)]
        return max(gaps) / 1000

    async def calm(self, check: Callable[[], bool]) -> None:
        """Wait until a log shows something, then until states flow in all partitions."""
        deadline = time.monotonic() + TIMEOUT_S
        while not check():
            for child in self.children.values():
                child.check()
            if time.monotonic() > deadline:
                raise BenchError(f"no calm: {[c.tail() for c in self.children.values()]}")
            await asyncio.sleep(0.2)
        before = await self.ends()
        while any(offset <= before[part] + 3 for part, offset in (await self.ends()).items()):
            if time.monotonic() > deadline:
                raise BenchError(f"no states: {[c.tail() for c in self.children.values()]}")
            await asyncio.sleep(0.2)
        await asyncio.sleep(CALM_S)

    def stop(self) -> None:
        for child in self.children.values():
            child.stop()


def _line(child: Child, text: str, times: int = 1) -> Callable[[], bool]:
    return lambda: child.log.read_text().count(text) >= times


async def measure(cluster: Cluster, prefix: str, states: int, kind: str, standbys: int) -> Run:
    """One worker of two is killed, returns, and is stopped."""
    settings = settings_of(cluster, prefix, PARTITIONS, worker_port=0,
        session_timeout_s=SESSION_S,
                           standbys=standbys, log_level="info",
                           state_dir="x" if kind == "disk" else "")  # fmt: skip
    with tempfile.TemporaryDirectory() as folder:
        workers = Workers(cluster.brokers, prefix, Path(folder), settings.environ())
        probing = asyncio.ensure_future(workers.probe())
        try:
            workers.start("a")
            workers.start("b")
            await workers.calm(
                lambda: all(_line(c, "are ready")() for c in workers.children.values())
            )
            if standbys:
                await asyncio.sleep(states / 20_000)  # the copies fill
            killed = await _after(workers, lambda: workers.children["b"].kill())
            returned = await _after(workers, lambda: workers.start("b"), True)
            stopped = await _after(workers, lambda: workers.children["b"].stop())
        finally:
            probing.cancel()
            workers.stop()
    return Run(kind, standbys, states, killed, returned, stopped)


async def _after(workers: Workers, act: Callable[[], object], returns: bool = False) -> float:
    since = await workers.ends()
    await asyncio.sleep(1)  # a record before the pause
    await asyncio.to_thread(act)
    if returns:
        await workers.calm(_line(workers.children["b"], "are ready"))
    else:
        del workers.children["b"]
        await workers.calm(lambda: True)
    return await workers.pause(since)


async def main(states: int, repeats: int) -> None:
    async with AsyncExitStack() as stack:
        broker = stack.enter_context(KafkaBroker())
        cluster = await stack.enter_async_context(connected(broker.bootstrap))
        for turn in range(repeats):
            for kind in ("memory", "disk"):
                for standbys in (0, 1):
                    prefix = f"t{turn}{kind}{standbys}."
                    await cluster.create_all(settings_of(cluster, prefix, PARTITIONS))
                    await store(cluster.brokers, prefix, PARTITIONS, states, "days")
                    print(await measure(cluster, prefix, states, kind, standbys), flush=True)


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--states", type=int, default=400_000)
    parser.add_argument("--repeats", type=int, default=1)
    given = parser.parse_args()
    asyncio.run(main(given.states, given.repeats))
