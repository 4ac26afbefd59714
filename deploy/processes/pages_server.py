"""The report pages as a server: uvicorn on an address, until a signal ends it."""

import secrets
import signal
import socket
import ssl
from collections.abc import Callable, Mapping
from typing import Any, Final

import uvicorn

from deploy.processes.access import address_url
from reports.pages.app import app
from reports.pages.report.loader import warm_up
from streams.tls.certificates import CertificatePair
from streams.tls.reloading import for_server

STOP_S: Final = 3
"""Requests in progress may take so long after Ctrl-C or SIGTERM."""


def serve_pages(
    url: str,
    accounts: Mapping[str, str],
    host: str,
    port: int,
    on_ready: Callable[[str], None],
    *,
    all_texts: bool = False,
    certificate: CertificatePair | None = None,
) -> bool:
    """Serve the pages until SIGINT or SIGTERM; True after SIGTERM.

    url: ClickHouse. accounts: account by token. on_ready: called with the address of the pages
    when they accept connections. all_texts: whether texts of verification messages are shown.
    certificate: serve by TLS with it. Raises OSError when the address cannot be bound,
    UnusableFiles when the certificate cannot be used.
    """
    tls = for_server(certificate) if certificate else None
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.create_server((host, port), family=family) as bound:
        warm_up()
        server = PagesServer(url, accounts, all_texts=all_texts, tls=tls)
        on_ready(address_url("https" if tls else "http", host, bound.getsockname()[1]))
        return server.serve_on(bound)


class PagesServer:
    """uvicorn over the pages; SIGINT and SIGTERM stop it."""

    def __init__(
        self,
        url: str,
        accounts: Mapping[str, str],
        *,
        all_texts: bool = False,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        config = uvicorn.Config(
            app(url, accounts, all_texts=all_texts),
            log_config=None,
            access_log=False,
            server_header=False,
            lifespan="off",
            timeout_graceful_shutdown=STOP_S,
            ssl_context_factory=(lambda *_: tls) if tls else None,
        )
        self._server = uvicorn.Server(config)
        self._received: list[int] = []

    def serve_on(self, bound: socket.socket) -> bool:
        """Serve on a socket; True when SIGTERM ended it."""
        # uvicorn stops at both signals, then raises them again for the handlers it replaced.
        before = {
            signum: signal.signal(signum, self._on_signal)
            for signum in (signal.SIGINT, signal.SIGTERM)
        }
        try:
            self._server.run(sockets=[bound])
        finally:
            for signum, handler in before.items():
                signal.signal(signum, handler)
        return self._received[:1] == [signal.SIGTERM]

    def _on_signal(self, signum: int, _: Any) -> None:
        self._received.append(signum)


def tokens_for(accounts: list[str]) -> dict[str, str]:
    """A new random token for each account. Result: account by token."""
    return {secrets.token_urlsafe(24): account for account in accounts}
