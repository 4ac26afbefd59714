"""ClickHouse by TLS: an authority of one's own and a client certificate, for all who connect.

The engine is ClickHouse's own, behind an HTTP interface that ends TLS as a server does.
"""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from deploy.diagnosis.doctor import examine
from deploy.diagnosis.status import look
from deploy.embedded.brokers import free_port
from models.settings import Settings
from reports.query.database import Database, DatabaseUnavailable, RowWriter
from reports.views import statements
from sinks.client import connect
from sinks.errors import SinkError, Unavailable
from sinks.migrate import migrate
from tests.support.certificates import Authority, Pem
from tests.support.front import Front

ROOT = Path(__file__).parents[2]


class Pki:
    """Authorities of the server and of the clients, and a front that requires both."""

    def __init__(self, folder: Path) -> None:
        self.servers, self.clients = Authority(folder / "servers"), Authority(folder / "clients")
        server = self.servers.issue("server", "127.0.0.1")
        self.client = self.clients.issue("client", "sink.example")
        options = {"certfile": server.cert, "keyfile": server.key, "cafile": self.clients.cafile}
        self.front = Front(folder / "engine", **options).start()

    def settings(self, client: Pem | None = None, cafile: Path | None = None) -> Settings:
        pem = client or self.client
        return Settings(
            clickhouse_url=self.front.url("secured").replace("default:", "default:hush"),
            clickhouse_cafile=str(cafile or self.servers.cafile),
            clickhouse_certfile=str(pem.cert),
            clickhouse_keyfile=str(pem.key),
        )


@pytest.fixture(scope="module")
def pki(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pki]:
    made = Pki(tmp_path_factory.mktemp("tls"))
    yield made
    made.front.stop()


def test_sink_migrations_and_reports_connect(pki: Pki) -> None:
    settings = pki.settings()
    clickhouse = connect(settings.sink_url)
    migrate(clickhouse, 90, views=statements())
    clickhouse.command("CREATE TABLE notes (text String) ENGINE = MergeTree ORDER BY text")
    clickhouse.insert("notes", ("text",), ("String",), [["hello"]])
    reader, writer = Database(settings.reports_url), RowWriter(settings.reports_url)
    writer.insert("notes", {"text": "written"})
    found = reader.rows("SELECT text FROM notes ORDER BY text", {})
    assert found.rows == [("hello",), ("written",)]
    with reader.blocks("SELECT number FROM numbers(3)", {}) as blocks:
        assert [row for block in blocks for row in block] == [(0,), (1,), (2,)]
    for client in (clickhouse, reader, writer):
        client.close()


def test_the_commands_connect(pki: Pki) -> None:
    def run(*command: str, **changed: str) -> "subprocess.CompletedProcess[str]":
        clean = {k: v for k, v in os.environ.items() if not k.startswith("RECEIPTS_")}
        environ = {**clean, **pki.settings().environ(), **changed}
        return subprocess.run(
            [sys.executable, "-m", "deploy.cli", *command],
            cwd=ROOT, env=environ, capture_output=True, text=True, timeout=120, check=False,
        )  # fmt: skip

    done = run("migrate")
    assert done.returncode == 0, done.stderr
    assert run("migrate", "--status").returncode == 0
    nobody = run("report", "overview", "--account", "acme")
    assert "'acme' has no messages" in nobody.stderr
    for command, kind in (("status", "findings"), ("doctor", "checks")):
        found = json.loads(run(command, "--json", RECEIPTS_BROKERS="127.0.0.1:1").stdout)
        kinds = {each["kind"] for each in found[kind]}
        assert "kafka_away" in kinds and not any("clickhouse" in each for each in kinds), kinds
    broken = run("migrate", RECEIPTS_CLICKHOUSE_CAFILE="/nowhere/ca.pem")
    assert broken.returncode == 2
    assert "RECEIPTS_CLICKHOUSE_CAFILE: /nowhere/ca.pem cannot be read" in broken.stderr
    stranger = run("migrate", RECEIPTS_CLICKHOUSE_CAFILE=str(pki.clients.cafile))
    assert stranger.returncode == 1
    assert "is not trusted" in stranger.stderr
    assert (
        stranger.stderr.count("Fix: ") == stranger.stderr.count("RECEIPTS_CLICKHOUSE_CAFILE") == 1
    )
    for text in (done.stdout, done.stderr, broken.stderr, stranger.stderr):
        assert "hush" not in text


async def test_status_and_doctor_connect(pki: Pki) -> None:
    settings = pki.settings().model_copy(update={"brokers": f"127.0.0.1:{free_port()}"})
    clickhouse = connect(settings.sink_url)
    migrate(clickhouse, 90, views=statements())
    clickhouse.close()
    seen = await look(settings)
    assert seen.clickhouse is not None, seen.clickhouse_problem
    assert seen.clickhouse.schema and not seen.clickhouse.unread
    checks = (await examine(settings.environ(), ("sink",))).checks
    assert "error" not in {check.state for check in checks if check.area == "schema"}

    settings = settings.model_copy(update={"clickhouse_cafile": str(pki.clients.cafile)})
    finding = next(f for f in (await look(settings)).findings if f.kind == "clickhouse_away")
    assert "a certificate that is not trusted" in finding.problem and "Kafka" not in finding.problem
    assert "RECEIPTS_CLICKHOUSE_CAFILE" in finding.fix


def test_a_server_without_tls_is_named(tmp_path: Path) -> None:
    front = Front(tmp_path / "engine").start()
    try:
        with pytest.raises(Unavailable, match="it does not encrypt"):
            connect(front.url("plain").replace("http:", "https:"))
    finally:
        front.stop()


def test_a_server_of_a_strange_authority_is_refused(pki: Pki) -> None:
    settings = pki.settings(cafile=pki.clients.cafile)
    with pytest.raises(SinkError, match="it has a certificate that is not trusted") as caught:
        connect(settings.sink_url)
    assert "hush" not in str(caught.value)
    with pytest.raises(DatabaseUnavailable, match="certificate verify failed"):
        Database(settings.reports_url)


def test_a_client_without_a_certificate_of_the_authority_is_refused(pki: Pki) -> None:
    stranger = pki.servers.issue("stranger", "sink.example")
    with pytest.raises(Unavailable):
        connect(pki.settings(client=stranger).sink_url)
    nobody = pki.settings().model_copy(update={"clickhouse_certfile": "", "clickhouse_keyfile": ""})
    with pytest.raises(Unavailable):
        connect(nobody.sink_url)


def test_a_renewed_client_certificate_is_used_by_new_connections(pki: Pki) -> None:
    used = pki.clients.issue("renewed", "sink.example")
    clickhouse = connect(pki.settings(client=used).sink_url)
    clickhouse.ping()
    good = [path.read_bytes() for path in used]
    stranger = [path.read_bytes() for path in pki.servers.issue("stranger", "sink.example")]
    write(used, stranger)
    clickhouse.ping()  # by the connection that it has
    pki.front.stop()
    pki.front.start()
    with pytest.raises(Unavailable):
        clickhouse.ping()
    write(used, good)
    clickhouse.ping()
    clickhouse.close()


def write(pem: Pem, contents: list[bytes]) -> None:
    for path, content in zip(pem, contents, strict=True):
        path.write_bytes(content)
