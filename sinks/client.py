"""How the sink talks to ClickHouse: one client for a server and for the embedded engine.

`connect("http://user:password@host:8123/database")` uses the HTTP driver of clickhouse-connect;
`connect("chdb:///folder?database=name")` runs the engine inside this process. One process can hold
one embedded folder, but any number of clients of it. Errors leave as the types of `sinks.errors`.
"""

from __future__ import annotations

import logging
import re
import socket
import ssl
import traceback
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, Final
from urllib.parse import parse_qsl, unquote, urlsplit

import clickhouse_connect
from clickhouse_connect.driver.binding import quote_identifier
from clickhouse_connect.driver.client import Client
from clickhouse_connect.driver.exceptions import ClickHouseError, DataError, ProgrammingError
from clickhouse_connect.driver.httputil import get_pool_manager
from urllib3.exceptions import HTTPError

from sinks.errors import BadRows, Broken, SinkError, Unavailable
from streams.tls.peer import wrong_peer

DEFAULT_DATABASE: Final = "receipts"
CONNECT_TIMEOUT_S: Final = 5
INSERT_TIMEOUT_S: Final = 30

#: Own whole batches: nothing is gained by asynchronous inserts, and deduplication by block hash may
#: drop rows silently. Late events may touch many months at once.
INSERT_SETTINGS: Final[Mapping[str, Any]] = {
    "async_insert": 0,
    "insert_deduplicate": 0,
    "max_partitions_per_insert_block": 0,
}

# The driver logs a traceback for each value it cannot write, and raises it too: once is enough.
logging.getLogger("clickhouse_connect.driver.transform").setLevel(logging.CRITICAL)
# It logs a line without the reason for each request that fails, and raises it too.
logging.getLogger("clickhouse_connect.driver._backend.http_sync").setLevel(logging.CRITICAL)

#: ClickHouse error codes after which the same insert may succeed later.
_RETRYABLE_CODES: Final = frozenset(
    {
        3,  # UNEXPECTED_END_OF_FILE: the request was cut off
        159,  # TIMEOUT_EXCEEDED
        160,  # TOO_SLOW
        164,  # READONLY
        198,  # DNS_ERROR
        202,  # TOO_MANY_SIMULTANEOUS_QUERIES
        203,  # NO_FREE_CONNECTION
        209,  # SOCKET_TIMEOUT
        210,  # NETWORK_ERROR
        225,  # NO_ZOOKEEPER
        236,  # ABORTED
        241,  # MEMORY_LIMIT_EXCEEDED
        242,  # TABLE_IS_READ_ONLY
        243,  # NOT_ENOUGH_SPACE
        252,  # TOO_MANY_PARTS
        279,  # ALL_CONNECTION_TRIES_FAILED
        285,  # TOO_FEW_LIVE_REPLICAS
        286,  # UNSATISFIED_QUORUM_FOR_PREVIOUS_WRITE
        289,  # REPLICA_IS_NOT_IN_QUORUM
        319,  # UNKNOWN_STATUS_OF_INSERT
        394,  # QUERY_WAS_CANCELLED
        425,  # SYSTEM_ERROR
        439,  # CANNOT_SCHEDULE_TASK
        499,  # S3_ERROR
        735,  # QUERY_WAS_CANCELLED_BY_CLIENT
        745,  # SERVER_OVERLOADED
        999,  # KEEPER_EXCEPTION
    }
)
#: Codes that only a person can fix.
_FATAL_CODES: Final = frozenset(
    {
        16,  # NO_SUCH_COLUMN_IN_TABLE
        36,  # BAD_ARGUMENTS
        44,  # ILLEGAL_COLUMN
        46,  # UNKNOWN_FUNCTION
        47,  # UNKNOWN_IDENTIFIER
        48,  # NOT_IMPLEMENTED
        50,  # UNKNOWN_TYPE
        57,  # TABLE_ALREADY_EXISTS
        60,  # UNKNOWN_TABLE
        62,  # SYNTAX_ERROR
        73,  # UNKNOWN_FORMAT
        81,  # UNKNOWN_DATABASE
        115,  # UNKNOWN_SETTING
        192,  # UNKNOWN_USER
        193,  # WRONG_PASSWORD
        194,  # REQUIRED_PASSWORD
        195,  # IP_ADDRESS_NOT_ALLOWED
        218,  # TABLE_IS_DROPPED
        291,  # DATABASE_ACCESS_DENIED
        344,  # SUPPORT_IS_DISABLED
        392,  # QUERY_IS_PROHIBITED: the user may not change the schema
        452,  # SETTING_CONSTRAINT_VIOLATION
        497,  # ACCESS_DENIED
        516,  # AUTHENTICATION_FAILED
    }
)
#: An HTTP status without a ClickHouse code comes from a proxy. These may pass: 404 is a load
#: balancer without backends. Others (401, 403, 413 ...) are for a person to fix.
_RETRYABLE_STATUSES: Final = frozenset({"404", "408", "421", "425", "429"})
#: One column without values: an insert context that gets it releases the columns before.
_NO_ROWS: Final = [()]
#: Errors of the driver for a value that a column cannot hold, besides its own DataError.
_VALUE_ERRORS: Final = (ValueError, TypeError, OverflowError, AttributeError, ArithmeticError)


