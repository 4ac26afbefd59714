"""What the worker's readiness says of Kafka."""

from types import SimpleNamespace
from typing import Any

from prometheus_client import CollectorRegistry

from deploy.processes.monitoring import ProcessHealth, PrometheusMeter
from streams.health_reporter import HealthReporter


class App:
    """What HealthReporter reads of a BatchApp that has all its partitions."""

    assigned_partitions = ready_partitions = frozenset({0})
    restoring: tuple[()] = ()
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
