"""The lifecycle agent: sends, receipts and engagements in, message states and counters out.

Right before offsets are committed it moves the clocks (expiries, retries, retirement) and publishes
the cells that changed: so at every commit the cells equal the states.
"""

import time
from collections.abc import Iterator
from typing import Final

from models.accounts import Accounts
from models.counters import retired_key
from models.metrics import Meter
from models.routes import Routes
from models.settings import Topic
from streams.batching import BatchTable
from streams.common.agent import PartitionAgent
from streams.common.context import AgentContext, GroupView
from streams.common.delivery import Delivery
from streams.common.reporting import report_newer
from streams.followers.suppression_index import SuppressionIndex
from streams.lifecycle.shard import Rules, Shard

SOURCES: Final[tuple[Topic, ...]] = ("sends", "receipts", "engagements")

#: With one commit the states of final days are deleted for this time, in seconds, of all partitions
#: together: a fifth of the commit interval by default.
RETIRE_S: Final = 0.2
RETIRED_AT_ONCE: Final = 500


class LifecycleAgent(PartitionAgent[Shard]):
    """Messages of this worker's partitions: their states, their counters, their retirement."""

    def __init__(
        self,
        group: GroupView,
        delivery: Delivery,
        meter: Meter,
        rules: Rules,
        states: BatchTable,
        cells: BatchTable,
        context: AgentContext,
        accounts: Accounts,
        suppressed: SuppressionIndex,
        routes: Routes | None = None,
    ) -> None:
        super().__init__("lifecycle", group, delivery, meter, states, context)
        self._rules = rules
        self._cells = cells
        self._accounts = accounts
        self._suppressed = suppressed
        self._routes = routes
        self._to_rearm: set[str] = set()
        self._retires_until, self._has_retired = 0.0, False
        """Of the next commit, or of the opening of a partition."""

    @property
    def _tables(self) -> tuple[BatchTable, ...]:
        return self._table, self._cells

    def _new_shard(self, partition: int) -> Shard:
        states = self._table.restored_store(partition)
        return Shard(partition, states, self._rules, self._accounts, self._suppressed, self._routes)

    def _fold(self, shard: Shard) -> Iterator[int]:
        published = self._cells.restored_store(shard.partition)
        shard.know_retired(published.get(retired_key(shard.partition)))
        return shard.fold()

    def _finish_restore(self, shard: Shard) -> None:
        published = dict(self._cells.partition(shard.partition).items_of(b""))
        shard.finish_restore(published, self._group.generation)

    async def _resume(self, shard: Shard, merged: set[bytes]) -> None:
        """Publish merged states, and finish a retirement that a crash cut short."""
        report_newer(shard.partition, "message-states", shard.newer, self._meter)
        report_newer(shard.partition, "status-counters", shard.newer_cells, self._meter)
        for plan in shard.amend(merged):
            await self._deliver(shard, plan)
        self._begin_retirement()
        await self._delete_retired_cells(shard)
        await self._delete_retired(shard)

    def rearm(self, account: str) -> None:
        """An account's settings changed: its timers are set again before the next commit.

        Partitions that are not open yet are restored with the new settings anyway.
        """
        if self.shards:
            self._to_rearm.add(account)

    # --- commits ------------------------------------------------------------------------------

    async def _prepare(self) -> None:
        """Set the timers of accounts again whose settings changed."""
        self._begin_retirement()
        to_rearm, self._to_rearm = self._to_rearm, set()
        for shard in self.shards.values() if to_rearm else ():
            await self._rearm(shard, to_rearm)

    async def _finish(self, shard: Shard) -> None:
        """What is due, then retirement, deferred states, and the cells that changed."""
        if now := self.context.now(shard.partition):
            await self._tick(shard, now)
            await self._retire(shard, self.context.retirement(shard.partition, now))
            labels = {"partition": str(shard.partition)}
            self._meter.set("receipts_clock_timestamp_seconds", now / 1000, **labels)
        await self._delivery.flush(shard.partition)
        shard.start_commit()
        await self._publish_cells(shard)
        self._freeze(shard)

    def after_commit(self) -> None:
        """The offsets are committed that `before_commit` prepared."""
        for shard in self.shards.values():
            shard.finish_commit()

    async def _publish_cells(self, shard: Shard) -> None:
        if changes := shard.take_cell_changes():
            await self._cells.put(shard.partition, changes)

    # --- retirement ---------------------------------------------------------------------------

    async def _retire(self, shard: Shard, now: int) -> None:
        """Retire days. Their cells and the mark are acknowledged before any tombstone."""
        day = shard.day_to_retire(now)
        if day is not None:
            await self._publish_cells(shard)
            await self._cells.put(shard.partition, shard.retirement_mark(day))
            await self._group.flush()
            shard.retire(day)
            await self._delete_retired_cells(shard)
        await self._delete_retired(shard)

    def _begin_retirement(self) -> None:
        self._retires_until, self._has_retired = time.monotonic() + RETIRE_S, False

    async def _delete_retired(self, shard: Shard) -> None:
        """Tombstone states of days that are final. The rest waits for the next commit, since
        traffic waits meanwhile; some go with every commit, however late it is."""
        while not self._has_retired or time.monotonic() < self._retires_until:
            keys = shard.take_retired(RETIRED_AT_ONCE)
            if keys is None:
                return
            self._has_retired = True
            await self._table.put(shard.partition, dict.fromkeys(keys))
            self._meter.add("receipts_retired_total", len(keys))
            unbound, shard.unbound = shard.unbound, 0
            self._meter.add("receipts_unbound_unsubscribes_total", unbound)

    async def _delete_retired_cells(self, shard: Shard) -> None:
        """Tombstone the cells of days that are final."""
        for keys in shard.retire_cells(shard.retired_day):
            await self._cells.put(shard.partition, dict.fromkeys(keys))