def classify(error: BaseException) -> SinkError:
    """The typed error for an error of the driver; a code that is not listed counts as bad rows.

    A wrong guess does no harm for long: `sinks.writer` stops the sink when a table accepts nothing
    any more.
    """
    if reason := _no_connection(error):
        return Unavailable(reason)
    code = getattr(error, "code", None)
    if code in _RETRYABLE_CODES:
        return Unavailable(str(error))
    if code in _FATAL_CODES or isinstance(error, ProgrammingError):
        return Broken(str(error))
    if code is not None or isinstance(error, (DataError, *_VALUE_ERRORS)):
        return BadRows(f"{type(error).__name__}: {error}" if code is None else str(error))
    status = re.search(r"HTTP status (4\d\d)", str(error))
    if status and status[1] not in _RETRYABLE_STATUSES:
        return Broken(str(error))
    return Unavailable(str(error))


def _no_connection(error: BaseException) -> str:
    """Why there is no connection, with the fix where it is a setting; "": it failed otherwise.

    The driver's text is that of urllib3, with the whole URL in it.
    """
    chain: BaseException | None = error
    while chain is not None:
        if isinstance(chain, ssl.SSLError):
            return _of_tls(chain)
        if isinstance(chain, ConnectionRefusedError | socket.gaierror):
            return f"no connection: {chain}"
        chain = chain.__cause__ or chain.__context__
    return ""


def _of_tls(error: ssl.SSLError) -> str:
    if isinstance(error, ssl.SSLCertVerificationError):
        names = "write the name of the certificate in the URL of ClickHouse"
        trust = "set RECEIPTS_CLICKHOUSE_CAFILE to the certificates that sign it"
        return f"it {wrong_peer(error, names=names, trust=trust)}"
    reason = error.reason or ""
    if "WRONG_VERSION_NUMBER" in reason or "HTTP_REQUEST" in reason:
        return "it does not encrypt. Fix: correct the port or https:// in the URL of ClickHouse"
    if "CERTIFICATE" in reason or "UNKNOWN_CA" in reason:
        return (
            f"it refuses our certificate ({reason}). Fix: set RECEIPTS_CLICKHOUSE_CERTFILE and "
            "RECEIPTS_CLICKHOUSE_KEYFILE to a certificate that it trusts"
        )
    return f"no connection: {error}"


@contextmanager
def typed_errors() -> Iterator[None]:
    """Convert errors of the driver to the types of `sinks.errors`."""
    try:
        yield
    except SinkError:
        raise
    except (ClickHouseError, HTTPError, OSError, *_VALUE_ERRORS) as error:
        _clear_calls(error)
        raise classify(error) from error


def _clear_calls(error: BaseException) -> None:
    """Clear the variables of the frames an error has passed; its traceback stays readable.

    The driver and urllib3 keep the error in a variable of such a frame: a cycle, with all the
    columns in it, for every attempt during an outage.
    """
    chain: BaseException | None = error
    while chain is not None:
        traceback.clear_frames(chain.__traceback__)
        chain = chain.__cause__ or chain.__context__


