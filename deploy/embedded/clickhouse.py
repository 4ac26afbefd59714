"""A ClickHouse server for tests: the HTTP interface over the embedded engine.

`python -m deploy.embedded.clickhouse --path FOLDER --port N` connects the real HTTP driver to the
real engine of ClickHouse (chdb) on a machine without a server package. It listens on loopback and
has no users but `default`: never use it in production. With --certfile and --keyfile it serves TLS,
with --cafile it requires a client certificate of that authority. --config names a configuration of
the engine: the rights of `default` are in the users file that it names. Not implemented: sessions,
external data, KILL QUERY, streamed responses (a whole response is in memory).
"""

from __future__ import annotations

import argparse
import asyncio
import json
import re
import signal
import ssl
import sys
import tempfile
import threading
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Final, NamedTuple

import chdb
import lz4.frame  # type: ignore[import-untyped]
from aiohttp import web

MAX_BODY_BYTES: Final = 1 << 30
THREADS: Final = 8
STOP_S: Final = 2.0

#: URL arguments of the HTTP interface; every other one is a setting.
_TRANSPORT: Final = frozenset(
    {
        "query", "database", "user", "password", "default_format", "query_id", "session_id",
        "session_timeout", "session_check", "quota_key", "role", "compress", "decompress",
        "wait_end_of_query", "buffer_size", "client_protocol_version", "enable_http_compression",
        "send_progress_in_http_headers", "http_headers_progress_interval_ms",
        "cancel_http_readonly_queries_on_client_close",
    }
)  # fmt: skip
_INSERT: Final = re.compile(
    rb"\s*(INSERT\s+INTO\s+.+?)\s+FORMAT\s+(\w+)[ \t]*(?:\r?\n|$)", re.IGNORECASE | re.DOTALL
)
_FORMAT: Final = re.compile(r"\bFORMAT\s+(\w+)\s*;?\s*$", re.IGNORECASE)
_CODE: Final = re.compile(r"Code: (\d+)\.")
_NAME: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


class QueryResult(NamedTuple):
    """The result of one statement."""

    body: bytes
    format: str
    summary: dict[str, str]


class Engine:
    """Connections to one folder. A connection keeps its database and settings; later requests with
    the same ones reuse it. Blocking, thread-safe."""

    def __init__(self, path: Path, config: Path | None = None) -> None:
        """config: configuration of the engine, XML"""
        self._path = str(path.resolve()) + (f"?config-file={config.resolve()}" if config else "")
        self._idle: dict[tuple[str, ...], list[Any]] = {}
        self._lock = threading.Lock()
        self._keeper = chdb.connect(self._path)  # type: ignore[no-untyped-call]
        self.zone = self.run("SELECT timezone()", {}).body.decode().strip()

    def run(
        self, query: str, arguments: Mapping[str, str], data: Path | None = None
    ) -> QueryResult:
        """Run one statement; `data` is the body of an insert, in the format the statement names.

        Raises RuntimeError with the message of ClickHouse.
        """
        settings = {k: v for k, v in arguments.items() if k not in _TRANSPORT and k[:6] != "param_"}
        key = (arguments.get("database", ""), *(f"{k}={v}" for k, v in sorted(settings.items())))
        connection = self._take(key) or self._open(arguments.get("database", ""), settings)
        try:
            result = self._execute(connection, query, arguments, data)
        except RuntimeError:
            connection.close()
            raise
        with self._lock:
            self._idle.setdefault(key, []).append(connection)
        return result

    def _take(self, key: tuple[str, ...]) -> Any:
        with self._lock:
            idle = self._idle.get(key)
            return idle.pop() if idle else None

    def _open(self, database: str, settings: Mapping[str, str]) -> Any:
        connection = chdb.connect(self._path)  # type: ignore[no-untyped-call]
        for name, value in settings.items():
            if not _NAME.fullmatch(name):
                raise RuntimeError(f"Code: 115. DB::Exception: Unknown setting {name!r}")
            connection.query(f"SET {name} = {_string(value)}")
        if database and database != "default":
            connection.query("USE `" + database.replace("`", "\\`") + "`")
        return connection

    def _execute(
        self, connection: Any, query: str, arguments: Mapping[str, str], data: Path | None
    ) -> QueryResult:
        if data is not None:
            head, _, form = query.rpartition(" FORMAT ")
            connection.query(f"{head} FROM INFILE {_string(str(data))} FORMAT {form}")
            return QueryResult(b"", "TabSeparated", {})
        params = {k[6:]: v for k, v in arguments.items() if k.startswith("param_")}
        named = _FORMAT.search(query)
        form = named[1] if named else arguments.get("default_format", "TabSeparated")
        result = connection.query(query, form, params=params)
        summary = {"read_rows": str(result.rows_read()), "read_bytes": str(result.bytes_read())}
        return QueryResult(result.bytes() or b"", form, summary)


def _string(value: str) -> str:
    return "'" + value.replace("\\", "\\\\").replace("'", "\\'") + "'"


