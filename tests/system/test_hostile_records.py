"""Nothing that a real Kafka takes from a producer stops worker or sink, nor is it lost.

One installation lives through all of it; the last test starts it again on what was left behind.
"""

from __future__ import annotations

import asyncio
import json
import os
import time
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition

from deploy.embedded.brokers import Broker
from models.keys import partition_of
from models.settings import Settings
from sinks.rows import TOPICS
from tests.support.kafka_batches import CODECS, RawName, batch, packed, produce_raw
from tests.support.lag import lag
from tests.support.system import System, running
from tests.support.waiting import until

pytestmark = [pytest.mark.kafka, pytest.mark.slow]

PARTITIONS = 4
INPUT = ("sends", "receipts", "engagements", "campaigns", "accounts", "suppression-requests")
RESTORED = ("message-states", "status-counters", "suppressions")
SINK_TOPICS = tuple(topic for topic in TOPICS if topic in Settings().topics)
WORKER_TOPICS = ("sends", "receipts", "engagements", "strikes", "suppression-requests")


class Installation:
    """Worker and sink on one broker, and the way to write what no client library would."""

    def __init__(self, system: System, broker: Broker) -> None:
        self.system = system
        self.broker = broker
        self.brokers = system.settings.brokers
        self.started = 0
        self.start()

    def start(self) -> None:
        self.started += 1
        self.worker = self.system.process("worker", f"worker-{self.started}")
        self.sink = self.system.process("sink", f"sink-{self.started}")
        self.worker.wait_ready()
        self.sink.wait_ready()

    def stop(self) -> None:
        for process in (self.worker, self.sink):
            assert process.child.stop() == 0, process.child.tail()

    def topic(self, name: str) -> str:
        return self.system.settings.topic_prefix + name

    def raw(self, topic: str, partition: int, data: bytes) -> int:
        """Send a batch as it is; its first offset."""
        return asyncio.run(produce_raw(self.brokers, self.topic(topic), partition, data))

    def until(self, true: Callable[[], bool], what: str) -> None:
        """Wait, as long as both processes live."""

        def checked() -> bool:
            for process in (self.worker, self.sink):
                process.child.check()
            return true()

        until(checked, what, 40)

    def query(self, sql: str) -> list[Any]:
        return list(self.system.client().query(sql).result_rows)

    def delivered(self, *message_ids: str) -> None:
        """Wait until the messages are delivered in ClickHouse: both processes go on."""
        names = ", ".join(f"'{name}'" for name in message_ids)
        sql = f"SELECT status FROM messages_current WHERE message_id IN ({names})"
        self.until(lambda: self.query(sql) == [("delivered",)] * len(message_ids), names)

    def letter(self, topic: str, partition: int, offset: int) -> dict[str, Any]:
        """The dead letter of a place, once ClickHouse has it."""
        columns = "reason, detail, hex(key), hex(value)"
        sql = (
            f"SELECT {columns} FROM dead_letters WHERE topic = '{self.topic(topic)}' "
            f"AND partition = {partition} AND offset = {offset}"
        )
        self.until(lambda: len(self.query(sql)) == 1, f"{topic}[{partition}] {offset}")
        reason, detail, key, value = self.query(sql)[0]
        return {
            "reason": reason,
            "detail": detail,
            "key": bytes.fromhex(key or ""),
            "value": bytes.fromhex(value),
        }


@pytest.fixture(scope="module")
def installation(
    kafka_broker: Broker, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Installation]:
    prefix = f"hostile{os.getpid()}."
    with running(kafka_broker.bootstrap, prefix, tmp_path_factory.mktemp("hostile")) as system:
        yield Installation(system, kafka_broker)


def now_ms() -> int:
    return time.time_ns() // 1_000_000


def instant(at_ms: int) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(at_ms / 1000)) + "Z"


def event(topic: str, message_id: str) -> bytes:
    """A valid event of a message."""
    at = instant(now_ms())
    facts: dict[str, dict[str, Any]] = {
        "sends": {"channel": "sms", "recipient": "+4915112345678", "sent_at": at},
        "receipts": {"status": "delivered", "occurred_at": at},
        "engagements": {"event_id": message_id, "type": "click", "occurred_at": at},
    }
    fields = {"account": "acme", "message_id": message_id, **facts[topic]}
    return json.dumps(fields).encode()


def key_of(message_id: str) -> bytes:
    return f"acme/{message_id}".encode()


def home(message_id: str) -> int:
    return partition_of(key_of(message_id), PARTITIONS)


