"""The lifecycle agent: batches in, plans decided by the shards, plans delivered.

Right before offsets are committed it moves the clocks (expiries, retries, retirement) and publishes
the cells that changed: so at every commit the cells equal the states.
"""

import asyncio
import logging
import time
from collections.abc import Iterator, Mapping
from itertools import islice
from typing import Final

from models.accounts import Accounts
from models.counters import COUNT_NAMES, encode_cell, encode_retired, retired_key
from models.metrics import Meter
from models.settings import Topic
from streams.batching import Batch, BatchTable
from streams.common.context import AgentContext, GroupView
from streams.common.delivery import Delivery
from streams.common.plan import CHUNK_SIZE, Plan
from streams.common.reporting import RuleFailures, report_newer
from streams.lifecycle.shard import Rules, Shard

log = logging.getLogger(__name__)

#: Portions of due messages worked off before one commit; the rest waits for the next.
MAX_CHUNKS_PER_COMMIT: Final = 10

#: Providers that the delays are measured by; the rest is one more, `OTHER`.
MAX_PROVIDERS: Final = 100
OTHER: Final = "other"

SOURCES: Final[tuple[Topic, ...]] = ("sends", "receipts", "engagements")


class LifecycleAgent:
    """The shards of this worker's partitions and what is done with them."""

    def __init__(
        self,
        log: GroupView,
        delivery: Delivery,
        meter: Meter,
        rules: Rules,
        states: BatchTable,
        cells: BatchTable,
        context: AgentContext,
        accounts: Accounts,
        suppressed: Mapping[bytes, int],
    ) -> None:
        self.shards: dict[int, Shard] = {}
        self.context = context
        self._log = log
        self._delivery = delivery
        self._meter = meter
        self._rules = rules
        self._states = states
        self._cells = cells
        self._accounts = accounts
        self._suppressed = suppressed
        self._to_rearm: set[str] = set()
        self._failures = RuleFailures("lifecycle", meter)
        self._providers: set[str] = set()

    # --- partitions come and go ----------------------------------------------------------------

    async def open(self, partition: int) -> None:
        """Fold a restored partition; it yields to the loop, so heartbeats go on."""
        states, cells = self._states.partition(partition), self._cells.partition(partition)
        shard = Shard(partition, states, self._rules, self._accounts, self._suppressed)
        for _ in shard.restore(cells, self._log.generation):
            await asyncio.sleep(0)
        self._states.discard(partition, shard.unusable)
        self._report_restore(shard)
        for plan in shard.amend(self._states.pop_merged_keys(partition)):
            await self._deliver(shard, plan)
        await self._sweep(shard)
        self.shards[partition] = shard
        self.context.open(partition)

    def _report_restore(self, shard: Shard) -> None:
        """Say what the restore found that this version cannot read."""
        report_newer(shard.partition, "message-states", shard.newer, self._meter)
        report_newer(shard.partition, "status-counters", shard.newer_cells, self._meter)

    def close(self, partition: int) -> None:
        """Forget a partition that went to another worker."""
        self.shards.pop(partition, None)
        self.context.close(partition)
        self._delivery.forget(partition)

    def rearm(self, account: str) -> None:
        """An account's settings changed: its timers are set anew before the next commit.

        Partitions that are not open yet are folded by the new settings anyway.
        """
        if self.shards:
            self._to_rearm.add(account)

    # --- batches ---------------------------------------------------------------------------------

    async def take(self, batch: Batch) -> None:
        """Decide and deliver one batch; raising stops the worker, nothing being committed."""
        async with self.context.lock:
            began = time.perf_counter()
            shard, clock = self.shards[batch.tp.partition], self.context.advance(batch)
            plan = shard.plan(self.context.topics[batch.tp.topic], batch, clock)
            await self._deliver(shard, plan)
            batch.done()
            self.context.report(batch, plan, time.perf_counter() - began)

    async def _deliver(self, shard: Shard, plan: Plan) -> None:
        await self._delivery.deliver(shard.partition, plan)
        meter = self._meter
        for slot, number in plan.statuses.items():
            meter.add("receipts_state_changes_total", number, status=COUNT_NAMES[slot])
        for (channel, provider), seconds in plan.delays.items():
            labels = {"channel": channel, "provider": self._provider_label(provider)}
            meter.observe_many("receipts_time_to_deliver_seconds", seconds, **labels)
        self._failures.report(plan)
        for name, number in (
            ("receipts_conflicts_total", plan.conflicts),
            ("receipts_expired_total", plan.expired),
            ("receipts_sends_to_suppressed_total", plan.to_suppressed),
        ):
            if number:
                meter.add(name, number)

    def _provider_label(self, provider: str) -> str:
        """The provider, unless there are so many that they would fill the memory of all metrics."""
        if provider in self._providers or len(self._providers) < MAX_PROVIDERS:
            self._providers.add(provider)
            return provider
        return OTHER

    # --- commits ---------------------------------------------------------------------------------

    async def before_commit(self) -> None:
        """Move the clocks, tell what waits, publish changed cells: a commit leaves nothing behind.

        The partitions side by side: each waits for the broker more than once.
        """
        async with self.context.lock:
            to_rearm, self._to_rearm = self._to_rearm, set()
            for shard in self.shards.values():
                for _ in shard.rearm(to_rearm) if to_rearm else ():
                    await asyncio.sleep(0)
            await asyncio.gather(*map(self._close_off, self.shards.values()))

    async def _close_off(self, shard: Shard) -> None:
        await self._move_clock(shard)
        await self._delivery.flush(shard.partition)
        shard.touched_days.clear()
        await self._publish_cells(shard)

    async def _move_clock(self, shard: Shard) -> None:
        now = self.context.now(shard.partition)
        if not now:
            return
        for plan in islice(shard.tick(now), MAX_CHUNKS_PER_COMMIT):
            await self._deliver(shard, plan)
        await self._retire(shard, self.context.retirement(shard.partition, now))
        labels = {"partition": str(shard.partition)}
        self._meter.set("receipts_clock_timestamp_seconds", now / 1000, **labels)

    async def _publish_cells(self, shard: Shard) -> None:
        """Write the cells that changed since the last time, as absolute values."""
        changes: dict[bytes, bytes | None] = {}
        for cell in shard.cells.take_dirty():
            shard.version += 1
            changes[cell.key] = encode_cell(shard.version, cell.counts)
        if changes:
            await self._cells.put(shard.partition, changes)

    async def _retire(self, shard: Shard, now: int) -> None:
        """Let days leave. Their cells and the mark are acknowledged before any tombstone."""
        day = shard.day_to_retire(now)
        if day is None:
            return
        await self._publish_cells(shard)
        shard.version += 1
        mark = encode_retired(shard.version, day)
        await self._cells.put(shard.partition, {retired_key(shard.partition): mark})
        await self._log.flush()
        await self._forget(shard, day)

    async def _forget(self, shard: Shard, day: int) -> None:
        """Tombstone the states and cells of days that are final."""
        for keys in shard.retire(day):
            await self._states.put(shard.partition, dict.fromkeys(keys))
            self._meter.add("receipts_retired_total", len(keys))
        for keys in _chunks(shard.cells.retire(day)):
            await self._cells.put(shard.partition, dict.fromkeys(keys))

    async def _sweep(self, shard: Shard) -> None:
        """Finish a retirement that a crash cut short, before anything else is read."""
        await self._forget(shard, shard.retired_day)


def _chunks(keys: list[bytes]) -> Iterator[list[bytes]]:
    for start in range(0, len(keys), CHUNK_SIZE):
        yield keys[start : start + CHUNK_SIZE]