class ClickHouse:
    """One database on a server or in the embedded engine. Blocking: call it from a thread."""

    def __init__(self, client: Client, database: str) -> None:
        self._client = client
        self.database = database
        client.database = database

    def insert(
        self,
        table: str,
        names: Sequence[str],
        types: Sequence[str],
        columns: Sequence[Sequence[Any]],
    ) -> None:
        """Insert columns and return when ClickHouse has acknowledged them.

        Times are integers in the ticks of their column. Raises Unavailable, BadRows or Broken; part
        of the rows may have been stored then (an insert over several partitions is not atomic).
        """
        with typed_errors():
            context = self._client.create_insert_context(
                table,
                column_names=names,
                column_type_names=types,
                column_oriented=True,
                settings=dict(INSERT_SETTINGS),
            )
            try:
                self._client.insert(data=columns, context=context)
            finally:
                # The context refers to itself and to the columns: without this every batch would
                # stay in memory until the garbage collector finds the cycle.
                context.data = _NO_ROWS

    def command(self, sql: str, *, in_database: bool = True) -> None:
        """Run one statement that returns no rows."""
        with typed_errors():
            self._client.command(sql, use_database=in_database)

    def rows(self, sql: str, parameters: dict[str, Any] | None = None) -> list[tuple[Any, ...]]:
        """Rows of one query; strings that are not UTF-8 are returned as hexadecimal."""
        with typed_errors():
            return [tuple(row) for row in self._client.query(sql, parameters).result_rows]

    def create_database(self) -> None:
        """Create the database unless it exists; without the right to create one if it does."""
        if not self.has_database():
            name = quote_identifier(self.database)
            self.command(f"CREATE DATABASE IF NOT EXISTS {name} ENGINE = Atomic", in_database=False)

    def has_database(self) -> bool:
        """Whether the database exists."""
        with typed_errors():
            exists = f"EXISTS DATABASE {quote_identifier(self.database)}"
            return bool(self._client.command(exists, use_database=False))

    def ping(self) -> None:
        """Raises Unavailable when the server does not answer a query."""
        self.command("SELECT 1", in_database=False)

    def close(self) -> None:
        """Close the connections, or the embedded engine."""
        self._client.close()


def connect(url: str) -> ClickHouse:
    """A client for `url`; its database need not exist yet (`sinks.migrate` creates it).

    Query arguments of an http(s) URL (`?ca_cert=...`) go to clickhouse-connect.
    Raises Unavailable when the server does not answer, Broken when the URL or the credentials are
    wrong.
    """
    parts = urlsplit(url)
    with typed_errors():
        try:
            return _embedded(url) if parts.scheme == "chdb" else _remote(url)
        except _VALUE_ERRORS as error:
            raise Broken(f"clickhouse_url cannot be used: {error}") from error


def _embedded(url: str) -> ClickHouse:
    parts = urlsplit(url)
    options = dict(parse_qsl(parts.query))
    try:
        client = clickhouse_connect.get_client(dsn=f"chdb://{unquote(parts.path)}")
    except ProgrammingError as error:
        hint = "another process may have this folder open, or this process another folder"
        raise Broken(f"{error} ({hint})") from error
    return ClickHouse(client, options.get("database", DEFAULT_DATABASE))


def _remote(url: str) -> ClickHouse:
    parts = urlsplit(url)
    client = clickhouse_connect.get_client(
        interface=parts.scheme,
        host=parts.hostname or "",
        port=parts.port or (8443 if parts.scheme == "https" else 8123),
        username=unquote(parts.username or "default"),
        password=unquote(parts.password or ""),
        connect_timeout=CONNECT_TIMEOUT_S,
        send_receive_timeout=INSERT_TIMEOUT_S,
        query_retries=0,
        autogenerate_session_id=False,
        compress="lz4",
        client_name="receipts",
        **_transport(parts.scheme, dict(parse_qsl(parts.query))),
    )
    # The driver's own retries are off: `sinks.retry` alone decides. One stays, after the server has
    # closed a kept-alive connection; rows written twice do no harm.
    client.http_retries = 0  # type: ignore[attr-defined]
    return ClickHouse(client, unquote(parts.path).strip("/") or DEFAULT_DATABASE)


def _transport(scheme: str, options: dict[str, str]) -> dict[str, Any]:
    """A pool of its own for plain HTTP; TLS options make the driver build one."""
    return options if scheme == "https" else {"pool_mgr": get_pool_manager(), **options}
