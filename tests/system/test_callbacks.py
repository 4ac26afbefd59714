"""Callbacks of providers over real HTTP, through Kafka and the worker, into ClickHouse."""

import asyncio
import base64
import hmac
import json
import time
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlencode

import aiohttp
import pytest
from aiokafka import TopicPartition

from deploy.embedded.brokers import Broker, free_port
from models.callbacks import RawCallback
from models.correlation import decode
from models.keys import message_key, partition_of
from models.settings import Topic
from models.time import DAY_MS
from streams.kafka import clients
from streams.kafka.security import kafka_access
from tests.support.system import Process, System, running
from tests.support.waiting import until

TOKEN = "the auth token"
ENDPOINTS = """
public_url = "https://receipts.example.com"

[endpoints.twilio]
provider = "twilio"
account = "acme"
secrets = ["file:{folder}/token"]

[endpoints.gateway]
provider = "smpp"
account = "acme"
unverified = true
ids = ["hex-sent"]
zone = "UTC"
"""
PUBLIC = "https://receipts.example.com"


class Callbacks:
    """A system with endpoints, and what calls it."""

    def __init__(self, system: System) -> None:
        self.system = system
        self.port = free_port()
        self.answered = 0

    def listen(self, name: str = "listen") -> Process:
        return self.system.process("listen", name).wait_ready()

    def post(self, calls: list[tuple[str, bytes, dict[str, str]]]) -> list[int]:
        """The answers to (path, body, headers), in order; 0: none came."""
        return asyncio.run(self._post(calls))

    async def _post(self, calls: list[tuple[str, bytes, dict[str, str]]]) -> list[int]:
        gate = asyncio.Semaphore(50)

        async def one(path: str, body: bytes, headers: dict[str, str]) -> int:
            async with gate:
                try:
                    url = f"http://127.0.0.1:{self.port}{path}"
                    async with http.post(url, data=body, headers=headers) as answer:
                        self.answered += 1
                        return answer.status
                except aiohttp.ClientError:
                    return 0

        async with aiohttp.ClientSession() as http:
            return list(await asyncio.gather(*(one(*call) for call in calls)))

    def publish(self, topic: str, *events: dict[str, Any]) -> None:
        """Events of upstream services."""
        asyncio.run(self._publish(topic, events))

    async def _publish(self, topic: str, events: tuple[dict[str, Any], ...]) -> None:
        records = []
        for event in events:
            key = message_key(event["account"], event["message_id"])
            home = partition_of(key, self.system.settings.partitions)
            records.append((key, json.dumps(event).encode(), home, []))
        await self.produce(topic, records)

    async def produce(self, topic: str, records: list[tuple[Any, bytes, int, list[Any]]]) -> None:
        """Records: key, value, partition and headers."""
        settings = self.system.settings
        producer = clients.producer(kafka_access(settings))
        await producer.start()
        try:
            for key, value, home, headers in records:
                name = settings.topic(topic)  # type: ignore[arg-type]
                await producer.send(name, value, key, home, headers=headers)
        finally:
            await producer.stop()

    def publish_callback(self, endpoint: str, body: bytes, at_ms: int) -> None:
        """As a gateway does that nobody calls."""
        asyncio.run(self._publish_callback(RawCallback(body, endpoint, received_at=at_ms), at_ms))

    async def _publish_callback(self, raw: RawCallback, at_ms: int) -> None:
        settings = self.system.settings
        async with clients.producer(kafka_access(settings)) as producer:
            await producer.send_and_wait(
                settings.topic("callbacks"), raw.body, timestamp_ms=at_ms, headers=raw.headers()
            )

    def read(self, topic: Topic) -> list[tuple[bytes | None, bytes]]:
        """Keys and values of all records of a topic, in the order of their partitions."""
        return asyncio.run(self._read(topic))

    async def _read(self, name: Topic) -> list[tuple[bytes | None, bytes]]:
        topic = self.system.settings.topic(name)
        consumer = clients.consumer(kafka_access(self.system.settings))
        await consumer.start()
        try:
            count = self.system.settings.partitions
            tps = [TopicPartition(topic, number) for number in range(count)]
            consumer.assign(tps)
            ends = await consumer.end_offsets(tps)
            await consumer.seek_to_beginning(*tps)
            found: list[tuple[bytes | None, bytes]] = []
            while any([await consumer.position(tp) < ends[tp] for tp in tps]):
                for records in (await consumer.getmany(timeout_ms=500)).values():
                    found += [(record.key, record.value or b"") for record in records]
            return found
        finally:
            await consumer.stop()

    def statuses(self) -> dict[str, tuple[str, str]]:
        """Outcome and reason of each message."""
        query = "SELECT message_id, outcome, ifNull(fail_reason, '') FROM messages_current"
        rows = self.system.client().query(query).result_rows
        return {message_id: (outcome, reason) for message_id, outcome, reason in rows}


