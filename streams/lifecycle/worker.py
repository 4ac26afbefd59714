"""The lifecycle worker: a Faust app of whole batches around the lifecycle agent."""

import asyncio
import gc
import logging
from typing import Any, Final

from faust.types import StreamT

from models.metrics import Health, Meter
from models.settings import Settings
from models.state import join_encoded
from streams.batching import Batch, BatchApp, run_worker
from streams.lifecycle.agent import SOURCES, LifecycleAgent
from streams.lifecycle.deliver import Delivery
from streams.lifecycle.shard import Rules

log = logging.getLogger(__name__)

#: A dead letter carries the largest record a broker takes by default, and its reason.
MAX_RECORD_BYTES: Final = 2 * 1024**2

WATCH_S: Final = 1.0


def run(settings: Settings, meter: Meter, health: Health) -> int:
    """Run the worker until SIGTERM, SIGINT or a failure; the process's exit code.

    0: asked to stop, everything done is committed. Non-zero: a failure, logged once.
    """
    # Events live for one batch; a collector that looks for cycles every 700 of them finds none.
    gc.set_threshold(50_000, 20, 100)
    app = BatchApp(
        settings.app_id,
        brokers=settings.brokers,
        batch_size=settings.batch_size,
        commit_interval_s=settings.commit_interval_s,
        session_timeout_s=settings.session_timeout_s,
        max_record_bytes=MAX_RECORD_BYTES,
    )
    agent = build_agent(app, settings, meter)
    health.unready("partitions", "the worker is joining its consumer group")
    return run_worker(app, alongside=lambda: Watch(app, agent, meter, health).run())


def build_agent(app: BatchApp, settings: Settings, meter: Meter) -> LifecycleAgent:
    """Declare topics, tables, hooks and the Faust agent on an app."""
    topics = {settings.topic(name): name for name in SOURCES}
    states = app.batch_table("messages", settings.topic("message-states"), merge=join_encoded)
    cells = app.batch_table("counters", settings.topic("status-counters"))
    delivery = Delivery(app, meter, states, cells, settings.topic("dead-letters"), topics)
    rules = Rules(settings.partitions, settings.retention_days, settings.max_event_bytes)
    agent = LifecycleAgent(app, delivery, meter, rules, states, cells, topics)
    app.on_partition_ready = agent.open
    app.on_partition_lost = agent.close
    app.before_commit = agent.before_commit

    @app.agent(app.topic_of_batches(*topics), name="lifecycle")
    async def lifecycle(stream: StreamT[Batch]) -> None:
        async for batch in stream:
            await agent.take(batch)

    return agent


class Watch:
    """Tells metrics and health, once a second, how the worker stands."""

    def __init__(self, app: BatchApp, agent: LifecycleAgent, meter: Meter, health: Health) -> None:
        self._app = app
        self._agent = agent
        self._meter = meter
        self._health = health
        self._generation: int | None = None

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            self._health.beat("loop")
            self._tell_readiness()
            self._tell_partitions()
            await asyncio.sleep(WATCH_S)

    def _tell_readiness(self) -> None:
        app = self._app
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

    def _tell_partitions(self) -> None:
        app, meter = self._app, self._meter
        meter.set("receipts_partitions", len(app.assigned_partitions) * len(SOURCES))
        for partition, shard in self._agent.shards.items():
            labels: dict[str, Any] = {"partition": str(partition)}
            meter.set("receipts_states", len(shard.states), **labels)
            meter.set("receipts_cells", len(shard.cells.by_key), **labels)
            for topic, source in self._agent.topics.items():
                lag = app.lag(topic, partition)
                if lag is not None:
                    meter.set("receipts_lag_records", lag, topic=source, **labels)
        left: dict[int, int] = {}
        for progress in app.restoring:
            left[progress.partition] = left.get(progress.partition, 0) + progress.remaining
        for partition, records in left.items():
            meter.set("receipts_restore_left_records", records, partition=str(partition))
