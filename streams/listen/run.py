"""`receipts listen`: uvicorn over the application, a producer, and an orderly end."""

import asyncio
import contextlib
import socket
import ssl
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

import uvicorn
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from models.endpoints import EndpointsFile
from models.metrics import Health, Meter
from models.settings import Settings
from streams.kafka import clients
from streams.kafka.security import kafka_access, watch_certificates
from streams.listen.app import Listener, OpenEndpoint
from streams.listen.inbox import LINGER_MS, MAX_BATCH_BYTES, Inbox
from streams.listen.sns import SnsMessages, fetch

#: Requests in progress may take so long after SIGTERM.
STOP_S: Final = 5
KEEP_ALIVE_S: Final = 65
#: Headers of one request, and their bytes: more are an attack.
MAX_HEADERS, MAX_HEADER_BYTES = 100, 32 * 1024
MAX_URL_BYTES: Final = 8 * 1024
#: A request's headers must have come after so long.
HEADERS_S: Final = 10.0
MAX_CONNECTIONS: Final = 10_000


class _TooLarge(Exception):
    """A request has too many headers, or too long a URL."""


class LimitedProtocol(HttpToolsProtocol):
    """uvicorn's HTTP protocol with limits that it lacks: headers, and slow clients."""

    _slow: asyncio.TimerHandle | None = None
    _header_bytes = 0

    def connection_made(self, transport: Any) -> None:
        """See asyncio.Protocol."""
        super().connection_made(transport)
        self._restart_timer()

    def on_message_begin(self) -> None:
        """See httptools."""
        super().on_message_begin()
        self._header_bytes = 0
        self._restart_timer()

    def on_header(self, name: bytes, value: bytes) -> None:
        """See httptools."""
        self._header_bytes += len(name) + len(value)
        if len(self.headers) >= MAX_HEADERS or self._header_bytes > MAX_HEADER_BYTES:
            raise _TooLarge  # uvicorn answers 400 and closes the connection
        super().on_header(name, value)

    def on_url(self, url: bytes) -> None:
        """See httptools."""
        super().on_url(url)
        if len(self.url) > MAX_URL_BYTES:
            raise _TooLarge

    def on_headers_complete(self) -> None:
        """See httptools."""
        self._stop_timer()
        super().on_headers_complete()

    def connection_lost(self, exc: Exception | None) -> None:
        """See asyncio.Protocol."""
        self._stop_timer()
        super().connection_lost(exc)

    def _stop_timer(self) -> None:
        if self._slow is not None:
            self._slow.cancel()

    def _restart_timer(self) -> None:
        self._stop_timer()
        self._slow = self.loop.call_later(HEADERS_S, self.transport.close)


class _Server(uvicorn.Server):
    """Signals are handled by the process."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


async def run_listen(
    settings: Settings,
    file: EndpointsFile,
    endpoints: Mapping[str, OpenEndpoint],
    bound: socket.socket,
    meter: Meter,
    health: Health,
    stop: asyncio.Event,
    tls: Callable[..., ssl.SSLContext] | None = None,
) -> None:
    """Serve on a socket until `stop`, then finish the requests in progress."""
    access = kafka_access(settings)
    producer = clients.producer(access, linger_ms=LINGER_MS, max_batch_size=MAX_BATCH_BYTES)
    health.unready("kafka", "the producer is not connected yet")
    await _connect(producer, stop)
    if stop.is_set():
        return
    health.ready("kafka")
    topic = settings.topic("callbacks")
    inbox = Inbox(producer, topic, meter, timeout_s=settings.listen_timeout_s)
    app = Listener(
        file, endpoints, inbox, meter, SnsMessages(fetch), max_body=settings.listen_max_body_bytes
    )
    watching = asyncio.create_task(watch_certificates(access))
    try:
        await serve(app, bound, stop, tls)
    finally:
        watching.cancel()
        await producer.stop()


async def _connect(producer: Any, stop: asyncio.Event) -> None:
    """Wait for Kafka until `stop`."""
    stopping = asyncio.create_task(stop.wait())
    starting = asyncio.create_task(clients.retry_for_a_while(producer.start))
    await asyncio.wait({stopping, starting}, return_when=asyncio.FIRST_COMPLETED)
    stopping.cancel()
    if stop.is_set():
        starting.cancel()
        return
    await starting


async def serve(
    app: Listener,
    bound: socket.socket,
    stop: asyncio.Event,
    tls: Callable[..., ssl.SSLContext] | None,
) -> None:
    """Serve an application on a socket until `stop`, then finish the requests in progress."""
    config = uvicorn.Config(
        app,
        http=LimitedProtocol,
        log_config=None,
        access_log=False,
        server_header=False,
        date_header=False,
        proxy_headers=False,
        lifespan="off",
        ws="none",
        limit_concurrency=MAX_CONNECTIONS,
        timeout_keep_alive=KEEP_ALIVE_S,
        timeout_graceful_shutdown=STOP_S,
        ssl_context_factory=tls,
    )
    server = _Server(config)
    serving = asyncio.create_task(server.serve(sockets=[bound]))
    stopping = asyncio.create_task(stop.wait())
    await asyncio.wait({serving, stopping}, return_when=asyncio.FIRST_COMPLETED)
    server.should_exit = True
    stopping.cancel()
    await serving