@pytest.fixture
def callbacks(strongest_broker: Broker, prefix: str, tmp_path: Path) -> Iterator[Callbacks]:
    (tmp_path / "token").write_text(TOKEN)
    file = tmp_path / "endpoints.toml"
    file.write_text(ENDPOINTS.format(folder=tmp_path))
    port = free_port()
    login = {"endpoints": str(file), "listen_port": port}
    with running(strongest_broker.bootstrap, prefix, tmp_path, lambda _: login) as system:
        system.settings = system.settings.model_copy(update=login)
        found = Callbacks(system)
        found.port = port
        yield found


def twilio(
    sid: str,
    status: str = "delivered",
    path: str = "/callbacks/twilio",
    token: str = TOKEN,
    **more: str,
) -> tuple[str, bytes, dict[str, str]]:
    """A signed callback."""
    fields = {"MessageSid": sid, "MessageStatus": status, **more}
    text = PUBLIC + path + "".join(name + value for name, value in sorted(fields.items()))
    signature = base64.b64encode(hmac.new(token.encode(), text.encode(), "sha1").digest()).decode()
    kind = "application/x-www-form-urlencoded"
    return path, urlencode(fields).encode(), {"X-Twilio-Signature": signature, "Content-Type": kind}


def send(message_id: str, **more: Any) -> dict[str, Any]:
    now = time.time_ns() // 1_000_000
    event = {"account": "acme", "message_id": message_id, "channel": "sms", "sent_at": now}
    return {**event, "recipient": "+447700900123", "provider": "twilio", **more}


def test_callbacks_become_outcomes_of_their_messages(callbacks: Callbacks) -> None:
    system = callbacks.system
    for process in (system.process("worker"), system.process("sink")):
        process.wait_ready()
    listening = callbacks.listen()
    early = callbacks.post([twilio("SM-early"), twilio("SM-early", "sent")])
    sends = [send(f"m{number}", provider_message_id=f"SM{number}") for number in range(3)]
    callbacks.publish("sends", *sends, send("early"), send("named"))
    callbacks.publish("sends", send("hex", provider="gateway", provider_message_id="33E95179"))
    named = twilio("SM-x", "undelivered", "/callbacks/twilio/acme/named/1", ErrorCode="30005")
    answers = callbacks.post(
        [
            twilio("SM0"),
            twilio("SM0"),
            twilio("SM1", "read"),
            twilio("SM2", "failed", ErrorCode="21610"),
            named,
            twilio("SM0", "failed", token="forged"),
            ("/callbacks/gateway", b"id:870928761 stat:DELIVRD err:000", {}),
            ("/callbacks/gateway", b"id:1 err:000", {}),
        ]
    )
    link = {"account": "acme", "provider": "twilio", "provider_message_id": "SM-early"}
    callbacks.publish("provider-ids", {**link, "message_id": "early"})
    assert early == [204, 204]
    assert answers == [204, 204, 204, 204, 204, 403, 200, 200]
    expected = {
        "m0": ("delivered", ""),
        "m1": ("read", ""),
        "m2": ("rejected", "opted out"),
        "early": ("delivered", ""),
        "named": ("undelivered_hard", "unknown subscriber"),
        "hex": ("delivered", ""),
    }
    until(lambda: callbacks.statuses() == expected, "outcomes of all messages", 60)
    taken = listening.samples(
        "receipts_callbacks_total", "receipts_callback_seconds_count", "receipts_callbacks_waiting"
    )
    assert taken["receipts_callbacks_total"] == taken["receipts_callback_seconds_count"] == 10
    assert taken["receipts_callbacks_waiting"] == 0
    until(lambda: system.rows("dead_letters") == 1, "the receipt without a status", 30)


def test_a_receipt_without_its_message_is_shown_until_it_is_found(callbacks: Callbacks) -> None:
    """A callback that has waited for days, as when it is read again."""
    system = callbacks.system
    for process in (system.process("worker"), system.process("sink")):
        process.wait_ready()
    past = time.time_ns() // 1_000_000 - 4 * DAY_MS
    body = b"id:870928761 stat:DELIVRD err:000"
    raw = RawCallback(body, "gateway", "", "", "", past, "")
    callbacks.publish("sends", send("late", provider="gateway"))
    asyncio.run(callbacks.produce("callbacks", [(None, body, 0, list(raw.headers()))]))
    query = (
        "SELECT endpoint, provider_message_id, status, provider_status, "
        "toUnixTimestamp64Milli(received_at), found, message_id FROM unmatched_receipts"
    )

    def shown(found: bool) -> bool:
        about = ("gateway", "870928761", "delivered", "DELIVRD", past)
        rows = system.client().query(query).result_rows
        return [tuple(row) for row in rows] == [(*about, found, "late" if found else "")]

    until(lambda: shown(False), "it is reported", 60)
    link = {"account": "acme", "provider": "gateway", "provider_message_id": "33E95179"}
    callbacks.publish("provider-ids", {**link, "message_id": "late"})
    until(lambda: shown(True), "it is found after all", 60)
    until(lambda: callbacks.statuses() == {"late": ("delivered", "")}, "its message has it", 60)


