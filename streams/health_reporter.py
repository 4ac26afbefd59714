"""Publishes the worker's gauges and readiness once a second."""

import asyncio
from collections import Counter
from typing import Final

from models.metrics import Health, Meter
from streams.batching import BatchApp
from streams.common.context import AgentContext
from streams.lifecycle.agent import LifecycleAgent

REPORT_INTERVAL_S: Final = 1.0


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
        self._contexts = contexts
        self._meter = meter
        self._health = health
        self._generation: int | None = None

    async def run(self) -> None:
        """Run until cancelled."""
        while True:
            self._health.beat("loop")
            self._report_readiness()
            self._report_partitions()
            await asyncio.sleep(REPORT_INTERVAL_S)

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
        sources = [topic for context in self._contexts for topic in context.topics]
        meter.set("receipts_partitions", len(app.assigned_partitions) * len(sources))
        for partition, shard in self._lifecycle.shards.items():
            meter.set("receipts_states", len(shard.stored), partition=str(partition))
            meter.set("receipts_cells", len(shard.cells.by_key), partition=str(partition))
        for context in self._contexts:
            for topic, name in context.topics.items():
                self._report_lags(topic, name)
        left: Counter[int] = Counter()
        for progress in app.restoring:
            left[progress.partition] += progress.remaining
        for partition, records in left.items():
            meter.set("receipts_restore_left_records", records, partition=str(partition))

    def _report_lags(self, topic: str, name: str) -> None:
        for partition in self._app.ready_partitions:
            lag = self._app.lag(topic, partition)
            if lag is not None:
                labels = {"topic": name, "partition": str(partition)}
                self._meter.set("receipts_lag_records", lag, **labels)
