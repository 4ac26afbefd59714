"""Amazon SNS over a real TLS connection: certificates that sign, and confirmed subscriptions."""

import asyncio
import base64
import json
import ssl
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import generate_private_key
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID

from models.endpoints import Endpoint
from models.signatures import Fault
from streams.listen import sns
from streams.listen.app import Unavailable
from streams.listen.sns import MAX_ANSWER_BYTES, MAX_FETCHES, SnsMessages, fetch
from tests.support.certificates import Authority

TOPIC = "arn:aws:sns:eu-west-1:123456789012:receipts"
KEY = generate_private_key(65537, 2048)


def _pem() -> bytes:
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "sns.amazonaws.com")])
    now = datetime.now(UTC)
    builder = x509.CertificateBuilder().subject_name(name).issuer_name(name)
    builder = builder.public_key(KEY.public_key()).serial_number(1)
    builder = builder.not_valid_before(now - timedelta(1)).not_valid_after(now + timedelta(1))
    return builder.sign(KEY, SHA256()).public_bytes(Encoding.PEM)


class Amazon:
    """A server of certificates and confirmations. url: of it; asked: paths, in order"""

    def __init__(self) -> None:
        self.url = ""
        self.requests: list[str] = []
        self.status = 200
        self.content = _pem()
        self.released = asyncio.Event()
        self.released.set()

    async def answer(self, request: web.Request) -> web.StreamResponse:
        self.requests.append(request.path_qs)
        await self.released.wait()
        if self.status == 302:
            raise web.HTTPFound("/elsewhere")
        response = web.StreamResponse(status=self.status)
        await response.prepare(request)
        half = len(self.content) // 2
        for part in (self.content[:half], self.content[half:]):  # a certificate comes in pieces
            await response.write(part)
            await asyncio.sleep(0.02)
        return response

    def message(self, kind: str = "Notification", **changes: str) -> dict[str, Any]:
        """Signed, then changed."""
        message = {
            "Type": kind, "MessageId": "1", "TopicArn": TOPIC, "Message": "{}",
            "Timestamp": "2026-09-01T12:00:00.000Z", "SignatureVersion": "2",
            "SigningCertURL": f"{self.url}/SimpleNotificationService-a.pem",
        }  # fmt: skip
        names = ["Message", "MessageId", "Timestamp", "TopicArn", "Type"]
        if kind != "Notification":
            message |= {"SubscribeURL": f"{self.url}/?Action=ConfirmSubscription", "Token": "t"}
            names = ["Message", "MessageId", "SubscribeURL", "Timestamp", "Token", "TopicArn",
                     "Type"]  # fmt: skip
        lines = "".join(f"{name}\n{message[name]}\n" for name in names).encode()
        signature = base64.b64encode(KEY.sign(lines, PKCS1v15(), SHA256())).decode()
        return {**message, "Signature": signature, **changes}


@pytest.fixture
async def amazon(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Amazon]:
    found, authority = Amazon(), Authority(tmp_path)
    served = authority.issue("amazon", "127.0.0.1")
    tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    tls.load_cert_chain(served.cert, served.key)
    app = web.Application()
    app.router.add_get("/{path:.*}", found.answer)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0, ssl_context=tls).start()
    found.url = f"https://127.0.0.1:{runner.addresses[0][1]}"
    monkeypatch.setattr(sns, "is_amazons", lambda url: url.startswith(found.url + "/"))
    monkeypatch.setattr(
        sns, "is_certificate_url", lambda url: url.startswith(found.url + "/Simple")
    )
    trusted = ssl.create_default_context(cafile=str(authority.cafile))
    monkeypatch.setattr(sns, "fetch", partial(fetch, tls=trusted))
    yield found
    found.released.set()
    await runner.cleanup()


@pytest.fixture
def messages(amazon: Amazon) -> SnsMessages:
    return SnsMessages(sns.fetch)


def endpoint(confirms: bool = True) -> Endpoint:
    return Endpoint(
        provider="aws", account="acme", topic_arns=[TOPIC], confirm_subscriptions=confirms
    )


