"""The server under the application: limits, slow clients, an orderly end."""

import asyncio
import socket
import ssl
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from deploy.processes.tls import server_pair
from models.settings import Settings
from streams.listen import run
from streams.tls.reloading import for_server
from tests.streams.listen.test_app import World
from tests.support.certificates import Authority

REQUEST = b"GET /callbacks/kannel?status=1 HTTP/1.1\r\nhost: h\r\nx-forwarded-for: 192.0.2.1\r\n"


class Served:
    """The application on a port. stop: ends it"""

    def __init__(self, world: World, port: int, stop: asyncio.Event, serving: Any) -> None:
        self.world, self.port, self.stop, self.serving = world, port, stop, serving

    async def talk(self, *parts: bytes, pause_s: float = 0) -> bytes:
        """Send parts, then read until the server closes or has answered."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        try:
            for part in parts:
                writer.write(part)
                await writer.drain()
                await asyncio.sleep(pause_s)
            return await asyncio.wait_for(reader.read(200), 10)
        finally:
            writer.close()


@pytest.fixture
async def served(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Served]:
    monkeypatch.setattr(run, "HEADERS_S", 0.5)
    world, stop = World(), asyncio.Event()
    world.trust("127.0.0.1/32")
    with socket.create_server(("127.0.0.1", 0)) as bound:
        serving = asyncio.create_task(run.serve(world.app, bound, stop, None))
        found = Served(world, bound.getsockname()[1], stop, serving)
        yield found
        stop.set()
        await asyncio.wait_for(serving, 20)


async def test_a_callback_over_http(served: Served) -> None:
    answer = await served.talk(REQUEST + b"\r\n")
    assert answer.startswith(b"HTTP/1.1 200")
    assert served.world.producer.sent[0].query == "status=1"


@pytest.mark.parametrize(
    "headers",
    [b"".join(b"x-%d: 1\r\n" % number for number in range(200)), b"x: " + b"y" * 40_000 + b"\r\n"],
)
async def test_too_many_headers(served: Served, headers: bytes) -> None:
    answer = await served.talk(REQUEST + headers + b"\r\n")
    assert answer.startswith(b"HTTP/1.1 400")
    assert served.world.producer.sent == []


async def test_too_long_a_url(served: Served) -> None:
    answer = await served.talk(b"GET /callbacks/kannel?" + b"a" * 10_000 + b" HTTP/1.1\r\n\r\n")
    assert answer.startswith(b"HTTP/1.1 400")


async def test_a_client_whose_headers_never_end(served: Served) -> None:
    assert await served.talk(REQUEST, b"x: ", pause_s=0.1) == b""


async def test_requests_in_progress_are_finished(served: Served) -> None:
    producer = served.world.producer
    producer.acknowledges = False
    served.world.inbox._timeout_s = 5.0
    asking = asyncio.create_task(served.talk(REQUEST + b"\r\n"))
    while not producer.waiting:
        await asyncio.sleep(0.01)
    served.stop.set()
    await asyncio.sleep(0.1)
    producer.acknowledge()
    assert (await asking).startswith(b"HTTP/1.1 200")


async def test_tls_with_a_certificate_that_is_renewed(tmp_path: Path) -> None:
    """As RECEIPTS_LISTEN_CERTFILE and RECEIPTS_LISTEN_KEYFILE have it."""
    authority = Authority(tmp_path)
    pem = authority.issue("listen", "127.0.0.1")
    settings = Settings(listen_certfile=str(pem.cert), listen_keyfile=str(pem.key))
    pair = server_pair(settings, "listen")
    assert pair is not None
    tls = for_server(pair)
    world, stop = World(), asyncio.Event()
    world.trust("127.0.0.1/32")
    trusted = ssl.create_default_context(cafile=str(authority.cafile))
    with socket.create_server(("127.0.0.1", 0)) as bound:
        serving = asyncio.create_task(run.serve(world.app, bound, stop, lambda *_: tls))
        port = bound.getsockname()[1]
        first = await _call_by_tls(port, trusted)
        authority.issue("listen", "127.0.0.1")
        second = await _call_by_tls(port, trusted)
        with pytest.raises(ssl.SSLCertVerificationError):
            await _call_by_tls(port, ssl.create_default_context())
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(REQUEST + b"\r\n")
        assert not (await asyncio.wait_for(reader.read(200), 10)).startswith(b"HTTP/1.1 200")
        writer.close()
        stop.set()
        await asyncio.wait_for(serving, 20)
    assert first != second, "the new certificate is in use without a restart"
    assert [kept.query for kept in world.producer.sent] == ["status=1"] * 2


async def _call_by_tls(port: int, trusted: ssl.SSLContext) -> bytes:
    """The certificate by which a callback was answered."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port, ssl=trusted)
    try:
        writer.write(REQUEST + b"\r\n")
        assert (await asyncio.wait_for(reader.read(200), 10)).startswith(b"HTTP/1.1 200")
        found: bytes = writer.get_extra_info("ssl_object").getpeercert(binary_form=True)
        return found
    finally:
        writer.close()
