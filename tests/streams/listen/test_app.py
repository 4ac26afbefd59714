"""What providers get: 2xx once Kafka has the bytes, and nothing else for what is authentic."""

import asyncio
import base64
import gc
import hashlib
import hmac
import json
from collections.abc import Mapping
from ipaddress import ip_network
from typing import Any

import httpx2 as httpx
import pytest
from aiokafka.errors import KafkaConnectionError

from models.callbacks import RawCallback, raw_callback
from models.endpoints import Endpoint, read_endpoints
from models.signatures import Fault
from streams.listen import app
from streams.listen.app import Listener, OpenEndpoint, Unavailable
from streams.listen.inbox import Inbox
from tests.support.fakes import Meter

ENDPOINTS = """
public_url = "https://receipts.example.com/in"
trusted_proxies = ["10.0.0.0/8"]

[endpoints.twilio]
provider = "twilio"
account = "acme"
secrets = ["env:T"]

[endpoints.meta]
provider = "whatsapp"
account = "acme"
secrets = ["env:T"]
handshake_token = "env:T"

[endpoints.kannel]
provider = "kannel"
account = "acme"
unverified = true
allow_ips = ["192.0.2.0/24"]

[endpoints.secret]
provider = "jasmin"
account = "acme"
verify = "path"
secrets = ["env:T"]

[endpoints.sns]
provider = "aws"
account = "acme"
topic_arns = ["arn:aws:sns:eu-west-1:123456789012:receipts"]
"""
SECRET = "secret"
FORM = {"content-type": "application/x-www-form-urlencoded"}
BODY = b"MessageSid=SM1&MessageStatus=delivered"


class Producer:
    """Keeps what is sent; it can fail, or be slow."""

    def __init__(self) -> None:
        self.sent: list[RawCallback] = []
        self.error: Exception | None = None
        self.acknowledges = True
        self.waiting: list[asyncio.Future[None]] = []

    def acknowledge(self) -> None:
        """All that waits."""
        for future in self.waiting:
            future.set_result(None)

    async def send(self, topic: str, value: bytes, headers: Any) -> "asyncio.Future[None]":
        assert topic == "callbacks"
        if self.error:
            raise self.error
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        if self.acknowledges:
            done.set_result(None)
            self.sent.append(raw_callback(value, headers, -1))
        else:
            self.waiting.append(done)
        return done


class Sns:
    """Everything is authentic, unless a test changes that."""

    def __init__(self) -> None:
        self.found: Fault | None = None
        self.unavailable = False

    async def fault(self, message: Mapping[str, Any], endpoint: Endpoint) -> Fault | None:
        if self.unavailable:
            raise Unavailable
        return self.found

    async def confirm(self, message: Mapping[str, Any], endpoint: Endpoint) -> bool:
        if "away" in message:
            raise Unavailable
        return message.get("Type") == "SubscriptionConfirmation"


class World:
    def __init__(self) -> None:
        self.producer, self.meter, self.sns = Producer(), Meter(), Sns()
        file = read_endpoints(ENDPOINTS)
        opened = {
            name: OpenEndpoint.of(endpoint, (SECRET,), SECRET if endpoint.handshake_token else "")
            for name, endpoint in file.endpoints.items()
        }
        self.inbox = Inbox(self.producer, "callbacks", self.meter, timeout_s=0.05, max_waiting=3)
        self.app = Listener(file, opened, self.inbox, self.meter, self.sns, max_body=1_000)

    def trust(self, proxy: str) -> None:
        """Believe the header of a proxy."""
        self.app._trusted = (ip_network(proxy),)

    async def call(
        self,
        path: str,
        method: str = "POST",
        body: bytes = BODY,
        client: str = "192.0.2.1",
        **headers: str,
    ) -> httpx.Response:
        transport = httpx.ASGITransport(app=self.app, client=(client, 1))
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        async with httpx.AsyncClient(transport=transport, base_url="http://inside") as http:
            return await http.request(method, path, content=body, headers={**FORM, **named})

    def results(self) -> list[str]:
        counted = self.meter.sums
        return [labels[1] for name, labels in counted if name == "receipts_callbacks_total"]


@pytest.fixture
def world() -> World:
    return World()


def signed(url: str, body: bytes = BODY) -> str:
    fields = sorted(pair.split("=") for pair in body.decode().split("&"))
    message = url + "".join(name + value for name, value in fields)
    digest = hmac.new(SECRET.encode(), message.encode(), "sha1").digest()
    return base64.b64encode(digest).decode()


