"""The suppression agent: strikes and requests in, the current truth about each recipient out.

Its table's changelog is the topic `suppressions` that senders read. Before offsets are committed
it ends the suppressions that lasted long enough, and moves what 0.1.0 kept under another spelling.
"""

from collections.abc import Iterator
from typing import Final

from models.accounts import Accounts
from models.metrics import Meter
from models.settings import Topic
from streams.batching import BatchTable
from streams.common.agent import PartitionAgent
from streams.common.context import AgentContext, GroupView
from streams.common.delivery import Delivery
from streams.common.reporting import report_newer
from streams.suppression.shard import REQUESTS, STRIKES, RecipientShard

SOURCES: Final[tuple[Topic, ...]] = (STRIKES, REQUESTS)


class SuppressionAgent(PartitionAgent[RecipientShard]):
    """Recipients of this worker's partitions, and whether they are suppressed."""

    def __init__(
        self,
        group: GroupView,
        delivery: Delivery,
        meter: Meter,
        partitions: int,
        suppressions: BatchTable,
        context: AgentContext,
        accounts: Accounts,
    ) -> None:
        super().__init__("suppression", group, delivery, meter, suppressions, context)
        self._partitions = partitions
        self._accounts = accounts

    def _new_shard(self, partition: int) -> RecipientShard:
        stored = self._table.restored_store(partition)
        return RecipientShard(partition, stored, self._partitions, self._accounts)

    def _fold(self, shard: RecipientShard) -> Iterator[int]:
        return shard.fold()

    def _finish_restore(self, shard: RecipientShard) -> None:
        shard.finish_restore(self._group.generation)

    async def _resume(self, shard: RecipientShard, merged: set[bytes]) -> None:
        """Publish merged suppressions."""
        report_newer(shard.partition, "suppressions", shard.newer, self._meter)
        stored = shard.stored
        changes = {key: stored[key] for key in merged if key in stored}
        await self._table.put(shard.partition, changes)

    async def _finish(self, shard: RecipientShard) -> None:
        """What is due, then facts that move to the key of their person."""
        await super()._finish(shard)
        await self._delivery.flush(shard.partition)
        self._freeze(shard)
