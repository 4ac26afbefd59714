"""What both agents do: partitions come and go, batches are planned and delivered, clocks move."""

import asyncio
import time
from abc import ABC, abstractmethod
from collections.abc import Iterator
from itertools import islice
from typing import Any, Final, Generic, TypeVar

from models.metrics import Meter
from streams.batching import Batch, BatchTable
from streams.common.context import AgentContext, GroupView
from streams.common.delivery import Delivery
from streams.common.plan import Plan
from streams.common.reporting import PlanReporter
from streams.common.shard import PartitionShard

#: Plans of due timers delivered before one commit; the rest waits for the next commit.
MAX_CHUNKS_PER_COMMIT: Final = 10

ShardT = TypeVar("ShardT", bound=PartitionShard[Any])


class PartitionAgent(ABC, Generic[ShardT]):
    """The shards of this worker's partitions, and what is done with their plans.

    name: label of its metrics, "lifecycle" or "suppression"
    table: the values of the shards
    """

    def __init__(
        self,
        name: str,
        group: GroupView,
        delivery: Delivery,
        meter: Meter,
        table: BatchTable,
        context: AgentContext,
    ) -> None:
        self.shards: dict[int, ShardT] = {}
        self.context = context
        self._group = group
        self._delivery = delivery
        self._meter = meter
        self._table = table
        self._reporter = PlanReporter(name, meter)

    # --- partitions come and go ---------------------------------------------------------------

    async def open(self, partition: int) -> None:
        """Take over a restored partition; it yields to the loop, so heartbeats go on."""
        shard = self._new_shard(partition)
        for _ in self._restore(shard):
            await asyncio.sleep(0)
        self._table.discard(partition, shard.unusable)
        await self._resume(shard, self._table.pop_merged_keys(partition))
        self.shards[partition] = shard
        self.context.open(partition)

    @abstractmethod
    def _new_shard(self, partition: int) -> ShardT: ...

    @abstractmethod
    def _restore(self, shard: ShardT) -> Iterator[int]:
        """Fold what is stored; yields between chunks."""

    @abstractmethod
    async def _resume(self, shard: ShardT, merged: set[bytes]) -> None:
        """Finish what a former owner of the partition left, before anything else is read.

        merged: keys whose restored value is in no record of the changelog yet
        """

    def close(self, partition: int) -> None:
        """Forget a partition that went to another worker."""
        self.shards.pop(partition, None)
        self.context.close(partition)
        self._delivery.forget(partition)

    # --- batches ------------------------------------------------------------------------------

    async def take(self, batch: Batch) -> None:
        """Plan and deliver one batch; raising stops the worker, nothing being committed."""
        async with self.context.lock:
            began = time.perf_counter()
            shard, clock = self.shards[batch.tp.partition], self.context.advance(batch)
            topic = self.context.topics[batch.tp.topic]
            await self._deliver(shard, shard.plan(topic, batch, clock))
            batch.done()
            seconds = time.perf_counter() - began
        self._meter.observe("receipts_batch_records", len(batch), topic=topic)
        self._meter.observe("receipts_batch_seconds", seconds, topic=topic)

    async def _deliver(self, shard: ShardT, plan: Plan) -> None:
        await self._delivery.deliver(shard.partition, plan)
        self._reporter.report(plan)

    # --- commits ------------------------------------------------------------------------------

    async def before_commit(self) -> None:
        """Finish the work of every partition that the next offsets stand for.

        Partitions run concurrently: each waits for the broker more than once.
        """
        async with self.context.lock:
            await self._prepare()
            await asyncio.gather(*map(self._finish, self.shards.values()))

    async def _prepare(self) -> None:
        """What comes before all partitions are finished."""

    async def _finish(self, shard: ShardT) -> None:
        """Move the clock of one partition and deliver what is due."""
        if now := self.context.now(shard.partition):
            await self._tick(shard, now)

    async def _tick(self, shard: ShardT, now: int) -> None:
        """Deliver what is due at this time, epoch ms."""
        for plan in islice(shard.tick(now), MAX_CHUNKS_PER_COMMIT):
            await self._deliver(shard, plan)
