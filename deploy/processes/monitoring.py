"""Monitoring of a process: /metrics, /healthz and /readyz.

A separate thread serves them, so that they still answer when the event loop of the process hangs;
/healthz then answers 503.
"""

import asyncio
import json
import ssl
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, nullcontext
from typing import TypeVar

from aiohttp import web
from aiohttp.typedefs import Middleware
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest

from deploy.processes.access import access
from deploy.processes.logs import masked_line
from deploy.processes.tls import CertificatePair, renewing, server_context
from models.metrics import BY_NAME, TABLE, Meter

MAX_SERIES = 1000
"""Label values such as provider come from the traffic. Beyond this many series of one metric, new
ones are counted together, so that hostile traffic cannot fill the memory of Prometheus."""
OTHER = "other"
START_S = 10.0

Collector = TypeVar("Collector", Counter, Gauge, Histogram)


class PrometheusMeter:
    """The Meter over a Prometheus registry: exactly the metrics of the table."""

    def __init__(self, registry: CollectorRegistry, max_series: int = MAX_SERIES) -> None:
        self.registry = registry
        self._max_series = max_series
        self._series: dict[str, set[tuple[str, ...]]] = {m.name: set() for m in TABLE}
        self._counters = {
            m.name: Counter(m.name, m.meaning, m.labels, registry=registry)
            for m in TABLE
            if m.kind == "counter"
        }
        self._gauges = {
            m.name: Gauge(m.name, m.meaning, m.labels, registry=registry)
            for m in TABLE
            if m.kind == "gauge"
        }
        self._histograms = {
            m.name: Histogram(m.name, m.meaning, m.labels, registry=registry, buckets=m.buckets)
            for m in TABLE
            if m.kind == "histogram"
        }

    def add(self, name: str, value: float = 1, **labels: str) -> None:
        """Raise a counter. Raises ValueError for a name, kind or label not in the table."""
        self._child(self._counters, name, labels).inc(value)

    def set(self, name: str, value: float, **labels: str) -> None:
        """Set a gauge. Raises ValueError for a name, kind or label not in the table."""
        self._child(self._gauges, name, labels).set(value)

    def observe(self, name: str, value: float, **labels: str) -> None:
        """Put one value in a histogram. Raises ValueError for a name or label not in the table."""
        self._child(self._histograms, name, labels).observe(value)

    def observe_many(self, name: str, values: Iterable[float], **labels: str) -> None:
        """Put many values in a histogram. Raises ValueError as observe does."""
        observe = self._child(self._histograms, name, labels).observe
        for value in values:
            observe(value)

    def _child(
        self, held: Mapping[str, Collector], name: str, labels: Mapping[str, str]
    ) -> Collector:
        if name not in held:
            kind = f"it is a {BY_NAME[name].kind}" if name in BY_NAME else "there is no such metric"
            raise ValueError(f"{name}: {kind} in models/metrics.py")
        expected = BY_NAME[name].labels
        if labels.keys() != set(expected):
            raise ValueError(f"{name}: its labels are {expected}, not {tuple(labels)}")
        if not labels:
            return held[name]
        return held[name].labels(*self._bounded(name, tuple(labels[key] for key in expected)))

    def _bounded(self, name: str, values: tuple[str, ...]) -> tuple[str, ...]:
        series = self._series[name]
        if values not in series:
            if len(series) >= self._max_series:
                return (OTHER,) * len(values)
            series.add(values)
        return values


