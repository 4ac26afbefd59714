"""The lifecycle agent: batches in, plans decided by the shards, plans delivered.

All work on a partition happens under one lock, in two places only: when a batch comes (`take`), and
right before offsets are committed (`before_commit`), which also moves the clock: it expires and
retires what is due and publishes the cells that changed. So at every commit the cells equal the
states (issue: windowed counters).
"""

import asyncio
import time
from collections import Counter
from typing import Final, Protocol

from models.metrics import Meter
from streams.batching import Batch, BatchTable
from streams.lifecycle.clock import PartitionClock
from streams.lifecycle.deliver import Delivery
from streams.lifecycle.plan import Plan
from streams.lifecycle.shard import Rules, Shard

#: Portions of due messages worked off before one commit; the rest waits for the next.
PORTIONS: Final = 10

SOURCES: Final = ("sends", "receipts", "engagements")


class Log(Protocol):
    """What the agent asks of the app about a partition."""

    @property
    def generation(self) -> int: ...

    def lag(self, topic: str, partition: int) -> int | None:
        """Records not worked through yet; None before the first fetch."""

    async def settle(self) -> None:
        """Wait until everything sent is acknowledged."""


def wall_ms() -> int:
    """Now, in epoch ms."""
    return time.time_ns() // 1_000_000


class LifecycleAgent:
    """The shards of this worker's partitions and what is done with them.

    topics: the installation's topic name → `sends`, `receipts` or `engagements`
    """

    def __init__(
        self,
        log: Log,
        delivery: Delivery,
        meter: Meter,
        rules: Rules,
        states: BatchTable,
        cells: BatchTable,
        topics: dict[str, str],
    ) -> None:
        self.shards: dict[int, Shard] = {}
        self._log = log
        self._delivery = delivery
        self._meter = meter
        self._rules = rules
        self._states = states
        self._cells = cells
        self.topics = topics
        self._clocks: dict[int, PartitionClock] = {}
        self._turn = asyncio.Lock()

    # --- partitions come and go ----------------------------------------------------------------

    async def open(self, partition: int) -> None:
        """Fold a restored partition; it yields to the loop, so heartbeats go on."""
        shard = Shard(partition, self._states.partition(partition), self._rules)
        for _ in shard.restore(self._cells.partition(partition), self._log.generation):
            await asyncio.sleep(0)
        self.shards[partition] = shard
        self._clocks.setdefault(partition, PartitionClock(self.topics))

    def close(self, partition: int) -> None:
        """Forget a partition that went to another worker."""
        self.shards.pop(partition, None)
        self._clocks.pop(partition, None)

    # --- batches ---------------------------------------------------------------------------------

    async def take(self, batch: Batch) -> None:
        """Decide and deliver one batch; raising stops the worker, nothing being committed."""
        async with self._turn:
            began = time.perf_counter()
            topic, shard = batch.tp.topic, self.shards[batch.tp.partition]
            clock = self._clocks[batch.tp.partition]
            clock.hear(topic, batch[-1].timestamp, at_head=batch.at_head)
            now = wall_ms()
            heard = max(clock.now(now), min(batch[-1].timestamp, now))
            source = self.topics[topic]
            plan = shard.plan(source, batch, heard)
            await self._delivery.deliver(shard, plan)
            batch.done()
            self._report(source, batch, plan, time.perf_counter() - began)

    def _report(self, source: str, batch: Batch, plan: Plan, seconds: float) -> None:
        meter = self._meter
        for kind, number in Counter(plan.words).items():
            meter.add("receipts_events_total", number, topic=source, kind=kind)
        meter.observe("receipts_batch_records", len(batch), topic=source)
        meter.observe("receipts_batch_seconds", seconds, topic=source)

    # --- commits ---------------------------------------------------------------------------------

    async def before_commit(self) -> None:
        """Move the clocks and publish the changed cells, so that a commit leaves nothing behind."""
        async with self._turn:
            for shard in self.shards.values():
                await self._move_clock(shard)
                await self._delivery.publish_cells(shard)

    async def _move_clock(self, shard: Shard) -> None:
        clock = self._clocks[shard.partition]
        for topic in self.topics:
            lag = self._log.lag(topic, shard.partition)
            clock.idle(topic, at_head=lag == 0)
        now = clock.now(wall_ms())
        if not now:
            return
        for portion, plan in enumerate(shard.tick(now), 1):
            await self._delivery.deliver(shard, plan)
            if portion >= PORTIONS:
                break
        await self._retire(shard, now)
        seconds = now / 1000
        self._meter.set("receipts_clock_timestamp_seconds", seconds, partition=str(shard.partition))

    async def _retire(self, shard: Shard, now: int) -> None:
        """Let days leave. Their cells and the mark are acknowledged before any tombstone."""
        day = shard.days_to_retire(now)
        if day is None:
            return
        await self._delivery.publish_cells(shard)
        await self._delivery.mark_retired(shard, day)
        await self._log.settle()
        states, cells = shard.retire(day)
        await self._delivery.forget(shard, states, cells)
