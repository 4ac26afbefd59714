"""What worker and sink share: logging, metrics, monitoring pages, signals, exit codes."""

import asyncio
import contextlib
import logging
import os
import platform
import signal
from collections.abc import Awaitable, Callable, Iterable, Mapping
from importlib.metadata import version
from typing import Literal

import uvloop
from aiohttp import web
from prometheus_client import CollectorRegistry, GCCollector, PlatformCollector, ProcessCollector

from deploy import __version__
from deploy.exit_codes import INTERRUPTED, OK
from deploy.processes.access import address_url, is_loopback
from deploy.processes.logs import log_to_stderr
from deploy.processes.monitoring import ProcessHealth, PrometheusMeter, monitoring_server
from deploy.processes.secret_files import with_secrets_from_files
from deploy.processes.tls import certificates_of, clickhouse_tls_issues, server_pair
from deploy.processes.vitals import measure_loop, reporting
from models.issues import SettingsError
from models.metrics import Health, Meter
from models.settings import Settings
from streams.tls.certificates import UnusableFiles

Body = Callable[[Settings, Meter, Health], int]
"""Runs until SIGTERM or SIGINT; returns the exit code."""

BEAT_S = 1.0

_ENCRYPT = "set RECEIPTS_MONITORING_CERTFILE, or put a proxy with TLS before it"

log = logging.getLogger("receipts")


def read_settings(given: Mapping[str, str] = os.environ, *, clickhouse: bool = False) -> Settings:
    """Settings from the environment, and secrets from the files that it names.

    given: the environment; default: that of this process. clickhouse: whether this process connects
    to ClickHouse: its certificates are checked then. Raises SettingsError with every issue.
    """
    environ, issues = with_secrets_from_files(given)
    # A secret whose file is wrong is not empty in addition.
    unread = {issue.where.removesuffix("_FILE") for issue in issues}
    try:
        settings = Settings.read(environ)
    except SettingsError as error:
        others = (issue for issue in error.issues if issue.where not in unread)
        raise SettingsError([*issues, *others]) from None
    if clickhouse:
        issues += clickhouse_tls_issues(settings)
    if issues:
        raise SettingsError(issues)
    return settings


def silence_libraries() -> None:
    """For short commands: they print one line for a failure, libraries log nothing."""
    logging.disable(logging.ERROR)


def run_until_stopped(
    work: Callable[[asyncio.Event], Awaitable[None]], meter: Meter, health: Health
) -> int:
    """Run `work(stop)` on uvloop; SIGTERM and SIGINT set `stop`. Returns the exit code.

    0, or 130 after SIGINT. Raises what `work` raises.
    """
    received: list[signal.Signals] = []

    async def main() -> None:
        stop = asyncio.Event()

        def on_signal(signum: signal.Signals) -> None:
            received.append(signum)
            log.info("%s: finishing the work in hand", signum.name)
            stop.set()

        for signum in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(signum, on_signal, signum)
        beating = asyncio.gather(_beat(health), measure_loop(meter))
        try:
            await work(stop)
        finally:
            beating.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await beating

    uvloop.run(main())
    return INTERRUPTED if received[:1] == [signal.SIGINT] else OK


async def _beat(health: Health) -> None:
    while True:
        health.beat("loop")
        await asyncio.sleep(BEAT_S)


def run_process(
    name: Literal["worker", "sink", "listen"],
    host: str,
    port: int,
    settings: Settings,
    body: Body,
    extra_routes: Iterable[web.RouteDef] = (),
) -> int:
    """Run one process and serve its monitoring pages at host:port; the result is its exit code.

    extra_routes: pages about people of this process, in addition to those of every process

    Raises OSError when the address cannot be bound, UnusableFiles when certificates cannot be used.
    """
    certificates = certificates_of(settings, name)
    if problems := {problem for files in certificates.values() for problem in files.problems()}:
        raise UnusableFiles(sorted(problems))
    log_to_stderr(settings.log_level, settings.secret_words)
    log.info("%s %s starts with %r", name, __version__, settings)
    registry = CollectorRegistry()
    ProcessCollector(registry=registry)
    PlatformCollector(registry=registry)
    GCCollector(registry=registry)
    meter = PrometheusMeter(registry, name)
    meter.set("receipts_build_info", 1, process=name, **build())
    health = ProcessHealth(settings.alive_s, meter)
    certificate, token = server_pair(settings, "monitoring"), settings.monitoring_token
    with (
        monitoring_server(
            registry, health, host, port, extra_routes, token=token, certificate=certificate
        ) as bound_port,
        reporting(meter, certificates),
    ):
        at = address_url("https" if certificate else "http", host, bound_port)
        log.info("%s serves /metrics, /healthz and /readyz at %s", name, at)
        if token and not certificate and not is_loopback(host):
            log.warning("the token of the pages is sent in clear to %s: %s", at, _ENCRYPT)
        code = body(settings, meter, health)
    log.info("%s ends with exit code %d", name, code)
    return code


def build() -> dict[str, str]:
    """Versions of this project, Python and the two libraries that matter most."""
    return {
        "version": __version__,
        "python": platform.python_version(),
        "faust": version("faust-streaming"),
        "aiokafka": version("aiokafka"),
    }
