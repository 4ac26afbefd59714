"""The worker: one Faust app with the lifecycle agent and the suppression agent."""

import asyncio
import gc
import time
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any, Final

from faust.types import StreamT

from models import correlation as correlations
from models import counters, joining, state
from models import suppression as suppressions
from models.accounts import Accounts
from models.dead_letters import MAX_LETTER_BYTES
from models.endpoints import Endpoint
from models.metrics import Health, Meter
from models.routes import Routes
from models.settings import Settings, Topic
from streams.batching import Batch, BatchApp, StateFolder, run_worker
from streams.common.agent import PartitionAgent
from streams.common.context import AgentContext
from streams.common.delivery import Delivery
from streams.common.reporting import MetricsObserver, SteppedOver
from streams.correlation import agent as correlation
from streams.correlation.shard import CorrelationRules
from streams.followers.account_settings import AccountSettingsReader
from streams.followers.suppression_index import SuppressionIndex
from streams.followers.topic_follower import CaughtUp, Take, TopicFollower
from streams.health_reporter import HealthReporter
from streams.kafka.errors import Kind
from streams.kafka.reading import Place
from streams.kafka.security import kafka_access, watch_certificates
from streams.lifecycle import agent as lifecycle
from streams.lifecycle.shard import Rules
from streams.rules import fingerprint
from streams.state_reporter import StateReporter
from streams.suppression import agent as suppression


def run(
    settings: Settings,
    meter: Meter,
    health: Health,
    suppressed: SuppressionIndex,
    measure: Callable[[], Awaitable[object]],
    endpoints: Mapping[str, Endpoint],
) -> int:
    """Run the worker until SIGTERM, SIGINT or a failure; the process's exit code.

    suppressed: empty; the worker fills it from the topic `suppressions`, other threads may read it
    measure: awaited on the loop of the worker while it runs, then cancelled; it must not end
    endpoints: of providers, as the file of the settings has them
    exit code: 0 after a signal, with everything done committed; non-zero: a failure, logged once
    """
    # Events live for one batch and form no cycles: the default threshold, 700, is wasted work.
    gc.set_threshold(50_000, 20, 100)
    health.unready("partitions", "the worker is joining its consumer group")
    worker = Worker(settings, meter, health, suppressed, endpoints)
    return run_worker(worker.app, background=lambda: asyncio.gather(worker.background(), measure()))


#: Nobody calls back: receipts come from the topic `receipts` only.
NO_ENDPOINTS: Final[Mapping[str, Endpoint]] = {}