async def test_a_certificate_is_fetched_whole_and_once(
    amazon: Amazon, messages: SnsMessages
) -> None:
    for _ in range(3):
        assert await messages.fault(amazon.message(), endpoint()) is None
    assert amazon.requests == ["/SimpleNotificationService-a.pem"]
    wrong = amazon.message(Message='{"a":1}')
    assert await messages.fault(wrong, endpoint()) is Fault.WRONG


async def test_what_is_not_of_our_topics_fetches_nothing(
    amazon: Amazon, messages: SnsMessages
) -> None:
    for changes in (
        {"TopicArn": TOPIC + "x"},
        {"SigningCertURL": "https://example.com/SimpleNotificationService-a.pem"},
    ):
        message = amazon.message(**changes)
        assert await messages.fault(message, endpoint()) is Fault.WRONG
    assert await messages.fault(amazon.message(Signature=""), endpoint()) is Fault.MISSING
    assert amazon.requests == []


@pytest.mark.parametrize(
    ("status", "content"),
    [(404, b""), (302, b""), (200, b"an error page"), (200, b"x" * (MAX_ANSWER_BYTES + 1))],
)
async def test_what_is_not_a_certificate_is_not_kept(
    amazon: Amazon, messages: SnsMessages, status: int, content: bytes
) -> None:
    good = amazon.content
    amazon.status, amazon.content = status, content
    with pytest.raises(Unavailable):
        await messages.fault(amazon.message(), endpoint())
    assert not any("elsewhere" in path for path in amazon.requests), "a redirect is not followed"
    amazon.status, amazon.content = 200, good
    assert await messages.fault(amazon.message(), endpoint()) is None


async def test_an_authority_that_is_not_trusted(amazon: Amazon) -> None:
    with pytest.raises(Unavailable):
        await SnsMessages(fetch).fault(amazon.message(), endpoint())
    assert amazon.requests == []


async def test_few_requests_at_a_time(amazon: Amazon, messages: SnsMessages) -> None:
    """Before a message is verified, anyone may cause them."""
    amazon.released.clear()
    forged = [
        amazon.message(SigningCertURL=f"{amazon.url}/SimpleNotificationService-{number}.pem")
        for number in range(MAX_FETCHES * 3)
    ]
    calls = [asyncio.create_task(messages.fault(each, endpoint())) for each in forged]
    refused, waiting = await asyncio.wait(calls, timeout=5, return_when=asyncio.FIRST_COMPLETED)
    while len(refused) < MAX_FETCHES * 2:
        more, waiting = await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
        refused |= more
    assert all(isinstance(call.exception(), Unavailable) for call in refused)
    amazon.released.set()
    await asyncio.gather(*waiting)
    assert len(amazon.requests) == MAX_FETCHES


async def test_a_subscription_is_confirmed(amazon: Amazon, messages: SnsMessages) -> None:
    message = amazon.message("SubscriptionConfirmation")
    assert await messages.fault(message, endpoint()) is None
    assert await messages.confirm(message, endpoint())
    assert amazon.requests[-1] == "/?Action=ConfirmSubscription"
    amazon.status = 500
    with pytest.raises(Unavailable):
        await messages.confirm(message, endpoint())


async def test_what_confirms_nothing(
    amazon: Amazon, messages: SnsMessages, caplog: pytest.LogCaptureFixture
) -> None:
    assert not await messages.confirm(amazon.message(), endpoint())
    subscription = amazon.message("SubscriptionConfirmation")
    assert await messages.confirm(subscription, endpoint(confirms=False))
    assert "confirm_subscriptions = true" in caplog.text
    elsewhere = {**subscription, "SubscribeURL": "http://169.254.169.254/latest/meta-data"}
    assert await messages.confirm(elsewhere, endpoint())
    assert "no address of Amazon" in caplog.text
    assert await messages.confirm(amazon.message("UnsubscribeConfirmation"), endpoint())
    assert amazon.requests == []


def test_one_reader_of_messages() -> None:
    """Two could see different messages in the same bytes."""
    from models.providers.fields import object_in

    for body in (b"", b"[]", b"[" * 10_000, b"\xff", b'{"Type":'):
        assert object_in(body) == {}
    twice = b'{"TopicArn":"mine","TopicArn":"other"}'
    assert object_in(twice) == json.loads(twice)
