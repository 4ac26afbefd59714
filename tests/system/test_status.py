"""`receipts status` and `receipts doctor` on real Kafka and the engine of ClickHouse."""

import asyncio
import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import msgspec
import pytest
from prometheus_client import CollectorRegistry

from deploy.diagnosis.doctor import examine
from deploy.diagnosis.examination import Check
from deploy.diagnosis.pages import default_pages
from deploy.diagnosis.readings import Group, Status
from deploy.diagnosis.status import look
from deploy.embedded.brokers import Broker, free_port
from deploy.kafka.topics import create_topics
from deploy.processes.monitoring import ProcessHealth, PrometheusMeter, monitoring_server
from deploy.processes.process import build
from models.settings import Settings
from sinks.client import connect
from sinks.migrate import load, migrate
from tests.support import commands
from tests.support.front import Front
from tests.support.records import Record
from tests.support.running_sink import publish
from tests.support.secured_broker import Certificates
from tests.support.system import System, running
from tests.support.waiting import until

ROOT = Path(__file__).parents[2]
PATIENCE_S = 60
#: What certificates are for.
USES = ("kafka_ssl", "monitoring", "clickhouse", "pages")
receipts = partial(commands.receipts, timeout_s=PATIENCE_S)
pytestmark = pytest.mark.kafka


def alone(**given: Any) -> Settings:
    """Settings under which no other process answers as ours."""
    return Settings(worker_port=free_port(), sink_port=free_port(), **given)


def status(settings: Settings, *pages: str) -> Status:
    """One look. It leaves nothing behind: sockets that stay open fail the test."""
    return asyncio.run(look(settings, pages))


def kinds(found: Status) -> dict[str, str]:
    """Severity by kind."""
    return {each.kind: each.severity for each in found.findings}


def group(found: Status, process: str) -> Group:
    assert found.kafka is not None, found.kafka_problem
    (one,) = [each for each in found.kafka.groups if each.process == process]
    return one


def checks(settings: Settings, **changed: str) -> list[Check]:
    """What doctor finds with these settings."""
    environ = {**settings.environ(), **changed}
    return list(asyncio.run(examine(environ, ("worker", "sink"))).checks)


def faults(found: list[Check]) -> list[tuple[str, str]]:
    return [(each.kind, each.where) for each in found if each.state == "error"]


def wait_for_settled(settings: Settings, *pages: str) -> Status:
    """Wait until both groups have worked off everything."""
    found: list[Status] = []

    def settled() -> bool:
        found.append(status(settings, *pages))
        groups = [group(found[-1], process) for process in ("worker", "sink")]
        return all(each.state == "Stable" and not each.lag_records for each in groups)

    until(settled, "both groups have no lag", PATIENCE_S)
    return found[-1]


@pytest.fixture
def system(kafka_broker: Broker, prefix: str, tmp_path: Path) -> Iterator[System]:
    with running(kafka_broker.bootstrap, prefix, tmp_path) as found:
        yield found


@pytest.mark.slow
def test_well_then_dead_letters_then_a_dead_worker_then_no_clickhouse(system: System) -> None:
    worker, sink = system.process("worker").wait_ready(), system.process("sink").wait_ready()
    pages = [f"http://127.0.0.1:{each.port}" for each in (worker, sink)]
    settings = system.settings
    assert_well(wait_for_settled(settings, *pages), settings)

    refused = {"topic": "sends", "key": "acme/m-1", "value": "{", "partition": 1}
    system.replay_lines([refused, {**refused, "value": ""}])
    until(lambda: system.rows("dead_letters") == 2, "both are dead letters", PATIENCE_S)
    found = wait_for_settled(settings, *pages)
    assert kinds(found) == {"dead_letters": "warning"}
    assert found.kafka is not None and found.kafka.dead_letters_hour == 2
    reasons = {(each.reason, each.topic, each.hour) for each in found.kafka.dead_letters}
    sends = settings.topic("sends")
    assert reasons == {("not_json", sends, 1), ("empty", sends, 1)}

    worker.kill()
    system.replay_lines([refused, refused, refused])
    left = lambda: group(status(settings), "worker")  # noqa: E731
    until(lambda: not left().members and left().lag_records == 3, "Kafka lost it", PATIENCE_S)
    found = status(settings, *pages)
    assert not found.well
    assert kinds(found)["no_process"] == kinds(found)["page_away"] == "error"
    assert (group(found, "worker").lag_seconds or 0) > 0
    assert group(found, "sink").members

    system.stop_engine()
    found = status(settings, *pages)
    assert kinds(found)["clickhouse_away"] == "error"
    assert found.clickhouse is None and "does not answer" in found.clickhouse_problem
    assert group(found, "worker").lag_records == 3  # the rest is shown
    assert [each.process for each in found.pages if not each.problem] == ["sink"]
    done = receipts(settings, "status", "--page", pages[1])
    assert done.returncode == 1, done.stderr
    assert "no worker is running; 3 records wait" in done.stdout


