"""The readiness and the gauges of a worker."""

import time
from collections import Counter
from types import SimpleNamespace
from typing import Any

import pytest
from prometheus_client import CollectorRegistry

from deploy.processes.monitoring import ProcessHealth, PrometheusMeter
from models.counters import HOUR_MS
from models.metrics import BY_NAME
from models.settings import Settings
from streams.followers.suppression_index import SuppressionIndex
from streams.health_reporter import HealthReporter
from streams.worker import Worker
from tests.support.fakes import Health, Meter


class App:
    """What HealthReporter reads of a BatchApp that has all its partitions."""

    assigned_partitions = ready_partitions = frozenset({0})
    restoring: tuple[Any, ...] = ()
    generation = 1
    fence = SimpleNamespace(held=True)
    reason: str | None = None

    def trouble(self) -> str | None:
        return self.reason


def test_a_worker_without_kafka_is_not_ready_and_gives_the_reason() -> None:
    meter = PrometheusMeter(CollectorRegistry())
    health = ProcessHealth(60.0, meter)
    app: Any = App()
    watch = HealthReporter(app, SimpleNamespace(shards={}), [], meter, health)  # type: ignore[arg-type]
    watch._report_readiness()
    assert health.reasons() == {}
    app.reason = "waiting for the group coordinator, last heartbeat 7.3 s ago"
    watch._report_readiness()
    assert health.reasons() == {"kafka": app.reason}
    app.reason = None
    watch._report_readiness()
    assert health.reasons() == {}


class Partitions(App):
    """Two partitions: 0 is ready, 1 is restored; later 0 goes to another worker."""

    assigned_partitions = frozenset({0, 1})
    ready_partitions = frozenset({0})
    restoring = (SimpleNamespace(partition=1, remaining=70),)
    standby_lags: Any = {2: 7, 3: None}  # noqa: RUF012
    unacknowledged = 5
    clock_skew_s = 1.5
    since: float | None = None
    as_of = 0.0

    def lag(self, topic: str, partition: int) -> int | None:
        return {"t.sends": 3, "t.receipts": None}[topic]

    def lag_as_of(self, topic: str, partition: int) -> float:
        return self.as_of

    def waiting_since(self, topic: str, partition: int) -> float | None:
        return self.since


def test_what_a_worker_shows_of_its_partitions_goes_with_them(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    meter, app = Meter(), Partitions()
    contexts = [SimpleNamespace(topics={"t.sends": "sends", "t.receipts": "receipts"})]
    shards = {0: SimpleNamespace(stored={b"k": b"v"}, cells=SimpleNamespace(by_key={}))}
    lifecycle = SimpleNamespace(shards=shards)
    reporter = HealthReporter(app, lifecycle, contexts, meter, Health())  # type: ignore[arg-type]
    app.since = time.time() - 100
    app.as_of = time.time() - 30
    reporter._report_partitions()
    assert meter.value("receipts_lag_records", "sends", "0") == 3
    assert 100 <= meter.value("receipts_lag_seconds", "sends", "0") < 200
    for topic in ("sends", "receipts"):
        assert 30 <= meter.value("receipts_lag_age_seconds", topic, "0") < 100
    assert ("receipts_lag_seconds", ("receipts", "0")) not in meter.sums, "not known yet"
    assert meter.value("receipts_restore_left_records", "1") == 70
    later = time.time() + 50
    monkeypatch.setattr(time, "time", lambda: later)
    reporter._report_partitions()
    assert 50 <= meter.value("receipts_restore_seconds", "1") < 150
    assert meter.value("receipts_restore_seconds", "0") == 0
    assert meter.value("receipts_unacknowledged_records") == 5
    assert meter.value("receipts_clock_skew_seconds") == 1.5
    assert meter.value("receipts_standby_lag_records", "2") == 7
    assert ("receipts_standby_lag_records", ("3",)) not in meter.sums

    app.assigned_partitions = app.ready_partitions = frozenset({1})
    app.restoring = ()
    app.standby_lags = {}
    shards.clear()
    reporter._report_partitions()
    partitions = {
        (name, labels[-1])
        for name, labels in meter.sums
        if {"partition"} & set(BY_NAME[name].labels)
    }
    assert {partition for _, partition in partitions} == {"1"}
    assert meter.value("receipts_restore_seconds", "1") == 0


async def test_messages_that_stay_pending_are_counted_by_age() -> None:
    meter, now = Meter(), int(time.time() * 1000)
    hour = now - now % HOUR_MS
    chunks = [
        Counter({hour: 1, hour - HOUR_MS: 2}),  # younger than an hour, in part
        Counter({hour - 2 * HOUR_MS: 4, hour - 8 * HOUR_MS: 8, hour - 30 * HOUR_MS: 16}),
    ]
    cells = SimpleNamespace(pending=lambda: iter(chunks))
    lifecycle: Any = SimpleNamespace(shards={0: SimpleNamespace(cells=cells)})
    reporter = HealthReporter(App(), lifecycle, [], meter, Health())  # type: ignore[arg-type]
    await reporter._report_pending()
    shown = {
        older: meter.value("receipts_pending_messages", older) for older in ("1h", "6h", "24h")
    }
    assert shown == {"1h": 28, "6h": 24, "24h": 16}


def test_a_worker_shows_how_many_copies_are_wanted() -> None:
    meter = Meter()
    Worker(Settings(standbys=2), meter, Health(), SuppressionIndex())
    assert meter.value("receipts_standbys") == 2
