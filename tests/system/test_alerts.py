"""A real Prometheus and Alertmanager watch a real worker and sink: faults become messages.

The rules are ours, with shorter times. What each alert fires on is tested by
deploy/monitoring/prometheus/tests; here that the whole path works: metrics, scrape, rule, route,
receiver, and back again.
"""

import asyncio
import contextlib
import itertools
import json
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from aiokafka import AIOKafkaProducer

from deploy.embedded.brokers import Broker, free_port
from models.keys import message_key, partition_of
from models.settings import Topic
from tests.support.monitoring import BASE, Monitoring, watching
from tests.support.system import Process, System, running
from tests.support.waiting import until

pytestmark = [pytest.mark.kafka, pytest.mark.slow, pytest.mark.timeout(600)]

LAGS = '{job="receipts-worker",topic="sends"}'
FIRES_S, ENDS_S = 120.0, 180.0
LIMITS = {
    "sink_waiting_seconds_ticket": 2,
    "sink_waiting_seconds_page": 4,
    "insert_failures": 0,
}


#: Of steady traffic, more than two windows.
WELL_S = 50


class Watched:
    """One installation and what watches it."""

    def __init__(self, system: System, ports: dict[str, int]) -> None:
        self.system = system
        self.ports = ports
        self.worker = self.start("worker", "worker-1")
        self.sink = self.start("sink", "sink-1")

    def start(self, kind: str, name: str) -> Process:
        """Start a worker or sink where Prometheus expects it."""
        process = self.system.process(kind, name, port=self.ports[f"receipts-{kind}"])
        return process.wait_ready()

    @contextlib.contextmanager
    def published(
        self, records: Callable[[int], Iterator[tuple[Topic, Any, bytes]]]
    ) -> Iterator[None]:
        """Publish up to a hundred times a second within the block.

        records: topic, key and value of the records of a number that counts up
        """
        ended = threading.Event()
        settings = self.system.settings

        async def produce() -> None:
            producer = AIOKafkaProducer(bootstrap_servers=settings.brokers)
            await producer.start()
            try:
                for number in itertools.count():
                    for topic, key, value in records(number):
                        partition = partition_of(key, settings.partitions) if key else None
                        await producer.send(settings.topic(topic), value, key, partition)
                    if number % 20 == 19:
                        await producer.flush()
                        await asyncio.sleep(0.2)
                    if ended.is_set():
                        break
            finally:
                await producer.stop()

        with ThreadPoolExecutor(1) as pool:
            producing = pool.submit(asyncio.run, produce())
            try:
                yield
            finally:
                ended.set()
            producing.result()


def refused(_: int) -> Iterator[tuple[Topic, Any, bytes]]:
    """A receipt that is not JSON."""
    yield "receipts", None, b"{"


def delivered(number: int) -> Iterator[tuple[Topic, Any, bytes]]:
    """A message that is sent and delivered now."""
    at = time.time_ns() // 1_000_000
    one = {"account": "acme", "message_id": f"well-{at}-{number}"}
    key = message_key(one["account"], one["message_id"])
    to = {"recipient": f"+46701{at % 1_000_000:06}", "channel": "sms", "provider": "p"}
    yield "sends", key, json.dumps({**one, **to, "sent_at": at}).encode()
    yield "receipts", key, json.dumps({**one, "status": "delivered", "occurred_at": at}).encode()


@pytest.fixture(scope="module")
def watched(kafka_broker: Broker, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Watched]:
    folder = tmp_path_factory.mktemp("watched")
    ports = {"receipts-worker": free_port(), "receipts-sink": free_port()}
    with running(kafka_broker.bootstrap, "alerts.", folder) as system:
        yield Watched(system, ports)


@pytest.fixture(scope="module")
def monitoring(
    watched: Watched, prometheus_programs: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Monitoring]:
    folder = tmp_path_factory.mktemp("monitoring") / "files"
    with watching(prometheus_programs, folder, watched.ports, LIMITS) as found:
        yield found


def test_a_system_that_is_well_fires_nothing(watched: Watched, monitoring: Monitoring) -> None:
    counted = "receipts:counted_from_zero:1h"
    until(lambda: len(monitoring.query(counted)) == 2, "both are known for a window", FIRES_S)
    began = time.monotonic()
    read = 'receipts:records_read:increase1h{topic="receipts"} > 0'
    with watched.published(delivered):
        until(lambda: len(monitoring.query(read)) == 2, "a figure shows the traffic", FIRES_S)
        until(lambda: time.monotonic() - began > WELL_S, "time passes", FIRES_S)
    passed = int(time.monotonic() - began)
    (evaluated,) = monitoring.query(f"count_over_time(receipts:lag_seconds:max{LAGS}[{passed}s])")
    assert int(evaluated["value"][1]) > WELL_S / 2  # the rules ran all the time
    assert not monitoring.query("sum(receipts_dead_letters_total) > 0")
    assert monitoring.fired(passed) == set()


def test_refused_records_reach_the_receiver_and_end(
    watched: Watched, monitoring: Monitoring
) -> None:
    with watched.published(refused):
        alert = monitoring.wait_for("ReceiptsDeadLetters", "page", "firing", FIRES_S)
    assert alert["receiver"] == "page"
    assert alert["labels"]["reason"] == "not_json"
    assert "dead letters of receipts with reason not_json" in alert["annotations"]["description"]
    assert alert["annotations"]["runbook_url"] == f"{BASE}docs/runbook.md#receiptsdeadletters"
    assert "runbook_base" not in alert["labels"]
    monitoring.wait_for("ReceiptsDeadLetters", "page", "resolved", ENDS_S)


def test_a_sink_that_cannot_write(watched: Watched, monitoring: Monitoring) -> None:
    watched.system.kill_engine()
    watched.system.publish(200, seed=42, name="away")
    alert = monitoring.wait_for("ReceiptsSinkNotWriting", "page", "firing", FIRES_S)
    assert alert["receiver"] == "page"
    assert alert["labels"]["job"] == "receipts-sink"
    monitoring.wait_for("ReceiptsClickHouseRefuses", "ticket", "firing", FIRES_S)
    until(
        lambda: "ReceiptsNotReady" in monitoring.suppressed(), "the cause silences the symptom", 60
    )
    watched.system.start_engine()
    monitoring.wait_for("ReceiptsSinkNotWriting", "page", "resolved", ENDS_S)
    until(lambda: watched.sink.value("receipts_lag_records") == 0, "all is written", ENDS_S)


def test_a_killed_worker(watched: Watched, monitoring: Monitoring) -> None:
    watched.worker.kill()
    alert = monitoring.wait_for("ReceiptsNoWorker", "page", "firing", FIRES_S)
    assert alert["labels"]["job"] == "receipts-worker"
    until(
        lambda: "ReceiptsProcessDown" in monitoring.suppressed(),
        "the cause silences the symptom",
        60,
    )
    watched.start("worker", "worker-2")
    monitoring.wait_for("ReceiptsNoWorker", "page", "resolved", ENDS_S)


def test_every_rule_was_evaluated_without_an_error(monitoring: Monitoring) -> None:
    rules = [rule for group in monitoring.api("rules")["groups"] for rule in group["rules"]]
    assert rules
    assert [rule["name"] for rule in rules if rule["health"] != "ok"] == []