def assert_well(found: Status, settings: Settings) -> None:
    """Everything that a healthy installation has."""
    assert found.well and not found.findings, found.findings
    assert found.kafka is not None and found.clickhouse is not None
    assert found.kafka.release == "4.1" and found.kafka.brokers == 1
    assert len(found.kafka.topics) == 12 and not found.kafka.unread
    for process in ("worker", "sink"):
        one = group(found, process)
        assert [each.partitions for each in one.members] and one.lag_seconds == 0
        assert {each.owner for each in one.partitions} == {one.members[0].id}
    assert {each.process for each in found.pages} == {"worker", "sink"}
    assert found.clickhouse.schema == load()[-1].name and not found.clickhouse.unread
    assert not faults(checks(settings))
    done = receipts(settings, "status", "--json")
    assert done.returncode == 0, done.stderr
    assert msgspec.json.decode(done.stdout, type=Status).well
    done = receipts(settings, "doctor", "--json")
    assert done.returncode == 0, done.stdout
    areas = {check["area"] for check in json.loads(done.stdout)["checks"]}
    assert areas >= {"rights", "topics", "schema", "clocks", "disk", "versions", "files"}


def test_topics_and_migrations_are_missing(kafka_broker: Broker, prefix: str, front: Front) -> None:
    name = prefix.rstrip(".")
    settings = alone(
        brokers=kafka_broker.bootstrap,
        app_id=f"{prefix}app",
        topic_prefix=prefix,
        clickhouse_url=front.url(name),
    )
    # A new broker needs a moment until groups have a coordinator.
    until(lambda: "kafka_unread" not in kinds(status(settings)), "groups are known", PATIENCE_S)
    found = status(settings)
    assert kinds(found).keys() == {"topics_missing", "no_process", "schema_behind"}
    assert found.kafka is not None and len(found.kafka.missing) == 12
    kind = {each[0] for each in faults(checks(settings))}
    assert kind == {"topics_missing", "schema_behind"}

    asyncio.run(create_topics(settings))
    clickhouse = connect(settings.clickhouse_url)
    migrate(clickhouse, settings.text_days, load()[:-1])
    found = status(settings)
    assert set(kinds(found)) == {"no_process", "schema_behind"}
    assert found.clickhouse is not None and found.clickhouse.pending == (load()[-1].name,)
    migrate(clickhouse, settings.text_days)
    clickhouse.close()
    assert set(kinds(status(settings))) == {"no_process"}
    assert not faults(checks(settings))
    uneven = checks(settings, RECEIPTS_PARTITIONS="2")
    assert {each[0] for each in faults(uneven)} == {"topics_differ"}


