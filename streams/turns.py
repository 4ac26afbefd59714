"""Partitions, their clocks and their turns: what the agents of one worker have in common.

All work on partitions happens under one lock, in two places only: when a batch comes, and right
before offsets are committed.
"""

import asyncio
import time
from collections import Counter
from collections.abc import Mapping
from typing import Protocol

from models.metrics import Meter
from streams.batching import Batch
from streams.clock import PartitionClock
from streams.plan import Plan


class Log(Protocol):
    """What an agent asks of the app about its partitions."""

    @property
    def generation(self) -> int: ...

    def lag(self, topic: str, partition: int) -> int | None:
        """Records not worked through yet; None before the first fetch."""

    async def settle(self) -> None:
        """Wait until everything sent is acknowledged."""


def wall_ms() -> int:
    """Now, in epoch ms."""
    return time.time_ns() // 1_000_000


class Turns:
    """One agent's lock and the clocks of its partitions.

    topics: the installation's topic name → its plain name
    """

    def __init__(self, log: Log, meter: Meter, topics: Mapping[str, str]) -> None:
        self.lock = asyncio.Lock()
        self.topics = topics
        self._log = log
        self._meter = meter
        self._clocks: dict[int, PartitionClock] = {}

    def open(self, partition: int) -> None:
        """A partition came; one that stayed keeps its clock."""
        self._clocks.setdefault(partition, PartitionClock(self.topics))

    def close(self, partition: int) -> None:
        """A partition went."""
        self._clocks.pop(partition, None)

    def hear(self, batch: Batch) -> int:
        """The clock for a batch, not before its own records, in epoch ms."""
        clock, now = self._clocks[batch.tp.partition], wall_ms()
        heard: int = batch[-1].timestamp
        clock.hear(batch.tp.topic, heard, at_head=batch.at_head)
        return max(clock.now(now), min(heard, now))

    def now(self, partition: int) -> int:
        """The clock of a partition between batches; 0 while it is not known."""
        clock = self._clocks[partition]
        for topic in self.topics:
            clock.idle(topic, at_head=self._log.lag(topic, partition) == 0)
        return clock.now(wall_ms())

    def report(self, batch: Batch, plan: Plan, seconds: float) -> None:
        """Tell the metrics of a batch that is done."""
        topic, meter = self.topics[batch.tp.topic], self._meter
        for kind, number in Counter(plan.words).items():
            meter.add("receipts_events_total", number, topic=topic, kind=kind)
        meter.observe("receipts_batch_records", len(batch), topic=topic)
        meter.observe("receipts_batch_seconds", seconds, topic=topic)
