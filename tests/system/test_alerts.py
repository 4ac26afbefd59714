"""A real Prometheus and Alertmanager watch real processes of each kind: faults become messages.

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
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Literal

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
ENDPOINTS = """
public_url = "https://receipts.example.com"

[endpoints.twilio-eu]
provider = "twilio"
account = "acme"
secrets = ["file:{folder}/token"]
"""


#: Of steady traffic, more than two windows.
WELL_S = 50


class Watched:
    """One installation and what watches it."""

    def __init__(self, system: System, ports: dict[str, int]) -> None:
        self.system = system
        self.ports = ports
        self.worker = self.start("worker", "worker-1")
        self.sink = self.start("sink", "sink-1")
        self.listener = self.start("listen", "listen-1")

    def start(self, kind: Literal["worker", "sink", "listen"], name: str) -> Process:
        """Start a process where Prometheus expects it."""
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
    ports = {f"receipts-{kind}": free_port() for kind in ("worker", "sink", "listen")}
    (folder / "token").write_text("the auth token")
    (folder / "endpoints.toml").write_text(ENDPOINTS.format(folder=folder))
    given = {"endpoints": f"{folder}/endpoints.toml", "listen_port": free_port()}
    with running(kafka_broker.bootstrap, "alerts.", folder, lambda _: given) as system:
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
    until(lambda: len(monitoring.query(counted)) == 3, "all are known for a window", FIRES_S)
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


def forge(watched: Watched) -> None:
    """A callback with a signature that is wrong."""
    url = f"http://127.0.0.1:{watched.system.settings_of('listen').listen_port}"
    request = urllib.request.Request(
        f"{url}/callbacks/twilio-eu", b"MessageSid=SM1", {"X-Twilio-Signature": "forged"}
    )
    with pytest.raises(urllib.error.HTTPError, match="403"):
        urllib.request.urlopen(request, timeout=10)


def test_forged_callbacks(watched: Watched, monitoring: Monitoring) -> None:
    for _ in range(100):
        forge(watched)
    alert = monitoring.wait_for("ReceiptsCallbacksForged", "page", "firing", FIRES_S)
    assert alert["labels"]["endpoint"] == "twilio-eu"
    assert alert["labels"]["job"] == "receipts-listen"
    monitoring.wait_for("ReceiptsCallbacksForged", "page", "resolved", ENDS_S)


def test_a_killed_listener(watched: Watched, monitoring: Monitoring) -> None:
    watched.listener.kill()
    alert = monitoring.wait_for("ReceiptsNoListener", "page", "firing", FIRES_S)
    assert alert["labels"]["job"] == "receipts-listen"
    watched.start("listen", "listen-2")
    monitoring.wait_for("ReceiptsNoListener", "page", "resolved", ENDS_S)


def test_every_rule_was_evaluated_without_an_error(monitoring: Monitoring) -> None:
    rules = [rule for group in monitoring.api("rules")["groups"] for rule in group["rules"]]
    assert rules
    assert [rule["name"] for rule in rules if rule["health"] != "ok"] == []
