"""The correlation agent: callbacks and ids of providers in, receipts of messages out.

Each callback is read by the adapter of its endpoint. What names its message goes to `receipts` at
once; the rest is keyed by the provider's id, or by the sender's reference, and meets its link
there.
"""

from collections.abc import Iterator
from typing import Final

from models.metrics import Meter
from models.routes import Routes
from models.settings import Topic
from streams.batching import BatchTable
from streams.common.agent import PartitionAgent
from streams.common.context import AgentContext, GroupView
from streams.common.delivery import Delivery
from streams.common.plan import Plan
from streams.correlation.shard import (
    CALLBACKS,
    PROVIDER_IDS,
    PROVIDER_LINKS,
    PROVIDER_RECEIPTS,
    CorrelationRules,
    CorrelationShard,
)

SOURCES: Final[tuple[Topic, ...]] = (CALLBACKS, PROVIDER_IDS, PROVIDER_RECEIPTS, PROVIDER_LINKS)


class CorrelationAgent(PartitionAgent[CorrelationShard]):
    """Keys of this worker's partitions, and which message each is."""

    def __init__(
        self,
        group: GroupView,
        delivery: Delivery,
        meter: Meter,
        table: BatchTable,
        context: AgentContext,
        rules: CorrelationRules,
        routes: Routes,
    ) -> None:
        super().__init__("correlation", group, delivery, meter, table, context)
        self._rules = rules
        self._routes = routes

    def _new_shard(self, partition: int) -> CorrelationShard:
        stored = self._table.restored_store(partition)
        return CorrelationShard(partition, stored, self._rules, self._routes)

    def _fold(self, shard: CorrelationShard) -> Iterator[int]:
        return shard.fold()

    def _finish_restore(self, shard: CorrelationShard) -> None:
        shard.finish_restore(self._group.generation)

    async def _resume(self, shard: CorrelationShard, merged: set[bytes]) -> None:
        """Log merged values, and publish what they resolve."""
        await self._deliver(shard, shard.amend(merged))

    async def _deliver(self, shard: CorrelationShard, plan: Plan) -> None:
        """At once, not with the next commit: a receipt may pass through twice on its way."""
        await super()._deliver(shard, plan)
        await self._delivery.flush(shard.partition)

    async def _finish(self, shard: CorrelationShard) -> None:
        """What is due."""
        await super()._finish(shard)
        self._freeze(shard)
