"""The only place of the reports that talks to ClickHouse: it asks; all it writes are segments.

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
#: The server gives up first and says so; a read without an answer is given up soon after.
_READ_TIMEOUT_S: Final = QUERY_TIMEOUT_S + CONNECT_TIMEOUT_S
_TIME_LIMIT: Final = "max_execution_time"

#: ClickHouse: unknown table, unknown database, unknown identifier.
_NO_SUCH: Final = frozenset({47, 60, 81})
#: ClickHouse: time limit exceeded.
_TOO_LONG: Final = 159


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
            result = client.query(sql, parameters=dict(parameters), settings=self._limits(client))
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
        with _typed_errors():
            client = self._taken()
            yield client
        self._idle.put(client)

    def _taken(self) -> Client:
        try:
            return self._idle.get_nowait()
        except Empty:
            return connect(self._url)

    def _limits(self, client: Client) -> dict[str, Any]:
        """What one query may take: nothing new where the server is stricter, or its user may not
        change it. The driver itself asks that a closed connection ends its query."""
        known = client.server_settings.get(_TIME_LIMIT)
        if urlsplit(self._url).scheme == "chdb" or known is None or known.readonly:
            return {}
        stricter = 0 < float(known.value) <= QUERY_TIMEOUT_S
        return {} if stricter else {_TIME_LIMIT: QUERY_TIMEOUT_S}


class Writer:
    """One connection that writes, made when it is needed. Blocking, for one thread at a time."""

    def __init__(self, url: str) -> None:
        """url: as in the settings, of a user that may INSERT."""
        self._url = url
        self._client: Client | None = None

    def insert(self, table: str, row: Mapping[str, Any]) -> None:
        """Write one row. Raises Unavailable, NotMigrated or DatabaseError."""
        with _typed_errors():
            self._client = self._client or reach(self._url)
            self._client.insert(table, [list(row.values())], column_names=list(row))

    def close(self) -> None:
        """Let go of the connection."""
        if self._client:
            self._client.close()
            self._client = None


def connect(url: str) -> Client:
    """One connection that can read only."""
    client = reach(url)
    if urlsplit(url).scheme == "chdb":
        client.command("SET readonly = 1", use_database=False)
    return client


def reach(url: str) -> Client:
    """One connection that can do what its user may."""
    parts = urlsplit(url)
    options = dict(parse_qsl(parts.query))
    if parts.scheme == "chdb":
        client = clickhouse_connect.get_client(dsn=f"chdb://{unquote(parts.path)}")
        client.database = options.get("database", DEFAULT_DATABASE)
        return client
    client = clickhouse_connect.get_client(
        interface=parts.scheme,
        host=parts.hostname or "",
        port=parts.port or (8443 if parts.scheme == "https" else 8123),
        username=unquote(parts.username or "default"),
        password=unquote(parts.password or ""),
        connect_timeout=CONNECT_TIMEOUT_S,
        send_receive_timeout=_READ_TIMEOUT_S,
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


@contextmanager
def _typed_errors() -> Iterator[None]:
    try:
        yield
    except (ClickHouseError, HTTPError, OSError) as error:
        raise _typed(error) from error


def _typed(error: Exception) -> DatabaseError:
    code = getattr(error, "code", None)
    if code in _NO_SUCH:
        return NotMigrated(f"{error} Fix: run `receipts migrate`")
    if code == _TOO_LONG:
        return DatabaseError("It takes too long. Fix: ask for a shorter period or less at once")
    if code is None:
        return Unavailable(f"ClickHouse gives no answer: {error}")
    return DatabaseError(str(error))
