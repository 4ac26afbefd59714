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
from streams.common.shard import CHUNK_SIZE, PartitionShard

#: Plans of due timers delivered before one commit; the rest waits for the next commit.
MAX_CHUNKS_PER_COMMIT: Final = 10

#: Values folded before they are written, when all of a store on disk are folded again.
FOLDED_AT_ONCE: Final = 5 * CHUNK_SIZE

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
        self._opening: dict[int, ShardT] = {}
        """Shards of partitions of which a part is restored and folded."""
        self.context = context
        self._group = group
        self._delivery = delivery
        self._meter = meter
        self._table = table
        self._reporter = PlanReporter(name, meter)

    # --- partitions come and go ---------------------------------------------------------------

    @property
    def _tables(self) -> tuple[BatchTable, ...]:
        """All tables of this agent; they are frozen together."""
        return (self._table,)

    async def fold_restored(self, partition: int) -> bool:
        """Fold and write what was read into a table on disk so far, while more is read.

        It waits only while all of the store is folded again. False: the partition was lost, or
        assigned again, meanwhile.
        """
        shard = self._opening[partition] = self._shard_to_open(partition)
        for _ in self._fold_and_write(shard):
            if shard.stored.refolding:
                await asyncio.sleep(0)
                if self._opening.get(partition) is not shard or not shard.is_current:
                    return False
        self._checkpoint(shard)
        return True

    async def open(self, partition: int) -> None:
        """Take over a restored partition; it yields to the loop, so heartbeats go on."""
        shard = self._shard_to_open(partition)
        refolding = shard.stored.refolding
        for _ in self._fold_and_write(shard):
            await asyncio.sleep(0)
        if refolding:
            self._checkpoint(shard)
        self._finish_restore(shard)
        await self._rearm(shard, shard.accounts_to_rearm())
        await self._resume(shard, self._table.merged_keys(partition))
        self.shards[partition] = shard
        self.context.open(partition)

    def _fold_and_write(self, shard: ShardT) -> Iterator[None]:
        """Fold, and drop what cannot be decoded; while all of a store on disk are folded again,
        write now and then what is folded. Yields between chunks."""
        refolding = shard.stored.refolding
        for folded in self._fold(shard):
            # At the end at once: an opening that is cancelled goes back to what is written, and the
            # store would not know any more that the rest is to be folded.
            if refolding and (not shard.stored.refolding or folded % FOLDED_AT_ONCE == 0):
                self._checkpoint(shard)
            yield
        self._discard_unusable(shard)

    def _shard_to_open(self, partition: int) -> ShardT:
        """The shard of a partition that is restored, made of what its store has saved."""
        opening = self._opening.pop(partition, None)
        if opening is not None and opening.is_current:
            return opening
        return self._new_shard(partition)

    @abstractmethod
    def _new_shard(self, partition: int) -> ShardT: ...

    @abstractmethod
    def _fold(self, shard: ShardT) -> Iterator[int]:
        """Fold what was read into the store; yields the values folded so far, between chunks."""

    @abstractmethod
    def _finish_restore(self, shard: ShardT) -> None:
        """All is folded."""

    async def _rearm(self, shard: ShardT, accounts: set[str]) -> None:
        """Set the timers of accounts again that changed their settings."""
        for _ in shard.rearm(accounts):
            await asyncio.sleep(0)

    def _discard_unusable(self, shard: ShardT) -> None:
        self._table.discard(shard.partition, shard.unusable)
        shard.unusable = {}

    def _freeze(self, shard: ShardT) -> None:
        """What is planned from here on is not part of the next write to disk."""
        if shard.stored.durable:
            shard.save()
            for table in self._tables:
                table.freeze(shard.partition)

    def _checkpoint(self, shard: ShardT) -> None:
        """Write what was folded, while nothing but a restore changes the store."""
        if shard.stored.durable:
            shard.save()
            for table in self._tables:
                table.checkpoint(shard.partition)

    @abstractmethod
    async def _resume(self, shard: ShardT, merged: set[bytes]) -> None:
        """Finish what a former owner of the partition left, before anything else is read.

        merged: keys whose restored value is in no record of the changelog yet
        """

    def close(self, partition: int) -> None:
        """Forget a partition that went to another worker."""
        self.shards.pop(partition, None)
        self._opening.pop(partition, None)
        self.context.close(partition)
        self._delivery.forget(partition)

    # --- batches ------------------------------------------------------------------------------

    async def take(self, batch: Batch) -> None:
        """Plan and deliver one batch; raising stops the worker, nothing being committed."""
        async with self.context.lock:
            began = time.perf_counter()
            shard, clock = self.shards[batch.tp.partition], self.context.advance(batch)
            topic = self.context.topics[batch.tp.topic]
            if shard.stored.durable:
                # In a thread: the disk may be slow, and rocksdict waits for it without the GIL.
                await asyncio.to_thread(shard.stored.prefetch, [record.key for record in batch])
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