async def test_an_authentic_callback_is_kept_as_it_came(world: World) -> None:
    url = "/callbacks/twilio/acme/order%207/2?x=1"
    signature = signed("https://receipts.example.com/in" + url)
    answer = await world.call(url, x_twilio_signature=signature)
    assert (answer.status_code, answer.content) == (204, b"")
    (kept,) = world.producer.sent
    assert (kept.body, kept.endpoint, kept.verified) == (BODY, "twilio", "twilio")
    assert (kept.query, kept.reference) == ("x=1", "acme/order 7/2")
    assert kept.content_type == FORM["content-type"]
    assert kept.received_at > 1_700_000_000_000


async def test_the_host_of_the_request_does_not_matter(world: World) -> None:
    signature = signed("https://evil.example/callbacks/twilio")
    answer = await world.call(
        "/callbacks/twilio", host="evil.example", x_twilio_signature=signature
    )
    assert answer.status_code == 403
    assert world.producer.sent == []


async def test_what_is_not_authentic_is_not_kept(world: World) -> None:
    for headers in ({}, {"x_twilio_signature": "wrong"}):
        answer = await world.call("/callbacks/twilio", **headers)
        assert answer.status_code == 403
    assert world.producer.sent == []
    assert world.results() == ["signature_missing", "signature_wrong"]


@pytest.mark.parametrize(
    ("path", "method", "status"),
    [
        ("/callbacks/nobody", "POST", 404),
        ("/other", "POST", 404),
        ("/callbacks/kannel/one", "GET", 404),
        ("/callbacks/kannel/a/b/c/d", "GET", 404),
        ("/callbacks/kannel", "PUT", 405),
        ("/callbacks/kannel", "HEAD", 200),
        ("/callbacks/kannel", "GET", 200),
        ("/callbacks/secret/secret", "POST", 200),
        ("/callbacks/secret/wrong", "POST", 403),
        ("/callbacks/secret", "POST", 404),
    ],
)
async def test_addresses_and_methods(world: World, path: str, method: str, status: int) -> None:
    answer = await world.call(path, method, b"")
    assert answer.status_code == status
    assert len(world.producer.sent) == (status == 200 and method != "HEAD")


async def test_a_reference_in_the_query(world: World) -> None:
    await world.call("/callbacks/kannel?ref=acme%2Fm1&status=1", "GET", b"")
    assert world.producer.sent[0].reference == "acme/m1"


async def test_what_jasmin_wants_to_read(world: World) -> None:
    assert (await world.call("/callbacks/secret/secret")).text == "ACK/Jasmin"


async def test_the_handshake_of_meta(world: World) -> None:
    query = "hub.mode=subscribe&hub.challenge=1158201444&hub.verify_token="
    right = await world.call(f"/callbacks/meta?{query}{SECRET}", "GET", b"")
    assert (right.status_code, right.text) == (200, "1158201444")
    assert (await world.call(f"/callbacks/meta?{query}other", "GET", b"")).status_code == 403
    assert world.producer.sent == []


async def test_a_signature_over_bytes(world: World) -> None:
    body = json.dumps({"entry": []}).encode()
    digest = hmac.new(SECRET.encode(), body, hashlib.sha256).hexdigest()
    answer = await world.call("/callbacks/meta", body=body, x_hub_signature_256=f"sha256={digest}")
    assert (answer.status_code, world.producer.sent[0].body) == (200, body)


@pytest.mark.parametrize(
    ("client", "forwarded", "status"),
    [
        ("192.0.2.9", "", 200),
        ("198.51.100.1", "", 403),
        ("10.1.2.3", "192.0.2.9", 200),
        ("10.1.2.3", "192.0.2.9, 198.51.100.1", 403),
        ("10.1.2.3", "192.0.2.9, 10.9.9.9", 200),
        ("198.51.100.1", "192.0.2.9", 403),
        ("10.1.2.3", "nonsense", 403),
        ("::ffff:192.0.2.9", "", 200),
        ("::ffff:10.1.2.3", "192.0.2.9", 200),
        ("::ffff:198.51.100.1", "", 403),
    ],
)
async def test_who_may_call(world: World, client: str, forwarded: str, status: int) -> None:
    headers = {"x_forwarded_for": forwarded} if forwarded else {}
    answer = await world.call("/callbacks/kannel", "GET", b"", client=client, **headers)
    assert answer.status_code == status


async def test_proxies_that_add_headers_of_their_own(world: World) -> None:
    scope = {"headers": [(b"x-forwarded-for", b"192.0.2.9"), (b"x-forwarded-for", b"10.9.9.9")]}
    assert app._headers(scope)["x-forwarded-for"] == "192.0.2.9,10.9.9.9"


# --- Kafka ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("error", [KafkaConnectionError(), None])
async def test_kafka_is_away_or_slow(world: World, error: Exception | None) -> None:
    world.producer.error, world.producer.acknowledges = error, False
    answer = await world.call("/callbacks/kannel", "GET", b"")
    assert answer.status_code == 503
    assert int(answer.headers["retry-after"]) > 0