def publish(installation: Installation, message_id: str, codec: int = 0) -> None:
    """A delivered message, its batches packed by a codec."""
    for topic in ("sends", "receipts", "engagements"):
        content = (key_of(message_id), event(topic, message_id), ())
        data = packed(batch(0, [content], timestamp_ms=now_ms()), codec)
        installation.raw(topic, home(message_id), data)


@pytest.mark.parametrize("codec", CODECS.values(), ids=CODECS)
def test_every_codec_is_read_from_every_topic(installation: Installation, codec: int) -> None:
    publish(installation, f"codec-{codec}", codec)
    account = json.dumps({"account": f"codec-{codec}", "strike_limit": 2}).encode()
    content = (f"codec-{codec}".encode(), account, ())
    installation.raw("accounts", 0, packed(batch(0, [content], timestamp_ms=now_ms()), codec))
    installation.delivered(f"codec-{codec}")
    sql = f"SELECT strike_limit FROM accounts_current WHERE account = 'codec-{codec}'"
    installation.until(lambda: installation.query(sql) == [(2,)], "the account's settings")


@pytest.mark.parametrize("topic", INPUT)
def test_what_unpacks_to_more_than_dead_letters_take_is_kept_by_its_beginning(
    installation: Installation, topic: str
) -> None:
    value = b'{"account":"acme","text":"' + b"a" * 5_000_000 + b'"}'
    data = packed(batch(0, [(b"acme/huge", value, ())], timestamp_ms=now_ms()), CODECS["gzip"])
    letter = installation.letter(topic, 1, installation.raw(topic, 1, data))
    assert letter["reason"] == "oversized"
    assert f"value: {len(value)} bytes" in letter["detail"]
    assert sha256(value).hexdigest() in letter["detail"]
    assert letter["key"] == b"acme/huge" and letter["value"] == value[:65_536]


@pytest.mark.parametrize("topic", INPUT)
def test_a_key_that_unpacks_to_more_than_dead_letters_take(
    installation: Installation, topic: str
) -> None:
    key = b"k" * 3_000_000
    data = packed(batch(0, [(key, b"{}", ())], timestamp_ms=now_ms()), CODECS["zstd"])
    letter = installation.letter(topic, 2, installation.raw(topic, 2, data))
    assert letter["reason"] == "oversized" and sha256(key).hexdigest() in letter["detail"]
    assert letter["key"] == key[:65_536] and letter["value"] == b"{}"


@pytest.mark.parametrize("topic", INPUT)
def test_a_header_name_that_is_not_utf8(installation: Installation, topic: str) -> None:
    content = (b"acme/header", b"{}", [(RawName(b"\xff\xfe!"), b"1")])
    data = batch(0, [content], timestamp_ms=now_ms())
    letter = installation.letter(topic, 3, installation.raw(topic, 3, data))
    assert letter["reason"] == "unreadable" and "not UTF-8" in letter["detail"]
    assert letter["key"] == b"acme/header" and letter["value"] == b"{}"
    publish(installation, f"header-{topic}")
    installation.delivered(f"header-{topic}")


@pytest.mark.parametrize("topic", RESTORED)
def test_garbage_on_topics_that_are_restored_or_followed(
    installation: Installation, topic: str
) -> None:
    garbage = (b"acme/garbage", b"\xc1garbage", ())
    offset = installation.raw(topic, 0, batch(0, [garbage], timestamp_ms=now_ms()))
    letter = installation.letter(topic, 0, offset)
    assert letter["value"] == b"\xc1garbage"
    content = (b"acme/named", b"{}", [(RawName(b"\xff\xfe!"), b"1")])
    named = batch(0, [content], timestamp_ms=now_ms())
    letter = installation.letter(topic, 0, installation.raw(topic, 0, named))
    assert letter["reason"] == "unreadable"


def test_garbage_over_a_state_that_is_known(installation: Installation) -> None:
    """What the worker knows of the message is not lost with the record that overwrote it."""
    publish(installation, "overwritten")
    installation.delivered("overwritten")
    key = key_of("overwritten")
    garbage = batch(0, [(key, b"\xc1", ())], timestamp_ms=now_ms())
    offset = installation.raw("message-states", home("overwritten"), garbage)
    letter = installation.letter("message-states", home("overwritten"), offset)
    assert letter["key"] == key and letter["value"] == b"\xc1"


