"""The only place of the reports that talks to ClickHouse: it asks, it never writes.

`http(s)://user:password@host:port/database` is a server, `chdb:///folder?database=name` the engine
inside this process. The server's user needs SELECT alone; in the embedded engine, which knows no
users, every connection is set to read only.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from queue import Empty, LifoQueue
from typing import Any, Final, cast
from urllib.parse import parse_qsl, unquote, urlsplit

import clickhouse_connect
import msgspec
from clickhouse_connect.driver.client import Client
from clickhouse_connect.driver.exceptions import ClickHouseError
from urllib3.exceptions import HTTPError

DEFAULT_DATABASE: Final = "receipts"
CONNECT_TIMEOUT_S: Final = 5
#: A report that takes longer is given up: somebody waits for it. Exports are streams of many reads.
QUERY_TIMEOUT_S: Final = 60

#: ClickHouse: unknown table, unknown database, unknown identifier.
_NO_SUCH: Final = frozenset({47, 60, 81})


class DatabaseError(Exception):
    """A query failed. The text is meant for people."""


class Unavailable(DatabaseError):
    """ClickHouse does not answer now."""


class NotMigrated(DatabaseError):
    """Tables or views are missing."""


class Rows(msgspec.Struct, frozen=True):
    """A result: names of the columns, and rows; times aware and UTC."""

    names: tuple[str, ...]
    rows: list[tuple[Any, ...]]

    def records(self) -> list[dict[str, Any]]:
        """Rows by column name."""
        return [dict(zip(self.names, row, strict=True)) for row in self.rows]


class Database:
    """A pool of connections. Blocking: call it from threads, as many as you like."""

    def __init__(self, url: str) -> None:
        """Raises Unavailable when nobody answers. url: as in the settings."""
        self._url = url
        self._idle: LifoQueue[Client] = LifoQueue()
        with self._client():
            pass

    def rows(self, sql: str, parameters: Mapping[str, Any]) -> Rows:
        """All rows of a query. Raises Unavailable, NotMigrated or DatabaseError."""
        with self._client() as client:
            result = client.query(sql, parameters=dict(parameters))
            rows = [tuple(map(_aware, row)) for row in result.result_rows]
            return Rows(tuple(result.column_names), rows)

    @contextmanager
    def blocks(
        self, sql: str, parameters: Mapping[str, Any]
    ) -> Iterator[Iterator[Sequence[tuple[Any, ...]]]]:
        """The rows of a query block by block, so that memory holds one block (on a server).

        Use it in a `with`; leaving it early gives the connection up.
        """
        with (
            self._client() as client,
            client.query_row_block_stream(sql, parameters=dict(parameters)) as stream,
        ):
            yield ([tuple(map(_aware, row)) for row in block] for block in stream)

    def close(self) -> None:
        """Let go of the connections that are idle."""
        while True:
            try:
                self._idle.get_nowait().close()
            except Empty:
                return

    @contextmanager
    def _client(self) -> Iterator[Client]:
        try:
            client = self._taken()
            yield client
        except (ClickHouseError, HTTPError, OSError) as error:
            raise _typed(error) from error
        self._idle.put(client)

    def _taken(self) -> Client:
        try:
            return self._idle.get_nowait()
        except Empty:
            return connect(self._url)


def connect(url: str) -> Client:
    """One connection that can read only."""
    parts = urlsplit(url)
    options = dict(parse_qsl(parts.query))
    if parts.scheme == "chdb":
        client = clickhouse_connect.get_client(dsn=f"chdb://{unquote(parts.path)}")
        client.database = options.get("database", DEFAULT_DATABASE)
        client.command("SET readonly = 1", use_database=False)
        return client
    client = clickhouse_connect.get_client(
        interface=parts.scheme,
        host=parts.hostname or "",
        port=parts.port or (8443 if parts.scheme == "https" else 8123),
        username=unquote(parts.username or "default"),
        password=unquote(parts.password or ""),
        connect_timeout=CONNECT_TIMEOUT_S,
        send_receive_timeout=QUERY_TIMEOUT_S,
        autogenerate_session_id=False,
        client_name="receipts-reports",
        **cast(dict[str, Any], options),
    )
    client.database = unquote(parts.path).strip("/") or DEFAULT_DATABASE
    return client


def _aware(value: Any) -> Any:
    if isinstance(value, datetime):
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)
    return value


def _typed(error: Exception) -> DatabaseError:
    code = getattr(error, "code", None)
    if code in _NO_SUCH:
        return NotMigrated(f"{error} Fix: run `receipts migrate`")
    if code is None:
        return Unavailable(f"ClickHouse gives no answer: {error}")
    return DatabaseError(str(error))
