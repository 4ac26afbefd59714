"""The report pages as a server: uvicorn on an address, until somebody ends it."""

import secrets
import signal
import socket
from collections.abc import Callable, Mapping
from typing import Any, Final

import uvicorn

from reports.pages.app import app
from reports.pages.report.loader import warm_up

STOP_S: Final = 3
"""Requests that are being answered may take so long after Ctrl-C or SIGTERM."""


def serve(
    url: str,
    accounts: Mapping[str, str],
    host: str,
    port: int,
    tell: Callable[[str], None],
) -> bool:
    """Serve the pages until SIGINT or SIGTERM; True when it was SIGTERM.

    url: ClickHouse. accounts: account by token. tell: is given the address once browsers are
    answered. Raises OSError when the address cannot be bound.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.create_server((host, port), family=family) as bound:
        warm_up()
        server = Server(url, accounts)
        shown = f"[{host}]" if family == socket.AF_INET6 else host
        tell(f"http://{shown}:{bound.getsockname()[1]}")
        return server.serve_on(bound)


class Server:
    """uvicorn, told to stop by signals."""

    def __init__(self, url: str, accounts: Mapping[str, str]) -> None:
        config = uvicorn.Config(
            app(url, accounts),
            log_config=None,
            access_log=False,
            server_header=False,
            lifespan="off",
            timeout_graceful_shutdown=STOP_S,
        )
        self._server = uvicorn.Server(config)
        self._told: list[int] = []

    def serve_on(self, bound: socket.socket) -> bool:
        """Serve on a socket; True when SIGTERM ended it."""
        # uvicorn stops at both signals, then raises them anew for those who were there before.
        numbers = (signal.SIGINT, signal.SIGTERM)
        before = {number: signal.signal(number, self._hear) for number in numbers}
        try:
            self._server.run(sockets=[bound])
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)
        return self._told[:1] == [signal.SIGTERM]

    def _hear(self, number: int, _: Any) -> None:
        self._told.append(number)


def tokens_for(accounts: list[str]) -> dict[str, str]:
    """A token for each account, different every time. Result: account by token."""
    return {secrets.token_urlsafe(24): account for account in accounts}
