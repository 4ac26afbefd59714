"""The lock and the partition clocks of one agent.

All work on partitions happens under the lock, in two places only: when a batch arrives, and right
before offsets are committed.
"""

import asyncio
import time
from collections.abc import Mapping
from typing import Final, Protocol

from models.time import DAY_MS
from streams.batching import Batch
from streams.common.clock import PartitionClock

#: Retirement is irreversible: for it the wall clock counts at most this far past the newest
#: record timestamp.
TRUST_MS: Final = 2 * DAY_MS


class GroupView(Protocol):
    """What an agent reads of the app about its consumer group and its partitions."""

    @property
    def generation(self) -> int: ...

    def lag(self, topic: str, partition: int) -> int | None:
        """Records not processed yet; None before the first fetch."""

    async def flush(self) -> None:
        """Wait until everything produced is acknowledged."""


def wall_ms() -> int:
    """Now, in epoch ms."""
    return time.time_ns() // 1_000_000


class AgentContext:
    """One agent's lock and the clocks of its partitions.

    topics: the installation's topic name → its plain name
    """

    def __init__(self, group: GroupView, topics: Mapping[str, str]) -> None:
        self.lock = asyncio.Lock()
        self.topics = topics
        self._group = group
        self._clocks: dict[int, PartitionClock] = {}

    def open(self, partition: int) -> None:
        """Start the clock of an assigned partition; one that was kept keeps its clock."""
        self._clocks.setdefault(partition, PartitionClock(self.topics))

    def close(self, partition: int) -> None:
        """Drop the clock of a revoked partition."""
        self._clocks.pop(partition, None)

    def advance(self, batch: Batch) -> int:
        """The clock for a batch, not before its own records, in epoch ms."""
        clock, now = self._clocks[batch.tp.partition], wall_ms()
        newest: int = batch[-1].timestamp
        self._note_heads(batch.tp.partition)
        clock.advance(batch.tp.topic, newest, at_head=batch.at_head)
        return max(clock.now(now), min(newest, now))

    def now(self, partition: int) -> int:
        """The clock of a partition between batches, in epoch ms; 0 while it is not known."""
        self._note_heads(partition)
        return self._clocks[partition].now(wall_ms())

    def retirement(self, partition: int, now: int) -> int:
        """The clock by which days retire, in epoch ms: it stops soon after the newest record.

        Retirement cannot be undone, so a wall clock that is wrong once must not cause it.
        """
        return min(now, self._clocks[partition].newest + TRUST_MS)

    def _note_heads(self, partition: int) -> None:
        clock = self._clocks[partition]
        for topic in self.topics:
            clock.idle(topic, at_head=self._group.lag(topic, partition) == 0)
