"""Publishes the worker's gauges and readiness once a second."""

import asyncio
import time
from collections import Counter
from typing import Final

from models.counters import HOUR_MS
from models.metrics import Health, Meter
from streams.batching import BatchApp
from streams.common.context import AgentContext
from streams.lifecycle.agent import LifecycleAgent

REPORT_INTERVAL_S: Final = 1.0

#: Pending messages are counted over all cells: not so often.
PENDING_INTERVAL_S: Final = 30.0
PENDING_HOURS: Final = (1, 6, 24)

#: Gauges of each partition, and of each partition of each topic.
_OF_PARTITION: Final = frozenset(
    {
        "receipts_states",
        "receipts_cells",
        "receipts_restore_left_records",
        "receipts_restore_seconds",
        "receipts_clock_timestamp_seconds",
    }
)
_OF_TOPIC: Final = frozenset(
    {"receipts_lag_records", "receipts_lag_seconds", "receipts_lag_age_seconds"}
)


class HealthReporter:
    """contexts: of all agents of the worker"""

    def __init__(
        self,
        app: BatchApp,
        lifecycle: LifecycleAgent,
        contexts: list[AgentContext],
        meter: Meter,
        health: Health,
    ) -> None:
        self._app = app
        self._lifecycle = lifecycle
        self._topics = {topic: name for each in contexts for topic, name in each.topics.items()}
        self._meter = meter
        self._health = health
        self._generation: int | None = None
        self._assigned: frozenset[int] = frozenset()
        self._standbys: frozenset[int] = frozenset()
        self._restoring_since: dict[int, float] = {}
        """Epoch seconds, by partition."""

    async def run(self) -> None:
        """Run until cancelled."""
        await asyncio.gather(self._run_often(), self._run_seldom())

    async def _run_often(self) -> None:
        while True:
            self._health.beat("loop")
            self._report_readiness()
            self._report_partitions()
            await asyncio.sleep(REPORT_INTERVAL_S)

    async def _run_seldom(self) -> None:
        while True:
            await self._report_pending()
            await asyncio.sleep(PENDING_INTERVAL_S)

    def _report_readiness(self) -> None:
        app = self._app
        if trouble := app.trouble():
            self._health.unready("kafka", trouble)
        else:
            self._health.ready("kafka")
        restoring = app.assigned_partitions - app.ready_partitions
        if not app.fence.held:
            self._health.unready("partitions", "the worker is joining its consumer group")
        elif restoring:
            left = sum(progress.remaining for progress in app.restoring)
            names = ", ".join(map(str, sorted(restoring)))
            self._health.unready("partitions", f"restoring partitions {names}: {left} records left")
        else:
            self._health.ready("partitions")
        if app.fence.held and app.generation != self._generation:
            self._generation = app.generation
            self._meter.add("receipts_rebalances_total")

    def _report_partitions(self) -> None:
        app, meter = self._app, self._meter
        meter.set("receipts_partitions", len(app.assigned_partitions) * len(self._topics))
        meter.set("receipts_unacknowledged_records", app.unacknowledged)
        meter.set("receipts_clock_skew_seconds", app.clock_skew_s)
        for partition, shard in self._lifecycle.shards.items():
            meter.set("receipts_states", len(shard.stored), partition=str(partition))
            meter.set("receipts_cells", len(shard.cells.by_key), partition=str(partition))
        for partition in app.ready_partitions:
            self._report_lags(partition)
        self._report_restores()
        self._report_standbys()
        for partition in self._assigned - app.assigned_partitions:
            self._forget(partition)
        self._assigned = app.assigned_partitions

    def _report_lags(self, partition: int) -> None:
        for topic, name in self._topics.items():
            labels = {"topic": name, "partition": str(partition)}
            as_of = self._app.lag_as_of(topic, partition)
            self._meter.set_age("receipts_lag_age_seconds", as_of, **labels)
            lag = self._app.lag(topic, partition)
            if lag is not None:
                self._meter.set("receipts_lag_records", lag, **labels)
                since = self._app.waiting_since(topic, partition)
                self._meter.set_age("receipts_lag_seconds", since, **labels)

    def _report_restores(self) -> None:
        app, meter, now = self._app, self._meter, time.time()
        left: Counter[int] = Counter()
        for progress in app.restoring:
            left[progress.partition] += progress.remaining
        for partition, records in left.items():
            meter.set("receipts_restore_left_records", records, partition=str(partition))
        restoring = app.assigned_partitions - app.ready_partitions
        known = self._restoring_since
        self._restoring_since = {partition: known.get(partition, now) for partition in restoring}
        for partition in app.assigned_partitions:
            since = self._restoring_since.get(partition)
            meter.set_age("receipts_restore_seconds", since, partition=str(partition))

    def _report_standbys(self) -> None:
        lags = self._app.standby_lags
        known = {partition: lag for partition, lag in lags.items() if lag is not None}
        for partition, lag in known.items():
            self._meter.set("receipts_standby_lag_records", lag, partition=str(partition))
        for partition in self._standbys - known.keys():
            self._meter.forget("receipts_standby_lag_records", partition=str(partition))
        self._standbys = frozenset(known)

    def _forget(self, partition: int) -> None:
        """Another worker has the partition: its last values would never change again."""
        for gauge in _OF_PARTITION:
            self._meter.forget(gauge, partition=str(partition))
        for gauge in _OF_TOPIC:
            for name in self._topics.values():
                self._meter.forget(gauge, topic=name, partition=str(partition))

    async def _report_pending(self) -> None:
        """Count by whole hours: the messages of an hour are as old as its end."""
        now, older = time.time() * 1000, Counter[int]()
        for shard in list(self._lifecycle.shards.values()):
            for chunk in shard.cells.pending():
                for begin, number in chunk.items():
                    hours = (now - begin) / HOUR_MS - 1
                    older.update({limit: number for limit in PENDING_HOURS if hours >= limit})
                await asyncio.sleep(0)
        for limit in PENDING_HOURS:
            labels = {"older_than": f"{limit}h"}
            self._meter.set("receipts_pending_messages", older[limit], **labels)
