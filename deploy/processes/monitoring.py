"""Monitoring of a process: /metrics, /healthz and /readyz.

A separate thread serves them, so that they still answer when the event loop of the process hangs;
/healthz then answers 503.
"""

import asyncio
import json
import ssl
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Literal, TypeVar

from aiohttp import web
from aiohttp.typedefs import Middleware
from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    disable_created_metrics,
)
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest

from deploy.processes.access import access
from deploy.processes.logs import masked_line
from models.metrics import (
    BY_NAME,
    LABEL_VALUES,
    LIMITS,
    OTHER,
    SERIES,
    TABLE,
    WITHIN,
    Meter,
    Metric,
)
from streams.tls.certificates import CertificatePair
from streams.tls.reloading import for_server

START_S = 10.0

Collector = TypeVar("Collector", Counter, Gauge, Histogram)
Values = tuple[str, ...]

# A series more for each counter and histogram, which nothing reads.
disable_created_metrics()  # type: ignore[no-untyped-call]


class PrometheusMeter:
    """The Meter over a Prometheus registry: exactly the metrics of the table. Thread-safe.

    process: which metrics it has; None: all. A gauge without labels appears with its first value.
    """

    def __init__(
        self,
        registry: CollectorRegistry,
        process: Literal["worker", "sink", "listen"] | None = None,
    ) -> None:
        self.registry = registry
        here = [m for m in TABLE if process is None or m.where in (process, "both")]
        self._labels = {m.name: _BoundedLabels(m) for m in here}
        self._counters = {
            m.name: Counter(m.name, m.meaning, m.labels, registry=registry)
            for m in here
            if m.kind == "counter"
        }
        self._gauges = {
            m.name: Gauge(m.name, m.meaning, m.labels, registry=registry if m.labels else None)
            for m in here
            if m.kind == "gauge"
        }
        self._histograms = {
            m.name: Histogram(m.name, m.meaning, m.labels, registry=registry, buckets=m.buckets)
            for m in here
            if m.kind == "histogram"
        }
        self._unset = {m.name for m in here if m.kind == "gauge" and not m.labels}
        self._ages: dict[tuple[str, Values], _Age] = {}
        self._lock = threading.Lock()

    def add(self, name: str, value: float = 1, **labels: str) -> None:
        """Raise a counter. Raises ValueError for a name, kind or label not in the table."""
        self._child(self._counters, name, labels).inc(value)

    def set(self, name: str, value: float, **labels: str) -> None:
        """Set a gauge. Raises ValueError for a name, kind or label not in the table."""
        self._child(self._gauges, name, labels).set(value)
        self._show(name)

    def set_age(self, name: str, since_s: float | None, **labels: str) -> None:
        """Set a gauge to an age. Raises ValueError as set does."""
        child = self._child(self._gauges, name, labels)
        series = name, _in_order(name, labels)
        with self._lock:
            if series not in self._ages:
                self._ages[series] = _Age()
                child.set_function(self._ages[series])
            self._ages[series].since_s = since_s
        self._show(name)

    def forget(self, name: str, **labels: str) -> None:
        """Remove one series of a gauge. Raises ValueError as set does."""
        self._check(self._gauges, name, labels)
        values = _in_order(name, labels)
        with self._lock:
            self._ages.pop((name, values), None)
            self._gauges[name].remove(*values)

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
        self._check(held, name, labels)
        if not labels:
            return held[name]
        return held[name].labels(*self._labels[name].bounded(_in_order(name, labels)))

    @staticmethod
    def _check(held: Mapping[str, object], name: str, labels: Mapping[str, str]) -> None:
        if name not in held:
            if name not in BY_NAME:
                raise ValueError(f"{name}: there is no such metric in models/metrics.py")
            metric = BY_NAME[name]
            raise ValueError(
                f"{name}: it is a {metric.kind} of {metric.where} in models/metrics.py"
            )
        expected = BY_NAME[name].labels
        if labels.keys() != set(expected):
            raise ValueError(f"{name}: its labels are {expected}, not {tuple(labels)}")

    def _show(self, name: str) -> None:
        if name in self._unset:
            with self._lock:
                if name in self._unset:
                    self.registry.register(self._gauges[name])
                    self._unset.discard(name)


def _in_order(name: str, labels: Mapping[str, str]) -> Values:
    return tuple(labels[key] for key in BY_NAME[name].labels)


class _Age:
    """The age of a moment at each scrape. since_s: epoch seconds; None: the age is 0"""

    since_s: float | None = None

    def __call__(self) -> float:
        since_s = self.since_s
        return 0.0 if since_s is None else max(0.0, time.time() - since_s)


class _BoundedLabels:
    """Label values of one metric, within the limits of the table: hostile traffic cannot fill the
    memory of this process or of Prometheus."""

    def __init__(self, metric: Metric) -> None:
        self._labels = metric.labels
        self._shown: set[Values] = set()
        self._seen: defaultdict[Values, set[str]] = defaultdict(set)
        """Values of a label; those of a code by its provider."""
        self._lock = threading.Lock()

    def bounded(self, values: Values) -> Values:
        """The values, with OTHER in place of those beyond the limits."""
        if values in self._shown:
            return values
        with self._lock:
            shown = self._within_series(self._within_labels(values))
            self._shown.add(shown)
            return shown

    def _within_labels(self, values: Values) -> Values:
        shown: list[str] = []
        for label, value in zip(self._labels, values, strict=True):
            scope = (label, *shown) if label in WITHIN else (label,)
            seen = self._seen[scope]
            if value in seen or len(seen) < LIMITS.get(label, LABEL_VALUES):
                seen.add(value)
                shown.append(value)
            else:
                shown.append(OTHER)
        return tuple(shown)

    def _within_series(self, values: Values) -> Values:
        """From the first label on, OTHER for values of the traffic until the series is a known one
        or none is left."""
        for place, label in enumerate(self._labels):
            if values in self._shown or len(self._shown) < SERIES:
                return values
            if label in LIMITS:
                values = (*values[:place], OTHER, *values[place + 1 :])
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

    Raises OSError when the address cannot be bound, UnusableFiles when the certificate cannot be
    used.
    """
    tls = for_server(certificate) if certificate else None
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, name="receipts-pages", daemon=True)
    thread.start()
    app = monitoring_app(registry, health, extra_routes, access(host, token))
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=1)
    try:
        started = asyncio.run_coroutine_threadsafe(_start(runner, host, port, tls), loop)
        bound_port = started.result(START_S)
        yield bound_port
    finally:
        asyncio.run_coroutine_threadsafe(runner.cleanup(), loop).result(START_S)
        loop.call_soon_threadsafe(loop.stop)
        thread.join(START_S)
        loop.close()


async def _start(runner: web.AppRunner, host: str, port: int, tls: ssl.SSLContext | None) -> int:
    await runner.setup()
    try:
        await web.TCPSite(runner, host, port, ssl_context=tls).start()
    except OSError as error:
        fix = "correct RECEIPTS_WORKER_HOST and _PORT, of the sink RECEIPTS_SINK_HOST and _PORT"
        raise OSError(f"the pages cannot be served: {error.strerror}. Fix: {fix}") from None
    bound_port: int = runner.addresses[0][1]
    return bound_port
