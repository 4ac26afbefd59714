"""What worker and sink have in common: logging, metrics, the pages, and how they end."""

import asyncio
import contextlib
import logging
import os
import platform
import signal
from collections.abc import Awaitable, Callable, Iterable
from importlib.metadata import version

import uvloop
from aiohttp import web
from prometheus_client import CollectorRegistry, GCCollector, PlatformCollector, ProcessCollector

from deploy import __version__
from deploy.processes.logs import log_to_stderr
from deploy.processes.monitoring import ProcessHealth, PrometheusMeter, serving
from models.metrics import Health, Meter
from models.settings import Settings

Body = Callable[[Settings, Meter, Health], int]
"""Runs until SIGTERM or SIGINT; returns the exit code."""

INTERRUPTED = 128 + signal.SIGINT
BEAT_S = 1.0

log = logging.getLogger("receipts")


def read_settings() -> Settings:
    """Settings of this process's environment. Raises SettingsError with every mistake."""
    return Settings.read(os.environ)


def silence_libraries() -> None:
    """For commands that end soon: what goes wrong is one line of theirs, not the libraries'."""
    logging.disable(logging.ERROR)


def run_until_stopped(work: Callable[[asyncio.Event], Awaitable[None]], health: Health) -> int:
    """Run `work(stop)` on uvloop; SIGTERM and SIGINT set `stop`. Returns the exit code.

    0, or 130 when it was SIGINT. What `work` raises goes to the caller.
    """
    received: list[signal.Signals] = []

    async def main() -> None:
        stop = asyncio.Event()

        def on_signal(number: signal.Signals) -> None:
            received.append(number)
            log.info("%s: finishing what is at hand", number.name)
            stop.set()

        for number in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(number, on_signal, number)
        beating = asyncio.create_task(_beat(health))
        try:
            await work(stop)
        finally:
            beating.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await beating

    uvloop.run(main())
    return INTERRUPTED if received[:1] == [signal.SIGINT] else 0


async def _beat(health: Health) -> None:
    while True:
        health.beat("loop")
        await asyncio.sleep(BEAT_S)


def run_process(
    name: str,
    host: str,
    port: int,
    settings: Settings,
    body: Body,
    own_pages: Iterable[web.RouteDef] = (),
) -> int:
    """Run one process with its pages at host:port; the result is its exit code.

    own_pages: what it serves beside the pages that all processes have

    Raises OSError when the address cannot be bound.
    """
    log_to_stderr(settings.log_level)
    log.info("%s %s starts with %r", name, __version__, settings)
    registry = CollectorRegistry()
    ProcessCollector(registry=registry)
    PlatformCollector(registry=registry)
    GCCollector(registry=registry)
    meter = PrometheusMeter(registry)
    meter.set("receipts_build_info", 1, process=name, **build())
    health = ProcessHealth(settings.alive_s, meter)
    with serving(registry, health, host, port, own_pages) as taken:
        log.info("%s serves /metrics, /healthz and /readyz at http://%s:%d", name, host, taken)
        code = body(settings, meter, health)
    log.info("%s ends with exit code %d", name, code)
    return code


def build() -> dict[str, str]:
    """What runs: versions of this project, Python and the two libraries that matter most."""
    return {
        "version": __version__,
        "python": platform.python_version(),
        "faust": version("faust-streaming"),
        "aiokafka": version("aiokafka"),
    }