class HttpInterface:
    """The HTTP handlers. Each request runs in a thread."""

    def __init__(self, engine: Engine, scratch: Path) -> None:
        self._engine = engine
        self._scratch = scratch
        self._pool = ThreadPoolExecutor(THREADS, thread_name_prefix="request")

    def app(self) -> web.Application:
        """The aiohttp application."""
        app = web.Application(client_max_size=MAX_BODY_BYTES)
        app.router.add_get("/ping", self._ping)
        app.router.add_route("*", "/", self._query)
        return app

    async def _ping(self, _: web.Request) -> web.Response:
        return web.Response(text="Ok.\n")

    async def _query(self, request: web.Request) -> web.Response:
        arguments = dict(request.query)
        if request.content_type == "multipart/form-data":  # parameters too long for a URL
            body = b""
            for name, value in (await request.post()).items():
                if not isinstance(value, str):
                    text = "Code: 48. DB::Exception: external data is not implemented"
                    return web.Response(status=501, text=text)
                arguments[name] = value
        else:
            body = await request.read()
        loop = asyncio.get_running_loop()
        try:
            encoding = request.headers.get("Content-Encoding", "")
            result = await loop.run_in_executor(self._pool, self._run, arguments, body, encoding)
        except (RuntimeError, ValueError, OSError) as error:
            return _failure(error)
        return self._success(request, result)

    def _run(self, arguments: dict[str, str], body: bytes, encoding: str) -> QueryResult:
        body = _decompressed(body, encoding)
        statement = arguments.get("query", "").encode()
        statement = statement + b"\n" + body if statement else body
        insert = _INSERT.match(statement)
        if insert is None:
            return self._engine.run(statement.decode(), arguments)
        query = f"{insert[1].decode()} FORMAT {insert[2].decode()}"
        with tempfile.NamedTemporaryFile(dir=self._scratch) as data:
            data.write(statement[insert.end() :])
            data.flush()
            return self._engine.run(query, arguments, Path(data.name))

    def _success(self, request: web.Request, result: QueryResult) -> web.Response:
        headers = {
            "X-ClickHouse-Format": result.format,
            "X-ClickHouse-Timezone": self._engine.zone,
            "X-ClickHouse-Summary": json.dumps(result.summary),
        }
        body = result.body
        accepted = request.headers.get("Accept-Encoding", "")
        if request.query.get("enable_http_compression") == "1" and "lz4" in accepted:
            body = lz4.frame.compress(body)
            headers["Content-Encoding"] = "lz4"
        return web.Response(body=body, headers=headers)


def _frames(body: bytes) -> Iterator[bytes]:
    """The content of each LZ4 frame: the driver sends one frame for each block of an insert."""
    rest = memoryview(body)
    while rest:
        try:
            block, used = lz4.frame.decompress(rest, return_bytes_read=True)
        except RuntimeError as error:
            raise ValueError(f"Code: 3. DB::Exception: LZ4 frame: {error}") from error
        rest = rest[used:]
        yield block


def _decompressed(body: bytes, encoding: str) -> bytes:
    if encoding == "lz4":
        return b"".join(_frames(body))
    if encoding in ("", "identity", "gzip", "deflate", "zstd"):
        return body  # aiohttp has decoded it
    raise ValueError(f"Code: 48. DB::Exception: Content-Encoding {encoding} is not implemented")


def _failure(error: Exception) -> web.Response:
    text = str(error)
    found = _CODE.search(text)
    headers = {"X-ClickHouse-Exception-Code": found[1] if found else "1001"}
    return web.Response(status=500, text=text[found.start() if found else 0 :], headers=headers)


def tls_context(
    certfile: Path | None, keyfile: Path | None, cafile: Path | None
) -> ssl.SSLContext | None:
    """A context for a server; with `cafile` clients need a certificate. None: plain HTTP."""
    if certfile is None:
        return None
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certfile, keyfile)
    if cafile is not None:
        context.load_verify_locations(cafile)
        context.verify_mode = ssl.CERT_REQUIRED
    return context


async def serve(
    path: Path, port: int, tls: ssl.SSLContext | None = None, config: Path | None = None
) -> None:
    """Serve the folder on 127.0.0.1 until SIGTERM or SIGINT; port 0: a free one.

    Prints `listening on http://127.0.0.1:PORT` (https with TLS) when it accepts connections.
    """
    path.mkdir(parents=True, exist_ok=True)
    stop = asyncio.Event()
    for signum in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(signum, stop.set)
    with tempfile.TemporaryDirectory(prefix="receipts-clickhouse-") as scratch:
        interface = HttpInterface(Engine(path, config), Path(scratch))
        runner = web.AppRunner(interface.app(), access_log=None, shutdown_timeout=STOP_S)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", port, ssl_context=tls).start()
        scheme = "https" if tls else "http"
        sys.stdout.write(f"listening on {scheme}://127.0.0.1:{runner.addresses[0][1]}\n")
        sys.stdout.flush()
        await stop.wait()
        await runner.cleanup()


def main() -> None:
    """Command line: --path FOLDER --port N, and files for TLS and users."""
    parser = argparse.ArgumentParser(prog="python -m deploy.embedded.clickhouse")
    parser.add_argument("--path", type=Path, required=True, help="folder of the data")
    parser.add_argument("--port", type=int, default=8123, help="port on 127.0.0.1")
    parser.add_argument("--certfile", type=Path, help="certificate chain of the server, PEM")
    parser.add_argument("--keyfile", type=Path, help="its key, PEM")
    parser.add_argument("--cafile", type=Path, help="authority of the clients' certificates, PEM")
    parser.add_argument("--config", type=Path, help="configuration of the engine, XML")
    given = parser.parse_args()
    tls = tls_context(given.certfile, given.keyfile, given.cafile)
    asyncio.run(serve(given.path, given.port, tls, given.config))


if __name__ == "__main__":
    main()
