"""A rehearsal of docker-compose.yml: our services as the file starts them, on real servers.

Command and environment of each service come out of the file; only host names and ports are
replaced. Kafka is the real one, ClickHouse the embedded engine behind the real HTTP driver.
"""

import asyncio
import re
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from pathlib import Path
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import clickhouse_connect
import pytest

from deploy.embedded.brokers import Broker, free_port
from deploy.processes.child import Child
from deploy.simulator.ledger.compare import compare, expectation
from deploy.simulator.publish.publish import SimulateOptions, simulate
from streams.kafka.security import Access
from tests.deploy.compose import ROOT, services

EVENTS = 3000
STAYING = ("listen", "worker", "sink", "pages")
DONE, HEALTHY = "service_completed_successfully", "service_healthy"

pytestmark = [pytest.mark.kafka, pytest.mark.slow, pytest.mark.timeout(240)]


@pytest.fixture(scope="module")
def clickhouse(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    """Port of the HTTP front."""
    home, port = tmp_path_factory.mktemp("clickhouse"), free_port()
    command = ["-m", "deploy.embedded.clickhouse", "--path", f"{home}/engine", "--port", str(port)]
    with Child("clickhouse", [sys.executable, *command], {}, home / "log") as front:
        wait_for(f"http://127.0.0.1:{port}/ping", front)
        yield port


def wait_for(url: str, *children: Child, timeout_s: float = 60) -> None:
    """Until the address answers 200, as a health check of the file would ask."""
    ask = f"import urllib.request as u; u.urlopen('{url}', timeout=3)"
    deadline = time.monotonic() + timeout_s
    while subprocess.run([sys.executable, "-c", ask], capture_output=True, check=False).returncode:
        for child in children:
            child.check()
        assert time.monotonic() < deadline, f"{url} stays unhealthy"
        time.sleep(0.3)


class Rehearsal:
    """Runs services of the file in the order of their conditions."""

    def __init__(self, replaced: Mapping[str, str], home: Path) -> None:
        self._replaced = replaced
        self._home = home
        self.done: dict[str, str] = {"kafka": HEALTHY, "clickhouse": HEALTHY}
        self.children: dict[str, Child] = {}

    def here(self, text: str) -> str:
        """A value of the file with the names and ports of this machine."""
        for name, address in self._replaced.items():
            text = text.replace(name, address)
        return text

    def start(self, name: str) -> Child:
        """Start one service; what it depends on must have come about."""
        service = services()[name]
        for other, how in service["depends_on"].items():
            assert self.done[other] == how["condition"]
        program, *arguments = service["command"]
        assert program == "receipts"
        environment = {key: self.here(value) for key, value in service["environment"].items()}
        command = [sys.executable, "-m", "deploy.cli", *arguments]
        self.children[name] = Child(name, command, environment, self._home / name)
        return self.children[name]

    def complete(self, name: str) -> None:
        """Run a one-shot service to its end."""
        child = self.start(name)
        code = child.process.wait(60)
        assert code == 0, child.tail()
        self.done[name] = DONE

    def become_healthy(self, name: str) -> None:
        """Start a service and wait for the health check of the file."""
        child = self.start(name)
        test = self.here(services()[name]["healthcheck"]["test"][-1])
        wait_for(test.split("'")[1], child)
        self.done[name] = HEALTHY


def test_the_services_of_the_file_work_together(
    kafka_broker: Broker, clickhouse: int, tmp_path: Path
) -> None:
    ports = {port: str(free_port()) for port in ("6066", "6067", "6068", "6069", "8090")}
    hosts = {"kafka:19092": kafka_broker.bootstrap, "clickhouse:8123": f"127.0.0.1:{clickhouse}"}
    here = {"0.0.0.0": "127.0.0.1", "/var/lib/receipts": str(tmp_path / "states"),
            "/etc/receipts": str(ROOT / "deploy/containers")}  # fmt: skip
    rehearsal = Rehearsal({**hosts, **ports, **here}, tmp_path)
    with ExitStack() as stack:
        stack.callback(lambda: [child.stop() for child in rehearsal.children.values()])
        for name in ("topics", "migrate"):
            rehearsal.complete(name)
        for name in STAYING:
            rehearsal.become_healthy(name)
        truth = tmp_path / "truth.jsonl"
        options = SimulateOptions(
            Access(kafka_broker.bootstrap), 11, EVENTS, truth_path=truth, idempotent=True
        )
        asyncio.run(simulate(options))
        balanced_within(60, clickhouse, truth, rehearsal)
        gateway_answers(ports["8090"])
        token = services()["worker"]["environment"]["RECEIPTS_MONITORING_TOKEN"]
        page = Request(f"http://127.0.0.1:{ports['6066']}/metrics")
        with pytest.raises(HTTPError, match="401"):
            urlopen(page, timeout=10)
        page.add_header("Authorization", f"Bearer {token}")
        with urlopen(page, timeout=10) as answer:
            counted = re.findall(
                r"^receipts_events_total\{.*\} (\S+)$", answer.read().decode(), re.M
            )
        assert sum(map(float, counted)) > EVENTS * 0.9
        for name in STAYING:
            began = time.monotonic()
            assert rehearsal.children[name].stop() == 0, rehearsal.children[name].tail()
            assert time.monotonic() - began < 10


def gateway_answers(port: str) -> None:
    """The callback that deploy/containers/endpoints.toml shows is accepted, without it refused."""
    secret = services()["listen"]["environment"]["GATEWAY_TOKEN"]
    call = Request(f"http://127.0.0.1:{port}/callbacks/gateway", b"id:12af stat:DELIVRD err:000")
    with pytest.raises(HTTPError, match="403"):
        urlopen(call, timeout=10)
    call.add_header("Authorization", f"Bearer {secret}")
    with urlopen(call, timeout=10) as answer:
        assert answer.status == 200


def balanced_within(seconds: float, port: int, truth: Path, rehearsal: Rehearsal) -> None:
    """Until the ledger of everything published balances."""
    client = clickhouse_connect.get_client(host="127.0.0.1", port=port, database="receipts")
    deadline = time.monotonic() + seconds
    try:
        while True:
            ledger = compare(client, expectation([truth], time.time_ns() // 1_000_000))
            if ledger.balances:
                assert ledger.events == EVENTS
                return
            for name in ("worker", "sink"):
                rehearsal.children[name].check()
            assert time.monotonic() < deadline, str(ledger)
            time.sleep(1)
    finally:
        client.close()
