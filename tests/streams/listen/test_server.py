"""The server under the application: limits, slow clients, an orderly end."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from streams.listen import run
from tests.streams.listen.test_app import World

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
    import socket

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
