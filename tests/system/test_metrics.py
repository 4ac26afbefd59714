"""Worker and sink emit every metric of the table, and no other, in a run with all kinds of trouble.

What needs an outage gets one: Kafka and ClickHouse are killed and come back, ClickHouse refuses.
"""

import asyncio
import contextlib
import os
import signal
import time
import urllib.request
from collections import defaultdict
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Literal

import msgspec
import pytest
from aiokafka import AIOKafkaProducer
from prometheus_client.parser import text_string_to_metric_families

from deploy.embedded.brokers import KafkaBroker
from models.keys import message_key, partition_of
from models.metrics import TABLE, Metric
from models.state import MessageState, encode
from models.time import DAY_MS
from streams.kafka import clients
from streams.kafka.security import kafka_access
from tests.deploy.test_vitals import certificate
from tests.support.fakes import receipt, send, state
from tests.support.observed import RAISE
from tests.support.system import Process, System, running
from tests.support.waiting import until

pytestmark = [pytest.mark.kafka, pytest.mark.slow, pytest.mark.timeout(600)]

EVENTS = 8_000
#: What was seen of a metric: its greatest value by its labels.
Seen = dict[tuple[str, ...], float]
#: Nothing in this run makes them more than 0.
MAY_BE_ZERO = {
    "receipts_clickhouse_delayed_inserts",
    "receipts_restore_left_records",  # they are restored at once
    "receipts_restore_seconds",
    "receipts_standby_lag_records",
}
PATIENCE_S = 60.0
ENDPOINTS = """
[endpoints.gateway]
provider = "smpp"
account = "acme"
public_url = "http://127.0.0.1"
unverified = true
"""
#: A recipient in whose row ClickHouse finds a violated constraint.
REFUSED = "+46700000007"


class Watched:
    """The system, its two processes, and all that their pages have shown."""

    def __init__(self, system: System, broker: KafkaBroker, certificate: Path) -> None:
        self.system = system
        self.broker = broker
        self._certificate = str(certificate)
        self.seen: dict[str, defaultdict[str, Seen]] = {}
        self.now: dict[str, dict[str, Seen]] = {}
        self.running: dict[str, Process] = {}

    def start(self, kind: Literal["worker", "sink"], name: str) -> Process:
        command = ("tests.support.observed", kind, self._certificate)
        self.running[name] = self.system.process(kind, name, command)
        self.seen.setdefault(kind, defaultdict(dict))
        return self.running[name]

    def look(self) -> None:
        """Read both pages."""
        for name, process in self.running.items():
            process.child.check()
            url = f"http://127.0.0.1:{process.port}/metrics"
            with contextlib.suppress(OSError), urllib.request.urlopen(url, timeout=10) as page:
                self._note(name, page.read().decode())

    def _note(self, name: str, text: str) -> None:
        self.now[name] = now = {}
        seen = self.seen[name.partition("-")[0]]
        for family in text_string_to_metric_families(text):
            for sample in family.samples:
                metric = family.name + ("_total" if family.type == "counter" else "")
                labels = tuple(value for key, value in sample.labels.items() if key != "le")
                now.setdefault(metric, {})[labels] = sample.value
                seen[metric][labels] = max(seen[metric].get(labels, 0.0), sample.value)

    def until(self, name: str, metric: str, *labels: str, what: str = "", above: float = 0) -> None:
        """Wait until processes of its kind have shown a metric with these labels above a value."""
        kind = name.partition("-")[0]

        def shown() -> bool:
            self.look()
            found = self.seen[kind].get(metric, {})
            return any(v > above and set(labels) <= set(of) for of, v in found.items())

        until(shown, f"{name} shows {metric} {labels} {what}", PATIENCE_S)

    def until_idle(self) -> None:
        """Wait until no record waits anywhere: every lag is 0, in records and in seconds."""

        def idle() -> bool:
            self.look()
            lags = [
                value
                for now in self.now.values()
                for metric in ("receipts_lag_records", "receipts_lag_seconds")
                for value in now.get(metric, {}).values()
            ]
            return bool(lags) and not any(lags)

        until(idle, "nothing waits", PATIENCE_S)


@pytest.fixture
def watched(needs_kafka: None, prefix: str, tmp_path: Path) -> Iterator[Watched]:
    pem = tmp_path / "ca.pem"
    pem.write_bytes(certificate(datetime.now(UTC) + timedelta(days=90)))
    file = tmp_path / "endpoints.toml"
    file.write_text(ENDPOINTS)
    login = {"endpoints": str(file)}
    with KafkaBroker() as broker:
        made = running(
            broker.bootstrap, prefix, tmp_path, lambda _: login, on_disk=True, standbys=1
        )
        with made as system:
            yield Watched(system, broker, pem)
        broker.kill()


async def call_back(system: System) -> None:
    """A gateway publishes a receipt that names its message."""
    headers = [("endpoint", b"gateway"), ("reference", b"acme/called-back")]
    async with clients.producer(kafka_access(system.settings)) as producer:
        topic = system.settings.topic("callbacks")
        await producer.send_and_wait(topic, b"id:1 stat:DELIVRD", headers=headers)


