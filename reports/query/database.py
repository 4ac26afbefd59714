"""The only place of the reports that talks to ClickHouse. It reads; segments are all it writes.

`http(s)://user:password@host:port/database` is a server, `chdb:///folder?database=name` the engine
inside this process. The server's user needs SELECT only; the embedded engine has no users, so its
connections are set to read only.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from queue import Empty, LifoQueue
from typing import Any, Final
from urllib.parse import parse_qsl, unquote, urlsplit

import clickhouse_connect
import msgspec
from clickhouse_connect.driver.client import Client
from clickhouse_connect.driver.exceptions import ClickHouseError
from urllib3.exceptions import HTTPError

DEFAULT_DATABASE: Final = "receipts"
CONNECT_TIMEOUT_S: Final = 5
#: Time limit of one report query. Exports have none: they stream for as long as they need.
QUERY_TIMEOUT_S: Final = 60
#: The server stops first and reports it; the client stops waiting soon after.
_READ_TIMEOUT_S: Final = QUERY_TIMEOUT_S + CONNECT_TIMEOUT_S
_TIME_LIMIT: Final = "max_execution_time"

#: ClickHouse error codes: UNKNOWN_IDENTIFIER, UNKNOWN_TABLE, UNKNOWN_DATABASE.
_MISSING_CODES: Final = frozenset({47, 60, 81})
#: ClickHouse error code: TIMEOUT_EXCEEDED.
_TIMEOUT_CODE: Final = 159

#: A row by column name.
RowDict = Mapping[str, Any]


class DatabaseError(Exception):
    """A query failed. The text is meant for people."""


class DatabaseUnavailable(DatabaseError):
    """ClickHouse does not respond now."""


class NotMigrated(DatabaseError):
    """Tables or views are missing."""


class Rows(msgspec.Struct, frozen=True):
    """A result: column names, and rows as tuples. Times are aware and UTC."""

    names: tuple[str, ...]
    rows: list[tuple[Any, ...]]

    def records(self) -> list[dict[str, Any]]:
        """Rows by column name."""
        return [dict(zip(self.names, row, strict=True)) for row in self.rows]


class Database:
    """Read-only connections. Blocking, and safe to use from many threads.

    One HTTP client serves all threads: it has no session, and its connections are pooled by
    urllib3. A client of the embedded engine is one connection for one query at a time, so those are
    pooled here.
    """

    def __init__(self, url: str) -> None:
        """url: as in the settings. Raises DatabaseUnavailable when ClickHouse does not respond."""
        self._url = url
        self._embedded = is_embedded(url)
        self._idle: LifoQueue[Client] = LifoQueue()
        with _typed_errors():
            self._first = connect_read_only(url)
        if self._embedded:
            self._idle.put(self._first)

    def rows(self, sql: str, parameters: Mapping[str, Any]) -> Rows:
        """All rows of a query. Raises DatabaseUnavailable, NotMigrated or DatabaseError."""
        with self._client() as client:
            result = client.query(sql, parameters=dict(parameters), settings=self._limits(client))
            rows = [tuple(map(_aware, row)) for row in result.result_rows]
            return Rows(tuple(result.column_names), rows)

    @contextmanager
    def blocks(
        self, sql: str, parameters: Mapping[str, Any]
    ) -> Iterator[Iterator[Sequence[tuple[Any, ...]]]]:
        """The rows of a query block by block: with a server, memory holds one block.

        Use it in a `with`; leaving early closes the connection, which ends the query.
        """
        with (
            self._client() as client,
            client.query_row_block_stream(sql, parameters=dict(parameters)) as stream,
        ):
            yield ([tuple(map(_aware, row)) for row in block] for block in stream)

    def close(self) -> None:
        """Close the connections that are idle."""
        if not self._embedded:
            self._first.close()
        while True:
            try:
                self._idle.get_nowait().close()
            except Empty:
                return

    @contextmanager
    def _client(self) -> Iterator[Client]:
        with _typed_errors():
            client = self._take() if self._embedded else self._first
            yield client
        if self._embedded:
            self._idle.put(client)

    def _take(self) -> Client:
        try:
            return self._idle.get_nowait()
        except Empty:
            return connect_read_only(self._url)

    def _limits(self, client: Client) -> dict[str, Any]:
        """The time limit, unless the server's is stricter or the user may not change it. (The
        driver itself asks the server to cancel queries whose connection is closed.)"""
        known = client.server_settings.get(_TIME_LIMIT)
        if self._embedded or known is None or known.readonly:
            return {}
        stricter = 0 < float(known.value) <= QUERY_TIMEOUT_S
        return {} if stricter else {_TIME_LIMIT: QUERY_TIMEOUT_S}


class RowWriter:
    """One connection that writes, opened at the first row. Blocking, for one thread at a time."""

    def __init__(self, url: str) -> None:
        """url: as in the settings, of a user that may INSERT."""
        self._url = url
        self._client: Client | None = None

    def insert(self, table: str, row: RowDict) -> None:
        """Write one row. Raises DatabaseUnavailable, NotMigrated or DatabaseError."""
        with _typed_errors():
            self._client = self._client or connect(self._url)
            self._client.insert(table, [list(row.values())], column_names=list(row))

    def close(self) -> None:
        """Close the connection."""
        if self._client:
            self._client.close()
            self._client = None


def is_embedded(url: str) -> bool:
    """Whether a URL names the engine inside this process."""
    return urlsplit(url).scheme == "chdb"


def connect_read_only(url: str) -> Client:
    """A client that can only read. Raises as the driver does."""
    client = connect(url)
    if is_embedded(url):
        client.command("SET readonly = 1", use_database=False)
    return client


def connect(url: str) -> Client:
    """A client with all rights of its user. Raises as the driver does."""
    parts = urlsplit(url)
    if is_embedded(url):
        client = clickhouse_connect.get_client(dsn=f"chdb://{unquote(parts.path)}")
        client.database = dict(parse_qsl(parts.query)).get("database", DEFAULT_DATABASE)
        return client
    return clickhouse_connect.get_client(
        dsn=url,
        interface=parts.scheme,  # the driver does not read it from the DSN
        database=unquote(parts.path).strip("/") or DEFAULT_DATABASE,
        connect_timeout=CONNECT_TIMEOUT_S,
        send_receive_timeout=_READ_TIMEOUT_S,
        autogenerate_session_id=False,
        client_name="receipts-reports",
    )


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
    if code in _MISSING_CODES:
        return NotMigrated(f"{error} Fix: run `receipts migrate`")
    if code == _TIMEOUT_CODE:
        return DatabaseError("The query takes too long. Fix: choose a shorter period or fewer rows")
    if code is None:
        return DatabaseUnavailable(f"ClickHouse does not respond: {error}")
    return DatabaseError(str(error))