async def test_a_flood_is_sent_away_and_memory_stays_bounded(world: World) -> None:
    world.producer.acknowledges = False
    calls = [world.call("/callbacks/kannel", "GET", b"") for _ in range(20)]
    answers = await asyncio.gather(*calls)
    assert {answer.status_code for answer in answers} == {503}
    assert not world.inbox.is_full
    world.producer.acknowledges = True
    assert (await world.call("/callbacks/kannel", "GET", b"")).status_code == 200


async def test_a_body_that_is_too_large(world: World) -> None:
    assert (await world.call("/callbacks/kannel", body=b"x" * 1_001)).status_code == 413

    async def chunks() -> Any:
        for _ in range(11):
            yield b"x" * 100

    transport = httpx.ASGITransport(app=world.app, client=("192.0.2.1", 1))
    async with httpx.AsyncClient(transport=transport, base_url="http://inside") as http:
        answer = await http.post("/callbacks/kannel", content=chunks())
    assert answer.status_code == 413
    assert world.producer.sent == []


async def test_bodies_of_unknown_senders_are_bounded_together(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(app, "MAX_UNVERIFIED_BYTES", 2_500)
    more = asyncio.Event()

    async def slow() -> Any:
        yield b"x" * 900
        await more.wait()
        yield b"x" * 50

    transport = httpx.ASGITransport(app=world.app, client=("192.0.2.1", 1))
    async with httpx.AsyncClient(transport=transport, base_url="http://inside") as http:
        calls = [
            asyncio.create_task(http.post("/callbacks/kannel", content=slow())) for _ in range(3)
        ]
        done, _ = await asyncio.wait(calls, return_when=asyncio.FIRST_COMPLETED)
        assert [call.result().status_code for call in done] == [503]
        more.set()
        answers = await asyncio.gather(*calls)
        assert sorted(answer.status_code for answer in answers) == [200, 200, 503]
        again = await http.post("/callbacks/kannel", content=b"x" * 1_000)
        assert again.status_code == 200, "what was read is given back"


async def test_a_get_has_no_body(world: World) -> None:
    """A signature of a GET is over its URL alone, and adapters look at bodies first."""
    url = "/callbacks/twilio?MessageSid=SM1&MessageStatus=sent"
    signature = signed_url("https://receipts.example.com/in" + url)
    for body in (b"", b"MessageSid=SM1&MessageStatus=delivered", b'{"MessageSid":"SM2"}'):
        await world.call(url, "GET", body, x_twilio_signature=signature)
    assert [kept.body for kept in world.producer.sent] == [b"", b"", b""]


def signed_url(url: str) -> str:
    return base64.b64encode(hmac.new(SECRET.encode(), url.encode(), "sha1").digest()).decode()


async def test_a_reference_that_is_too_long_is_none(world: World) -> None:
    await world.call(f"/callbacks/kannel?ref=acme%2F{'m' * 300}", "GET", b"")
    assert world.producer.sent[0].reference == ""


async def test_what_kafka_refuses_after_the_answer_is_not_an_error_of_ours(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    world.producer.acknowledges = False
    assert (await world.call("/callbacks/kannel", "GET", b"")).status_code == 503
    for future in world.producer.waiting:
        future.set_exception(KafkaConnectionError())
    world.producer.waiting.clear()
    await asyncio.sleep(0)
    gc.collect()
    assert "KafkaConnectionError" not in caplog.text, "an exception that was never retrieved"


async def test_a_client_that_goes_away(world: World) -> None:
    sent: list[Any] = []

    async def receive() -> dict[str, Any]:
        return {"type": "http.disconnect"}

    async def send(message: Any) -> None:
        sent.append(message)

    scope = {
        "type": "http", "method": "POST", "path": "/callbacks/kannel", "query_string": b"",
        "raw_path": b"/callbacks/kannel", "headers": [], "client": ("192.0.2.1", 1),
    }  # fmt: skip
    await world.app(scope, receive, send)
    assert sent[0]["status"] == 400
    assert world.producer.sent == []


async def test_sns(world: World) -> None:
    confirmation = b'{"Type":"SubscriptionConfirmation"}'
    assert (await world.call("/callbacks/sns", body=confirmation)).status_code == 200
    assert world.producer.sent == []
    assert (await world.call("/callbacks/sns", body=b"{}")).status_code == 200
    assert len(world.producer.sent) == 1
    assert (await world.call("/callbacks/sns", body=b'{"away":1}')).status_code == 503
    world.sns.found = Fault.WRONG
    assert (await world.call("/callbacks/sns", body=b"{}")).status_code == 403
    world.sns.unavailable = True
    assert (await world.call("/callbacks/sns", body=b"{}")).status_code == 503