def test_nothing_that_was_accepted_is_lost_by_kill_9(callbacks: Callbacks) -> None:
    system = callbacks.system
    system.process("sink").wait_ready()
    first_worker = system.process("worker", "worker-1").wait_ready()
    listening = callbacks.listen("listen-1")
    names = [f"k{number}" for number in range(600)]
    callbacks.publish("sends", *(send(name) for name in names))
    calls = {name: twilio(f"SM-{name}", path=f"/callbacks/twilio/acme/{name}") for name in names}
    accepted: Counter[str] = Counter()

    async def flood() -> None:
        first = asyncio.create_task(callbacks._post([calls[name] for name in names[:400]]))
        while callbacks.answered < 50:
            await asyncio.sleep(0.002)
        listening.kill()
        for name, status in zip(names, await first, strict=False):
            accepted[name] += status == 204

    asyncio.run(flood())
    assert 0 < accepted.total() < 400, "it was killed in the middle"
    callbacks.listen("listen-2")
    first_worker.kill()
    rest = [name for name in names if not accepted[name]]
    for name, status in zip(rest, callbacks.post([calls[name] for name in rest]), strict=True):
        accepted[name] += status == 204
    assert accepted.total() == len(names)
    system.process("worker", "worker-2").wait_ready()
    bodies = {value for _, value in callbacks.read("callbacks")}
    assert all(calls[name][1] in bodies for name in names)

    def arrived() -> bool:
        outcomes = Counter(outcome for outcome, _ in callbacks.statuses().values())
        return outcomes == {"delivered": len(names)}

    until(arrived, "every message is delivered", 60)


#: What becomes of a callback, by the kind of callback.
PLACES = {"named": "joined", "found": "joined", "unknown": "waiting", "broken": "dead letter",
          "inbound": "no receipt"}  # fmt: skip


def _call(number: int) -> tuple[str, tuple[str, bytes, dict[str, str]]]:
    """Kind and callback, whose id is the number's."""
    kind, sid = list(PLACES)[number % len(PLACES)], f"SM-{number}"
    path = f"/callbacks/twilio/acme/{number}" if kind == "named" else "/callbacks/twilio"
    status = {"broken": "", "inbound": "received"}.get(kind, "delivered")
    return kind, twilio(sid, status, path)


def test_every_accepted_callback_is_in_one_place(callbacks: Callbacks) -> None:
    """Worker and sink are killed while all kinds of callbacks come."""
    system = callbacks.system
    killed = [system.process(kind, f"{kind}-1").wait_ready() for kind in ("sink", "worker")]
    callbacks.listen()
    count = 500
    calls = [_call(number) for number in range(count)]
    callbacks.publish("sends", *(send(str(number)) for number in range(0, count, 5)))

    async def flood() -> list[int]:
        async def kill() -> None:
            for at, process in zip((100, 200), killed, strict=True):
                while callbacks.answered < at:
                    await asyncio.sleep(0.002)
                process.kill()

        answers, _ = await asyncio.gather(callbacks._post([call for _, call in calls]), kill())
        return answers

    assert asyncio.run(flood()) == [204] * count, "Kafka is there, all else may be away"
    old = time.time_ns() // 1_000_000 - 4 * DAY_MS
    for number in range(5):
        callbacks.publish_callback("gateway", b"id:OLD-%d stat:DELIVRD" % number, old)
    for kind in ("worker", "sink"):
        system.process(kind, f"{kind}-2").wait_ready()
    found = [number for number, (kind, _) in enumerate(calls) if kind == "found"]
    sends = [send(str(number), provider_message_id=f"SM-{number}") for number in found]
    callbacks.publish("sends", *sends)

    expected = {f"SM-{number}": PLACES[kind] for number, (kind, _) in enumerate(calls)}
    expected |= {f"OLD-{number}": "unmatched" for number in range(5)}
    places = {sid: {place} - {"no receipt"} for sid, place in expected.items()}
    until(lambda: _places(callbacks, expected) == places, "each callback has its place", 90)
    delivered = {str(number) for number, (kind, _) in enumerate(calls) if PLACES[kind] == "joined"}

    def in_clickhouse() -> bool:
        outcomes = callbacks.statuses()
        found = {message for message, (outcome, _) in outcomes.items() if outcome == "delivered"}
        return found == delivered == outcomes.keys() and system.rows("dead_letters") == count // 5

    until(in_clickhouse, "messages and dead letters are in ClickHouse", 60)


def _places(callbacks: Callbacks, names: Iterable[str]) -> dict[str, set[str]]:
    """Where each id is; a callback that has no receipt is nowhere."""
    found: dict[str, set[str]] = {name: set() for name in names}
    for _, value in callbacks.read("receipts"):
        found[json.loads(value)["provider_message_id"]].add("joined")
    for _, value in callbacks.read("dead-letters"):
        found[parse_qs(value.decode())["MessageSid"][0]].add("dead letter")
    unmatched = {json.loads(value)["provider_message_id"]
                 for _, value in callbacks.read("unmatched-receipts")}  # fmt: skip
    for sid in unmatched:
        found[sid].add("unmatched")
    for value in dict(callbacks.read("provider-correlations")).values():
        for receipt in decode(value).waiting if value else ():
            if receipt.provider_message_id not in unmatched:
                found[receipt.provider_message_id].add("waiting")
    return found