def test_a_record_from_the_future_is_a_wrong_clock(kafka_broker: Broker, prefix: str) -> None:
    settings = alone(
        brokers=kafka_broker.bootstrap,
        topic_prefix=prefix,
        clickhouse_url=f"http://default:@127.0.0.1:{free_port()}/receipts",
    )
    asyncio.run(create_topics(settings))
    ahead = Record("sends", 0, 0, time.time_ns() // 1_000_000 + 600_000, b"k", b"v")
    asyncio.run(publish(settings, [ahead]))
    found = faults(checks(settings))
    assert ("clock", "newest record in Kafka") in found
    assert ("clickhouse_away", "RECEIPTS_CLICKHOUSE_URL") in found


def test_kafka_is_away_and_the_rest_is_shown(front: Front, prefix: str) -> None:
    settings = alone(
        brokers=f"127.0.0.1:{free_port()}", clickhouse_url=front.url(prefix.rstrip("."))
    )
    clickhouse = connect(settings.clickhouse_url)
    migrate(clickhouse, settings.text_days)
    clickhouse.close()
    found = status(settings)
    assert kinds(found) == {"kafka_away": "error"}
    assert found.clickhouse is not None and not found.clickhouse.pending
    kind = [each[0] for each in faults(checks(settings))]
    assert kind == ["broker_unreachable", "kafka_away"]


@contextmanager
def mute() -> Iterator[int]:
    """A port that accepts connections and never answers."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


@pytest.mark.slow
def test_sources_that_never_answer_do_not_hold_it_up() -> None:
    with mute() as kafka, mute() as clickhouse, mute() as page:
        settings = alone(
            brokers=f"127.0.0.1:{kafka}",
            clickhouse_url=f"http://default:@127.0.0.1:{clickhouse}/receipts",
        )
        done = receipts(settings, "status", "--json", "--page", f"http://127.0.0.1:{page}")
    assert done.returncode == 1, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    kind = [each["kind"] for each in found["findings"]]
    assert sorted(kind) == ["clickhouse_away", "kafka_away", "page_away"]


def test_an_engine_that_is_open_elsewhere_is_a_warning(front: Front, tmp_path: Path) -> None:
    settings = alone(brokers=f"127.0.0.1:{free_port()}", clickhouse_url=f"chdb://{front.folder}")
    done = receipts(settings, "status", "--json")
    found = {each["kind"]: each["severity"] for each in json.loads(done.stdout)["findings"]}
    assert found == {"kafka_away": "error", "clickhouse_in_use": "warning"}
    missing = settings.model_copy(update={"clickhouse_url": f"chdb://{tmp_path}/none"})
    assert kinds(status(missing))["clickhouse_refused"] == "warning"
    assert not (tmp_path / "none").exists()


@pytest.mark.parametrize("wrong", ["a file", "without its lock"])
def test_an_engine_that_cannot_be_used_is_an_error_with_its_reason(
    wrong: str, tmp_path: Path
) -> None:
    folder = tmp_path / "engine"
    if wrong == "a file":
        folder.write_text("")
    else:
        folder.mkdir()
        (folder / "status").mkdir()
    settings = alone(brokers=f"127.0.0.1:{free_port()}", clickhouse_url=f"chdb://{folder}")
    done = receipts(settings, "status", "--json")
    (one,) = [each for each in json.loads(done.stdout)["findings"] if "chdb" in each["problem"]]
    assert (one["kind"], one["severity"]) == ("clickhouse_refused", "error")
    assert ("is a file" if wrong == "a file" else "initializing EmbeddedServer") in one["problem"]
    assert "Stack" not in one["problem"] and "another" not in one["problem"]


def test_ended_certificates_are_named_while_nothing_answers(tmp_path: Path) -> None:
    end = datetime.now(UTC) - timedelta(days=1)
    made = Certificates(tmp_path)
    cert, key = made.issue("old", not_before=end - timedelta(days=9), not_after=end)
    pair = {"certfile": str(cert), "keyfile": str(key)}
    settings = alone(
        brokers=f"127.0.0.1:{free_port()}",
        kafka_security_protocol="SSL",
        kafka_ssl_cafile=str(made.cafile),
        clickhouse_url=f"https://127.0.0.1:{free_port()}/receipts",
        clickhouse_cafile=str(made.cafile),
        **{f"{use}_{name}": path for use in USES for name, path in pair.items()},
    )
    found = checks(settings)
    ended = {where for kind, where in faults(found) if kind == "certificate"}
    assert ended == {f"RECEIPTS_{use.upper()}_CERTFILE" for use in USES}
    valid = {each.where for each in found if each.detail.startswith("valid until")}
    assert valid == {"RECEIPTS_KAFKA_SSL_CAFILE", "RECEIPTS_CLICKHOUSE_CAFILE"}
    assert {"kafka_away", "clickhouse_away"} <= {kind for kind, _ in faults(found)}


def test_a_missing_codec_is_named_and_the_rest_is_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("streams.kafka.reading.missing_codecs", lambda: ["zstd"])
    settings = alone(
        brokers=f"127.0.0.1:{free_port()}",
        clickhouse_url=f"http://default:@127.0.0.1:{free_port()}/receipts",
    )
    assert kinds(status(settings)) == {"codecs": "error", "clickhouse_away": "error"}
    found = faults(checks(settings))
    assert ("codecs", "Kafka client") in found
    assert ("clickhouse_away", "RECEIPTS_CLICKHOUSE_URL") in found


def test_pages_on_an_address_of_ipv6_are_found() -> None:
    settings = alone(worker_host="::1", sink_host="::", monitoring_token="t" * 16)
    registry, pages = CollectorRegistry(), default_pages(settings)
    assert pages[0] == f"http://[::1]:{settings.worker_port}"
    assert pages[1] == f"http://[::1]:{settings.sink_port}"
    meter = PrometheusMeter(registry, "worker")
    meter.set("receipts_build_info", 1, process="worker", **build())
    health = ProcessHealth(60, meter)
    with monitoring_server(registry, health, "::1", settings.worker_port, token="t" * 16):
        found = status(settings.model_copy(update={"brokers": f"127.0.0.1:{free_port()}"}))
    assert [each.process for each in found.pages if not each.problem] == ["worker"]


def test_what_is_not_a_page_of_ours_is_named(front: Front) -> None:
    settings = alone(brokers=f"127.0.0.1:{free_port()}", clickhouse_url=front.url("x"))
    (page,) = status(settings, f"http://127.0.0.1:{front.port}").pages
    assert page.problem


def test_wrong_usage_and_settings_have_their_exit_codes() -> None:
    settings = alone(brokers=f"127.0.0.1:{free_port()}")
    assert receipts(settings, "status", "--page", "worker:6066").returncode == 2
    wrong = settings.model_copy(update={"partitions": 0})
    assert receipts(wrong, "status").returncode == 2
    done = receipts(wrong, "doctor")
    assert done.returncode == 2
    assert "RECEIPTS_PARTITIONS" in done.stdout and "codecs" in done.stdout


def test_watch_looks_again() -> None:
    settings = alone(brokers=f"127.0.0.1:{free_port()}")
    clean = {k: v for k, v in os.environ.items() if not k.startswith("RECEIPTS_")}
    command = [sys.executable, "-m", "deploy.cli", "status", "--watch", "1", "--json"]
    with subprocess.Popen(
        command, cwd=ROOT, env={**clean, **settings.environ()}, stdout=subprocess.PIPE, text=True
    ) as watching:
        assert watching.stdout is not None
        try:
            taken = [json.loads(watching.stdout.readline())["taken_at"] for _ in range(2)]
        finally:
            watching.terminate()
    assert taken[0] < taken[1]
