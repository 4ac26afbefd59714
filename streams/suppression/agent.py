"""The suppression agent: strikes and requests in, the current truth about each number out.

Its table's changelog is the topic `suppressions` that senders read.
"""

import asyncio
from itertools import islice
from time import perf_counter
from typing import Final

from models.accounts import Accounts
from models.metrics import Meter
from models.settings import Topic
from streams.batching import Batch, BatchTable
from streams.common.context import AgentContext, GroupView
from streams.common.delivery import Delivery
from streams.common.plan import Plan
from streams.common.reporting import RuleFailures, report_newer
from streams.suppression.shard import REQUESTS, STRIKES, RecipientShard

MAX_CHUNKS_PER_COMMIT: Final = 10

SOURCES: Final[tuple[Topic, ...]] = (STRIKES, REQUESTS)


class SuppressionAgent:
    """The numbers of this worker's partitions and what is done with them."""

    def __init__(
        self,
        log: GroupView,
        delivery: Delivery,
        meter: Meter,
        partitions: int,
        numbers: BatchTable,
        context: AgentContext,
        accounts: Accounts,
    ) -> None:
        self.shards: dict[int, RecipientShard] = {}
        self.context = context
        self._log = log
        self._delivery = delivery
        self._meter = meter
        self._partitions = partitions
        self._numbers = numbers
        self._accounts = accounts
        self._failures = RuleFailures("suppression", meter)

    async def open(self, partition: int) -> None:
        """Take over a restored partition; it yields to the loop, so heartbeats go on."""
        numbers = self._numbers.partition(partition)
        shard = RecipientShard(partition, numbers, self._partitions, self._accounts)
        for _ in shard.restore(self._log.generation):
            await asyncio.sleep(0)
        self._numbers.discard(partition, shard.unusable)
        merged = self._numbers.pop_merged_keys(partition) & numbers.keys()
        await self._numbers.put(partition, {key: numbers[key] for key in merged})
        report_newer(partition, "suppressions", shard.newer, self._meter)
        self.shards[partition] = shard
        self.context.open(partition)

    def close(self, partition: int) -> None:
        """Forget a partition that went to another worker."""
        self.shards.pop(partition, None)
        self.context.close(partition)

    async def take(self, batch: Batch) -> None:
        """Decide and deliver one batch; raising stops the worker, nothing being committed."""
        async with self.context.lock:
            began = perf_counter()
            shard, clock = self.shards[batch.tp.partition], self.context.advance(batch)
            plan = shard.plan(self.context.topics[batch.tp.topic], batch, clock)
            await self._deliver(shard, plan)
            batch.done()
            self.context.report(batch, plan, perf_counter() - began)

    async def before_commit(self) -> None:
        """Move the clocks: end the suppressions that lasted long enough."""
        async with self.context.lock:
            for shard in self.shards.values():
                now = self.context.now(shard.partition)
                for plan in islice(shard.tick(now), MAX_CHUNKS_PER_COMMIT) if now else ():
                    await self._deliver(shard, plan)

    async def _deliver(self, shard: RecipientShard, plan: Plan) -> None:
        await self._delivery.deliver(shard.partition, plan)
        self._failures.report(plan)
        for change, number in (
            ("suppressed", plan.newly_suppressed),
            ("released", plan.newly_released),
        ):
            if number:
                self._meter.add("receipts_suppressions_total", number, change=change)
