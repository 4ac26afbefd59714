"""Partitions, their clocks and their turns: what the agents of one worker have in common.

All work on partitions happens under one lock, in two places only: when a batch comes, and right
before offsets are committed.
"""

import asyncio
import time
from collections import Counter
from collections.abc import Mapping
from typing import Final, Protocol

from models.metrics import Meter
from streams.batching import Batch
from streams.common.clock import PartitionClock
from streams.common.plan import Plan

#: How far beyond the newest record time the wall clock is believed where nothing can be undone.
TRUST_MS: Final = 2 * 86_400_000


class GroupView(Protocol):
    """What an agent asks of the app about its partitions."""

    @property
    def generation(self) -> int: ...

    def lag(self, topic: str, partition: int) -> int | None:
        """Records not worked through yet; None before the first fetch."""

    async def flush(self) -> None:
        """Wait until everything sent is acknowledged."""


def wall_ms() -> int:
    """Now, in epoch ms."""
    return time.time_ns() // 1_000_000


class AgentContext:
    """One agent's lock and the clocks of its partitions.

    topics: the installation's topic name → its plain name
    """

    def __init__(self, log: GroupView, meter: Meter, topics: Mapping[str, str]) -> None:
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

    def advance(self, batch: Batch) -> int:
        """The clock for a batch, not before its own records, in epoch ms."""
        clock, now = self._clocks[batch.tp.partition], wall_ms()
        heard: int = batch[-1].timestamp
        self._look(batch.tp.partition)
        clock.advance(batch.tp.topic, heard, at_head=batch.at_head)
        return max(clock.now(now), min(heard, now))

    def now(self, partition: int) -> int:
        """The clock of a partition between batches; 0 while it is not known."""
        self._look(partition)
        return self._clocks[partition].now(wall_ms())

    def retirement(self, partition: int, now: int) -> int:
        """The clock by which days retire: it stops soon after the newest record.

        Retirement cannot be undone; a wall clock that is wrong once must not bring it about.
        """
        return min(now, self._clocks[partition].newest + TRUST_MS)

    def _look(self, partition: int) -> None:
        clock = self._clocks[partition]
        for topic in self.topics:
            clock.idle(topic, at_head=self._log.lag(topic, partition) == 0)

    def report(self, batch: Batch, plan: Plan, seconds: float) -> None:
        """Tell the metrics of a batch that is done."""
        topic, meter = self.topics[batch.tp.topic], self._meter
        for kind, number in Counter(plan.accepted_kinds).items():
            meter.add("receipts_events_total", number, topic=topic, kind=kind)
        meter.observe("receipts_batch_records", len(batch), topic=topic)
        meter.observe("receipts_batch_seconds", seconds, topic=topic)
