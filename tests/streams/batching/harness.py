"""Runs counter.py as processes against a broker and audits what they left behind."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import threading
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import IO, Any

from aiokafka import AIOKafkaProducer, TopicPartition

from deploy.embedded.brokers import Broker, EmbeddedBroker
from streams.kafka import clients
from streams.kafka.security import Access
from tests.support.topics import create_topics
from tests.support.waiting import eventually

ROOT = Path(__file__).parents[3]
APP = "tests.streams.batching.counter"
PARTITIONS = 4
KEYS = 100


class Worker:
    """One process of the counting app. events: its output; errors: its log."""

    def __init__(self, config: dict[str, Any]) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", APP, json.dumps(config)],
            cwd=ROOT,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip
        self.events: list[dict[str, Any]] = []
        self._log: list[str] = []
        self._readers = [
            self._read(self.process.stdout, lambda line: self.events.append(json.loads(line))),
            self._read(self.process.stderr, self._log.append),
        ]

    def _read(self, pipe: IO[str] | None, take: Callable[[str], object]) -> threading.Thread:
        assert pipe is not None

        def run() -> None:
            for line in pipe:
                take(line)

        reader = threading.Thread(target=run, daemon=True)
        reader.start()
        return reader

    @property
    def log(self) -> str:
        """Standard error so far."""
        return "".join(self._log)

    def of(self, event: str) -> list[dict[str, Any]]:
        """Its events of one kind, in order."""
        return [entry for entry in list(self.events) if entry["event"] == event]

    def ready(self) -> set[int]:
        """Partitions on_partition_ready was called for and that were not lost since."""
        held: set[int] = set()
        for entry in list(self.events):
            if entry["event"] == "ready":
                held.add(entry["partition"])
            elif entry["event"] == "lost":
                held.discard(entry["partition"])
        return held

    def send(self, number: signal.Signals) -> None:
        """Send a signal."""
        self.process.send_signal(number)

    async def ended(self, within_s: float = 10) -> int:
        """Its exit code; fails the test when it does not end in time."""
        await eventually(lambda: self.process.poll() is not None, within_s, lambda: self.log)
        self.close()
        return int(self.process.returncode)

    def close(self) -> None:
        """Read the rest of its output and close the pipes; it has ended."""
        for reader in self._readers:
            reader.join(5)
        for pipe in (self.process.stdout, self.process.stderr):
            assert pipe is not None
            pipe.close()

    async def kill(self) -> None:
        """SIGKILL."""
        self.process.kill()
        await self.ended()


class Rig:
    """One app's topics on a broker, its workers, and the audit."""

    def __init__(self, broker: Broker, prefix: str, replication: int = 1) -> None:
        self.broker = broker
        self.bootstrap = broker.bootstrap
        self.prefix = prefix
        self._create = partial(create_topics, replication=replication)
        self.workers: list[Worker] = []
        self.fed = 0

    async def set_up(self, **states_config: str) -> None:
        """Create the topics."""
        bootstrap = self.bootstrap
        names = [self.prefix + name for name in ("src", "out")]
        await self._create(bootstrap, *names, partitions=PARTITIONS)
        names = [self.prefix + name for name in ("states", "marks")]
        config = {"cleanup.policy": "compact", **states_config}
        await self._create(bootstrap, *names, partitions=PARTITIONS, config=config)

    def start(self, **config: Any) -> Worker:
        """Start a worker."""
        given: dict[str, Any] = {"prefix": self.prefix, "brokers": self.bootstrap}
        if isinstance(self.broker, EmbeddedBroker):  # joining takes half of it; Kafka wants 6 s
            given["session_timeout_s"] = 2
        given.update(config)
        self.workers.append(Worker(given))
        return self.workers[-1]

    async def feed(self, count: int) -> None:
        """Publish `count` more numbers."""
        async with AIOKafkaProducer(bootstrap_servers=self.bootstrap, linger_ms=2) as sender:
            for number in range(self.fed, self.fed + count):
                key = number % KEYS
                await sender.send(
                    self.prefix + "src", b"%d" % number, key=b"k%d" % key,
                    partition=key % PARTITIONS,
                )  # fmt: skip
        self.fed += count

    async def read(self, name: str) -> dict[int, list[Any]]:
        """All records of a topic by partition, up to the fetch high watermark."""
        parts = [TopicPartition(self.prefix + name, part) for part in range(PARTITIONS)]
        records: dict[int, list[Any]] = {part.partition: [] for part in parts}
        async with clients.consumer(Access(self.bootstrap), fetch_max_wait_ms=50) as consumer:
            consumer.assign(parts)
            while not await _at_end(consumer, parts):
                for part, found in (await consumer.getmany(timeout_ms=100)).items():
                    records[part.partition] += found
        return records

    async def committed(self) -> dict[int, int]:
        """Committed offset by partition of `src`, 0 where there is none."""
        async with clients.consumer(
            Access(self.bootstrap), group_id=self.prefix + "counter"
        ) as consumer:
            parts = [TopicPartition(self.prefix + "src", part) for part in range(PARTITIONS)]
            consumer.assign(parts)
            return {part.partition: (await consumer.committed(part)) or 0 for part in parts}

    async def all_committed(self) -> bool:
        """Whether every fed record is committed."""
        return sum((await self.committed()).values()) == self.fed

    async def finish(self, within_s: float = 30) -> None:
        """Wait until everything fed is committed, then audit that the tables are exact."""
        await eventually(
            self.all_committed, within_s, lambda: [worker.log for worker in self.workers]
        )
        await self.audit()
        numbers = await self.numbers("states", last_only=True)
        assert numbers == set(range(self.fed)), f"missing {set(range(self.fed)) - numbers}"

    async def audit(self) -> None:
        """Every committed record is in `out` and in the log of `states`: nothing is lost."""
        source, committed = await self.read("src"), await self.committed()
        done = {
            int(record.value)
            for part, records in source.items()
            for record in records
            if record.offset < committed[part]
        }
        for name in ("out", "states"):
            lost = done - await self.numbers(name)
            assert not lost, f"{len(lost)} committed records are not in {name}: {sorted(lost)[:9]}"

    async def numbers(self, name: str, last_only: bool = False) -> set[int]:
        """Numbers in `out` or in the states; last_only: as compaction would leave them."""
        values: dict[Any, bytes] = {}
        for part, records in (await self.read(name)).items():
            for record in records:
                key = (part, record.key) if last_only else (part, record.offset)
                values[key] = record.value
        found: set[int] = set()
        for value in values.values():
            found.update(json.loads(value) if name == "states" else [int(value)])
        return found


