"""`receipts listen`."""

from __future__ import annotations

import socket
import sys
from collections.abc import Mapping
from functools import partial
from typing import TYPE_CHECKING

import click

from deploy.cli.help import command
from deploy.cli.preflight import preflight
from deploy.processes.process import read_settings, run_process, run_until_stopped
from models.metrics import Health, Meter
from models.settings import Settings

if TYPE_CHECKING:
    from models.endpoints import EndpointsFile
    from streams.listen.app import OpenEndpoint


@command(
    "RECEIPTS_ENDPOINTS=endpoints.toml receipts listen",
    "RECEIPTS_ENDPOINTS=endpoints.toml RECEIPTS_LISTEN_HOST=0.0.0.0 receipts listen",
    "receipts endpoints check    # before you start it",
)
def listen() -> None:
    """Take the callbacks of providers: verify them and put them into Kafka as they came.

    Endpoints are in the file of RECEIPTS_ENDPOINTS (docs/endpoints.md). A callback is accepted once
    Kafka has it; workers read it. Runs until SIGTERM or Ctrl-C. Put a proxy with TLS in front of
    it, or set RECEIPTS_LISTEN_CERTFILE; start more of them behind one address to share the load.
    """
    from deploy.processes.endpoints import opened, required_endpoints

    settings = read_settings()
    file = required_endpoints(settings)
    body = partial(_listen, file, opened(file))
    at = (settings.listen_monitoring_host, settings.listen_monitoring_port)
    sys.exit(run_process("listen", *at, settings, body))


def _listen(
    file: EndpointsFile,
    endpoints: Mapping[str, OpenEndpoint],
    settings: Settings,
    meter: Meter,
    health: Health,
) -> int:
    from deploy.processes.access import address_url
    from deploy.processes.tls import server_pair
    from streams.listen.run import run_listen
    from streams.tls.reloading import for_server

    preflight(settings, "listen")
    certificate = server_pair(settings, "listen")
    tls = for_server(certificate) if certificate else None
    host, port = settings.listen_host, settings.listen_port
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.create_server((host, port), family=family, backlog=2048) as bound:
        at = address_url("https" if tls else "http", host, bound.getsockname()[1])
        click.echo(f"receipts: callbacks are taken at {at}/callbacks/NAME", err=True)
        return run_until_stopped(
            lambda stop: run_listen(
                settings,
                file,
                endpoints,
                bound,
                meter,
                health,
                stop,
                (lambda *_: tls) if tls else None,
            ),
            meter,
            health,
        )