def test_transactions(installation: Installation) -> None:
    asyncio.run(_transactions(installation))
    names = [f"committed-{n}" for n in range(20)]
    installation.delivered(*names)

    def aborted() -> int:
        sql = "SELECT count() FROM messages_current WHERE message_id LIKE 'aborted-%'"
        return int(installation.query(sql)[0][0])

    assert aborted() == 0
    settings = installation.system.settings
    for group, topics in ((settings.app_id, WORKER_TOPICS), (settings.sink_group, SINK_TOPICS)):
        installation.until(partial(no_lag, installation, group, topics), f"{group} has no lag")
    assert aborted() == 0, "also when all of it was read"


async def _transactions(installation: Installation) -> None:
    producer = AIOKafkaProducer(
        bootstrap_servers=installation.brokers, transactional_id=installation.topic("tx")
    )
    await producer.start()
    try:
        for word, commit in (("aborted", False), ("committed", True), ("aborted", False)):
            await producer.begin_transaction()
            for n in range(20):
                name = f"{word}-{n}"
                for topic in ("sends", "receipts"):
                    await producer.send_and_wait(
                        installation.topic(topic), event(topic, name), key_of(name), home(name)
                    )
            await (producer.commit_transaction() if commit else producer.abort_transaction())
        await producer.begin_transaction()
        name = "open"
        for topic in ("sends", "receipts"):
            await producer.send_and_wait(
                installation.topic(topic), event(topic, name), key_of(name), home(name)
            )
        await asyncio.sleep(2)
        sql = "SELECT count() FROM messages_current WHERE message_id = 'open'"
        assert installation.query(sql) == [(0,)], "an open transaction is waited for"
        await producer.commit_transaction()
    finally:
        await producer.stop()
    installation.delivered("open")


def no_lag(installation: Installation, group: str, topics: Sequence[str]) -> bool:
    """Whether a group has committed up to the ends of these topics."""
    names = [installation.topic(topic) for topic in topics]
    return asyncio.run(lag(installation.brokers, group, names, PARTITIONS)) == 0


def test_a_start_on_all_of_it(installation: Installation) -> None:
    """Restores and followers read all of the garbage again, from the beginning; and so do the
    groups, whose offsets lie beyond the ends as after an unclean election."""
    installation.stop()
    damaged = damage_on_disk(installation, "sends", partition=1)
    settings = installation.system.settings
    for group, topics in ((settings.app_id, WORKER_TOPICS), (settings.sink_group, SINK_TOPICS)):
        asyncio.run(commit_beyond_the_end(installation, group, topics))
    installation.start()
    letter = installation.letter("sends", 1, damaged)
    assert letter["reason"] == "unreadable" and "checksum" in letter["detail"]
    assert b"m-dxmaged" in letter["value"]
    stepped_over = installation.worker.value("receipts_unreadable_records_total")
    assert stepped_over >= 2 * len(RESTORED) + 1
    publish(installation, "after")
    installation.delivered("after", "overwritten")
    receipt = json.loads(event("receipts", "overwritten")) | {"status": "read"}
    content = (key_of("overwritten"), json.dumps(receipt).encode(), ())
    installation.raw("receipts", home("overwritten"), batch(0, [content], timestamp_ms=now_ms()))
    sql = "SELECT status, recipient FROM messages_current WHERE message_id = 'overwritten'"
    installation.until(
        lambda: installation.query(sql) == [("read", "+4915112345678")], "the state is whole"
    )
    log = Path(installation.worker.child.log).read_text()
    for topic in RESTORED:
        assert f"topic {installation.topic(topic)}, partition 0, offset " in log


def damage_on_disk(installation: Installation, topic: str, partition: int) -> int:
    """A batch whose bytes change on the broker's disk; its offset."""
    content = (b"acme/m-damaged", event(topic, "m-damaged"), ())
    offset = installation.raw(topic, partition, batch(0, [content], timestamp_ms=now_ms()))
    folder = installation.broker.home / "data" / f"{installation.topic(topic)}-{partition}"
    (segment,) = folder.glob("*.log")
    data = segment.read_bytes()
    assert data.count(b'"m-damaged') == 1
    with segment.open("r+b") as log:
        log.seek(data.index(b'"m-damaged') + len(b'"m-d'))
        log.write(b"x")
    return offset


async def commit_beyond_the_end(
    installation: Installation, group: str, topics: Sequence[str]
) -> None:
    """Set the offsets of a group without members to where no record is."""
    consumer = AIOKafkaConsumer(bootstrap_servers=installation.brokers, group_id=group)
    await consumer.start()
    try:
        places = [
            TopicPartition(installation.topic(topic), n)
            for topic in topics
            for n in range(PARTITIONS)
        ]
        consumer.assign(places)
        await consumer.commit(dict.fromkeys(places, 1_000_000))
    finally:
        await consumer.stop()