class ProcessHealth:
    """The Health of one process. It is ready when no part is unready.

    alive_s: a part without a heartbeat for so many seconds counts as dead. clock: monotonic
    seconds.
    """

    def __init__(
        self, alive_s: float, meter: Meter, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._alive_s = alive_s
        self._meter = meter
        self._clock = clock
        self._lock = threading.Lock()
        self._beats: dict[str, float] = {"start": clock()}
        self._reasons: dict[str, str] = {"start": "starting"}
        meter.set("receipts_ready", 0)

    def beat(self, part: str) -> None:
        """A heartbeat of this part. The first one of any part ends the start."""
        with self._lock:
            self._beats.pop("start", None)
            self._beats[part] = self._clock()

    def ready(self, part: str) -> None:
        """This part is ready. The first call for any part ends the start."""
        with self._lock:
            self._reasons.pop("start", None)
            self._reasons.pop(part, None)
        self._show()

    def unready(self, part: str, reason: str) -> None:
        """This part is not ready, for this reason; so the process is not ready."""
        with self._lock:
            self._reasons.pop("start", None)
            self._reasons[part] = masked_line(reason)  # /readyz is open to everyone
        self._show()

    def reasons(self) -> dict[str, str]:
        """Why the process is not ready, by part; empty when it is."""
        with self._lock:
            return dict(self._reasons)

    def silent(self) -> dict[str, float]:
        """Parts without a heartbeat for too long, with the seconds since their last one."""
        now = self._clock()
        with self._lock:
            ages = {part: now - at for part, at in self._beats.items()}
        return {part: round(age, 1) for part, age in ages.items() if age > self._alive_s}

    def _show(self) -> None:
        self._meter.set("receipts_ready", 0 if self.reasons() else 1)


def monitoring_app(
    registry: CollectorRegistry,
    health: ProcessHealth,
    extra_routes: Iterable[web.RouteDef],
    middleware: Middleware,
) -> web.Application:
    """/metrics, /healthz, /readyz and the extra routes as an aiohttp application."""

    async def metrics(_: web.Request) -> web.Response:
        headers = {"Content-Type": CONTENT_TYPE_LATEST}
        return web.Response(body=generate_latest(registry), headers=headers)

    async def healthz(_: web.Request) -> web.Response:
        silent = health.silent()
        return _json({"alive": not silent, "silent_s": silent}, good=not silent)

    async def readyz(_: web.Request) -> web.Response:
        reasons = health.reasons()
        return _json({"ready": not reasons, "reasons": reasons}, good=not reasons)

    app = web.Application(middlewares=[middleware])
    app.router.add_get("/metrics", metrics)
    app.router.add_get("/healthz", healthz)
    app.router.add_get("/readyz", readyz)
    app.add_routes(extra_routes)
    return app


def _json(body: dict[str, object], *, good: bool) -> web.Response:
    text = json.dumps(body) + "\n"
    return web.Response(text=text, status=200 if good else 503, content_type="application/json")


@contextmanager
def monitoring_server(
    registry: CollectorRegistry,
    health: ProcessHealth,
    host: str,
    port: int,
    extra_routes: Iterable[web.RouteDef] = (),
    *,
    token: str = "",
    certificate: CertificatePair | None = None,
) -> Iterator[int]:
    """Serve the pages until the block ends; yields the bound port (a free one when `port` is 0).

    token: what clients send, see `deploy.processes.access`. certificate: serve by TLS with it

    Raises OSError when the address cannot be bound, SettingsError when the certificate cannot be
    used.
    """
    tls = server_context(certificate) if certificate else None
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, name="receipts-pages", daemon=True)
    thread.start()
    app = monitoring_app(registry, health, extra_routes, access(host, token))
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=1)
    try:
        started = asyncio.run_coroutine_threadsafe(_start(runner, host, port, tls), loop)
        bound_port = started.result(START_S)
        with renewing(tls, certificate) if tls and certificate else nullcontext():
            yield bound_port
    finally:
        asyncio.run_coroutine_threadsafe(runner.cleanup(), loop).result(START_S)
        loop.call_soon_threadsafe(loop.stop)
        thread.join(START_S)
        loop.close()


async def _start(runner: web.AppRunner, host: str, port: int, tls: ssl.SSLContext | None) -> int:
    await runner.setup()
    await web.TCPSite(runner, host, port, ssl_context=tls).start()
    bound_port: int = runner.addresses[0][1]
    return bound_port