class Worker:
    """The app, its two agents, and the followers of the topics that every worker reads whole."""

    def __init__(
        self,
        settings: Settings,
        meter: Meter,
        health: Health,
        suppressed: SuppressionIndex,
        endpoints: Mapping[str, Endpoint] = NO_ENDPOINTS,
    ) -> None:
        self._access = access = kafka_access(settings)
        self.app = BatchApp(
            settings.app_id,
            access=access,
            batch_size=settings.batch_size,
            commit_interval_s=settings.commit_interval_s,
            session_timeout_s=settings.session_timeout_s,
            max_record_bytes=MAX_LETTER_BYTES,
            state=_state_folder(settings),
            standbys=settings.standbys,
        )
        self._settings = settings
        self._meter = meter
        self._routes = Routes(endpoints)
        meter.set("receipts_standbys", settings.standbys)
        self._stepped_over = SteppedOver()
        self.accounts = Accounts()
        self.suppressed = suppressed
        reader = AccountSettingsReader(
            self.accounts,
            lambda account: self.lifecycle.rearm(account),
            meter,
            settings.max_event_bytes,
        )
        self._followers = (
            self._follower("accounts", reader.take, reader.caught_up),
            self._follower("suppressions", suppressed.take, suppressed.mark_caught_up),
        )
        self.lifecycle = self._lifecycle()
        self.suppression = self._suppression()
        self._agents: list[PartitionAgent[Any]] = [self.lifecycle, self.suppression]
        if settings.endpoints:
            self._agents.append(self._correlation())
        contexts = [agent.context for agent in self._agents]
        self._health_reporter = HealthReporter(self.app, self.lifecycle, contexts, meter, health)
        self.app.on_partition_ready = self._open
        self.app.on_restored_chunk = self._fold_restored
        self.app.on_partition_lost = self._close
        self.app.before_commit = self._before_commit
        self.app.after_commit = self.lifecycle.after_commit
        self.app.on_unreadable = self._step_over
        self.app.observer = MetricsObserver(meter, settings.topic_prefix)

    async def background(self) -> None:
        """Run followers, reporters and the watch over certificates, until cancelled."""
        await asyncio.gather(
            self._health_reporter.run(),
            StateReporter(lambda: self.app.stores.use(), self._meter).run(),
            watch_certificates(self._access),
            *(follower.run() for follower in self._followers),
        )

    def _follower(self, name: Topic, take: Take, caught_up: CaughtUp) -> TopicFollower:
        """A follower of a topic, with metrics of its age and of its client's errors."""
        meter, age = self._meter, "receipts_follower_age_seconds"

        def on_caught_up(at_ms: int) -> None:
            caught_up(at_ms)
            meter.set_age(age, at_ms / 1000, topic=name)

        def on_error(kind: Kind) -> None:
            meter.add("receipts_kafka_errors_total", client="follower", kind=kind)

        meter.set_age(age, time.time(), topic=name)
        topic = self._settings.topic(name)
        return TopicFollower(self._access, topic, take, self._step_over, on_caught_up, on_error)

    # --- agents -----------------------------------------------------------------------------------

    def _topics(self, names: tuple[Topic, ...]) -> dict[str, str]:
        return {self._settings.topic(name): name for name in names}

    def _lifecycle(self) -> lifecycle.LifecycleAgent:
        app, settings, meter = self.app, self._settings, self._meter
        topics = self._topics(lifecycle.SOURCES)
        states = app.batch_table(
            "messages", settings.topic("message-states"), joining.join_encoded, state.check_record
        )
        cells = app.batch_table(
            "counters", settings.topic("status-counters"), check=counters.check_record
        )
        rules = Rules(settings.partitions, settings.retention_days, settings.max_event_bytes)
        routes = self._routes if settings.endpoints else None
        agent = lifecycle.LifecycleAgent(
            app,
            Delivery(app, meter, settings, states),
            meter,
            rules,
            states,
            cells,
            AgentContext(app, topics),
            self.accounts,
            self.suppressed,
            routes,
        )

        @app.agent(app.topic_of_batches(*topics), name="lifecycle")
        async def take(stream: StreamT[Batch]) -> None:
            async for batch in stream:
                await agent.take(batch)

        return agent

    def _suppression(self) -> suppression.SuppressionAgent:
        app, settings, meter = self.app, self._settings, self._meter
        topics = self._topics(suppression.SOURCES)
        changelog = settings.topic("suppressions")
        suppressed = app.batch_table(
            "suppressions", changelog, suppressions.join_encoded, suppressions.check_record
        )
        agent = suppression.SuppressionAgent(
            app,
            Delivery(app, meter, settings, suppressed),
            meter,
            settings.partitions,
            suppressed,
            AgentContext(app, topics),
            self.accounts,
        )

        @app.agent(app.topic_of_batches(*topics), name="suppression")
        async def take(stream: StreamT[Batch]) -> None:
            async for batch in stream:
                await agent.take(batch)

        return agent

    def _correlation(self) -> correlation.CorrelationAgent:
        app, settings, meter = self.app, self._settings, self._meter
        topics = self._topics(correlation.SOURCES)
        changelog = settings.topic("provider-correlations")
        table = app.batch_table(
            "correlations", changelog, correlations.join_encoded, correlations.check_record
        )
        rules = CorrelationRules(
            settings.partitions, settings.retention_days, settings.unmatched_days
        )
        agent = correlation.CorrelationAgent(
            app,
            Delivery(app, meter, settings, table),
            meter,
            table,
            AgentContext(app, topics),
            rules,
            self._routes,
        )

        @app.agent(app.topic_of_batches(*topics), name="correlation")
        async def take(stream: StreamT[Batch]) -> None:
            async for batch in stream:
                await agent.take(batch)

        return agent

    # --- hooks of the app ----------------------------------------------------------------------

    async def _open(self, partition: int) -> None:
        for follower in self._followers:
            await follower.caught_up.wait()
        for agent in self._agents:
            await agent.open(partition)

    async def _fold_restored(self, partition: int) -> bool:
        if not all(follower.caught_up.is_set() for follower in self._followers):
            return False
        return all([await agent.fold_restored(partition) for agent in self._agents])

    def _close(self, partition: int) -> None:
        for agent in self._agents:
            agent.close(partition)

    def _step_over(self, place: Place, fault: str) -> None:
        """Log and count an unreadable record of a restored or followed topic; the sink keeps it
        as a dead letter."""
        self._stepped_over.report(place, fault)
        topic = place.topic.removeprefix(self._settings.topic_prefix)
        self._meter.add("receipts_unreadable_records_total", topic=topic)

    async def _before_commit(self) -> None:
        for agent in self._agents:
            await agent.before_commit()


def _state_folder(settings: Settings) -> StateFolder | None:
    """Where states are on disk; None: in memory."""
    if not settings.state_dir:
        return None
    return StateFolder(Path(settings.state_dir), settings.state_cache_mb << 20, fingerprint())