def now_ms() -> int:
    return time.time_ns() // 1_000_000


def message_of(partition: int, partitions: int, name: str) -> tuple[str, bytes]:
    """A message id and its key that live in a partition."""
    for n in range(999):
        key = message_key("acme", f"{name}{n}")
        if partition_of(key, partitions) == partition:
            return f"{name}{n}", key
    raise AssertionError(partition)


def left_behind(partitions: int) -> list[tuple[str, bytes, bytes, int]]:
    """Topic, key, value and partition of what older, newer and foreign programs left in Kafka."""
    old = now_ms() - 40 * DAY_MS
    retired = state(1, send(sent_at=old), receipt("delivered", occurred_at=old))
    unbound = MessageState(version=1, last_event_day=old // DAY_MS, last_unsubscribed_at=old)
    newer = state(1, send(sent_at=now_ms()), receipt("delivered", occurred_at=now_ms()))
    assert newer.outcome is not None
    newer.outcome = msgspec.structs.replace(newer.outcome, status=77)
    states = {"retired": retired, "unbound": unbound, "newer": newer}
    records = [
        ("message-states", message_of(n, partitions, name)[1], encode(each), n)
        for name, each in states.items()
        for n in range(partitions)
    ]
    return [
        *records,
        ("message-states", b"acme/garbage", b"\xc1", 0),
        ("suppressions", b"acme/garbage", b"\xc1", 0),
        ("accounts", b"broken", b'{"account": "broken", "strike_limit": -1}', 0),
    ]


def refused_row(partitions: int) -> list[tuple[str, bytes, bytes, int]]:
    """One record: a state whose row ClickHouse refuses."""
    name, key = message_of(0, partitions, "refused")
    sent = send(message_id=name, recipient=REFUSED, sent_at=now_ms())
    return [("message-states", key, encode(state(1, sent)), 0)]


@contextlib.contextmanager
def paused(broker: KafkaBroker) -> Iterator[None]:
    """Within the block the broker answers nothing."""
    os.kill(broker.pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(broker.pid, signal.SIGCONT)


async def produce(system: System, records: list[tuple[str, bytes, bytes, int]]) -> None:
    producer = AIOKafkaProducer(bootstrap_servers=system.settings.brokers)
    await producer.start()
    try:
        for topic, key, value, partition in records:
            await producer.send_and_wait(system.settings.topic(topic), value, key, partition)
    finally:
        await producer.stop()


def events(partitions: int) -> list[dict[str, Any]]:
    """A rule that raises, a wrong clock, a soft bounce to retry, a record of the future, a message
    that is pending for long, two sends of one attempt, a campaign to mend."""
    lines: list[dict[str, Any]] = []

    def publish(topic: str, name: str, at: int, **fields: Any) -> None:
        home = partition_of(message_key("acme", name), partitions)
        value = msgspec.json.encode({"account": "acme", "message_id": name, **fields}).decode()
        lines.append(
            {
                "topic": topic,
                "key": f"acme/{name}",
                "value": value,
                "partition": home,
                "timestamp": at,
            }
        )

    at, hour = now_ms(), 3_600_000
    sent = {"channel": "sms", "recipient": "+46701234567", "provider": "p"}
    publish("sends", "raising", at, **sent, sent_at=at, external_id=RAISE)
    publish("sends", "early", at, **sent, sent_at=at)
    publish("receipts", "early", at, status="delivered", occurred_at=at - hour)
    publish("sends", "soft", at, **sent, sent_at=at - 2 * hour)
    failed = {"status": "undelivered", "bounce": "soft", "occurred_at": at - 2 * hour + 1}
    publish("receipts", "soft", at, **failed)
    publish("sends", "pending", at, **sent, sent_at=at - 3 * hour)
    for number in range(2):
        publish("sends", "twice", at, **sent, sent_at=at - number)
    publish("sends", "future", at + 600_000, **sent, sent_at=at)
    campaign = {"account": "acme", "campaign_id": "c", "name": "Sale", "updated_at": at}
    value = msgspec.json.encode({**campaign, "target_audience": "many"}).decode()
    lines.append({"topic": "campaigns", "key": "acme/c", "value": value, "timestamp": at})
    return lines


def value_of(metric: Metric, seen: dict[str, Seen]) -> float | None:
    """The greatest value shown; None: there was no series."""
    return max(seen.get(metric.name, {}).values(), default=None)


def test_every_metric_of_the_table_is_emitted_and_no_other(watched: Watched) -> None:
    system = watched.system
    partitions = system.settings.partitions
    asyncio.run(produce(system, left_behind(partitions)))
    watched.start("worker", "worker-1")
    watched.start("sink", "sink-1")
    for name in ("worker-1", "sink-1"):
        watched.until(name, "receipts_ready")
    system.replay_lines(events(partitions))
    system.publish(EVENTS, seed=21)
    asyncio.run(call_back(system))
    lose_kafka(watched)
    lose_clickhouse(watched)
    watched.until("worker-1", "receipts_retired_total", what="old states go")
    watched.until("worker-1", "receipts_retry_requests_total")
    watched.until("worker-1", "receipts_pending_messages", "1h")
    ignore_suppression(watched)
    move_partitions(watched)
    watched.until_idle()
    compare(watched)


def lose_kafka(watched: Watched) -> None:
    """Both processes have work when the broker is killed; it comes back with the same data."""
    watched.until("worker-1", "receipts_events_total", "receipts")
    watched.broker.kill()
    for name in ("worker-1", "sink-1"):
        watched.until(name, "receipts_commit_failures_total")
        watched.until(name, "receipts_kafka_errors_total", "consumer", "connection")
    for client in ("producer", "follower"):
        watched.until("worker-1", "receipts_kafka_errors_total", client, "connection")
    watched.until("worker-1", "receipts_unacknowledged_records")
    watched.until("worker-1", "receipts_follower_age_seconds", "suppressions", above=3)
    watched.until("worker-1", "receipts_lag_seconds", above=3)
    for name in ("worker-1", "sink-1"):
        watched.until(name, "receipts_lag_age_seconds", "receipts", above=5)
    watched.broker.start()


def lose_clickhouse(watched: Watched) -> None:
    """The engine is killed while rows come; then it refuses one row, and inserts of one table."""
    system = watched.system
    watched.until_idle()
    system.client().command(
        f"ALTER TABLE receipts.messages ADD CONSTRAINT ours CHECK recipient != '{REFUSED}'"
    )
    system.kill_engine()
    asyncio.run(produce(system, refused_row(system.settings.partitions)))
    watched.until("sink-1", "receipts_sink_insert_failures_total", "unavailable")
    system.publish(500, seed=22, name="without ClickHouse")
    watched.until("sink-1", "receipts_sink_waiting_seconds", above=3)
    watched.until("sink-1", "receipts_lag_seconds", above=3)
    with paused(watched.broker):
        system.start_engine()
        watched.until("sink-1", "receipts_unacknowledged_records", what="the dead letter waits")
    client = system.client()
    client.command("ALTER TABLE receipts.messages DROP CONSTRAINT ours")
    change = "ALTER TABLE receipts.messages MODIFY SETTING parts_to_throw_insert = {}"
    client.command(change.format(1))
    system.publish(500, seed=23, name="refused")
    watched.until("sink-1", "receipts_clickhouse_rejected_inserts_total")
    client.command(change.format(3000))


def ignore_suppression(watched: Watched) -> None:
    """A number is suppressed, and its sender goes on."""
    system, at = watched.system, now_ms()
    number = "+46709999999"
    wish = {"account": "acme", "recipient": number, "action": "suppress", "at": at, "who": "eva"}
    value = msgspec.json.encode(wish).decode()
    key = f"acme/{number}"
    system.replay_lines([{"topic": "suppression-requests", "key": key, "value": value}])
    sent = {"account": "acme", "channel": "sms", "recipient": number}

    def counted() -> bool:
        watched.look()
        if any(watched.now["worker-1"]["receipts_sends_to_suppressed_total"].values()):
            return True
        name = f"ignores-{time.monotonic_ns()}"
        value = msgspec.json.encode({**sent, "message_id": name, "sent_at": now_ms()}).decode()
        system.replay_lines([{"topic": "sends", "key": f"acme/{name}", "value": value}])
        return False

    until(counted, "a send to a suppressed number is counted", PATIENCE_S)


def move_partitions(watched: Watched) -> None:
    """A second worker takes some partitions: the first shows them no longer."""
    watched.start("worker", "worker-2")

    def apart() -> bool:
        watched.look()
        pages = [watched.now.get(name, {}) for name in ("worker-1", "worker-2")]
        held = [set(page.get("receipts_states", {})) for page in pages]
        lags = [
            {of[:1] for of in page.get("receipts_lag_seconds", {})} for page in pages
        ]  # by partition
        return held == lags and all(held) and not held[0] & held[1]

    until(apart, "each worker shows its own partitions alone", PATIENCE_S)


def compare(watched: Watched) -> None:
    missing, zero = [], []
    for kind, seen in watched.seen.items():
        here = [metric for metric in TABLE if metric.where in (kind, "both")]
        known = {metric.name for metric in here}
        known |= {"process_", "python_"}  # of the client library
        foreign = {
            name
            for name in seen
            if name not in known and not name.startswith(("process_", "python_"))
        }
        assert foreign == set(), f"{kind} emits what the table lacks"
        for metric in here:
            value = value_of(metric, seen)
            if value is None:
                missing.append((kind, metric.name))
            elif not value and metric.name not in MAY_BE_ZERO:
                zero.append((kind, metric.name))
    assert (missing, zero) == ([], []), f"never shown: {missing}; only 0 shown: {zero}"