async def _at_end(consumer: Any, parts: list[TopicPartition]) -> bool:
    for part in parts:
        highwater = consumer.highwater(part)
        if highwater is None or await consumer.position(part) < highwater:
            return False
    return True


def assert_in_order(worker: Worker) -> None:
    """No partition skipped an offset between two batches, unless it was lost in between."""
    following: dict[int, int] = {}
    for entry in worker.events:
        if entry["event"] == "lost":
            following.pop(entry["partition"], None)
        elif entry["event"] == "batch":
            expected = following.get(entry["partition"], entry["first"])
            assert entry["first"] <= expected, f"{expected}..{entry['first']} skipped"
            following[entry["partition"]] = entry["last"] + 1


def last_offsets(worker: Worker) -> dict[int, int]:
    """Offset after the last batch the worker took, by partition."""
    ends: dict[int, int] = defaultdict(int)
    for entry in worker.of("batch"):
        ends[entry["partition"]] = entry["last"] + 1
    return dict(ends)


@contextmanager
def cleaned(rig: Rig) -> Iterator[Rig]:
    """Ends the workers that a test left running."""
    try:
        yield rig
    finally:
        for worker in rig.workers:
            if worker.process.poll() is None:
                worker.process.send_signal(signal.SIGCONT)
                worker.process.kill()
                worker.process.wait()
            worker.close()
