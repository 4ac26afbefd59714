"""Callbacks are read again after an endpoint was corrected: what changes, and what does not."""

import asyncio
import json
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from deploy.embedded.brokers import Broker
from models.callbacks import RawCallback
from streams.kafka import clients
from streams.kafka.security import kafka_access
from tests.support.commands import ROOT, receipts
from tests.support.system import System, running
from tests.support.waiting import until
from tests.system.test_callbacks import Callbacks, send

#: The network says DONE for delivered, and GONE for a dead number; and what it calls DELIVRD is
#: only its own acceptance.
ENDPOINTS = """
public_url = "https://receipts.example.com"

[endpoints.smsc]
provider = "smpp"
account = "acme"
unverified = true
zone = "UTC"
"""
CORRECTED = 'statuses = { DONE = "delivered", GONE = "rejected", DELIVRD = "undelivered" }\n'
#: By message: what the network called back with.
SAID = {
    "done": b"id:1 stat:DONE",
    "gone": b"id:2 stat:GONE",
    "wrong": b"id:3 stat:DELIVRD",
    "right": b"id:4 stat:UNDELIV",
    "late": b"id:5 stat:DONE",
    "code": b"id:7 stat:UNDELIVERABLE err:777",
}
#: Published later: what the network's code means to the account.
CODES = {"account": "acme", "codes": {"777": {"bounce": "hard", "scope": "network"}}}


class Network:
    """A system, and a gateway that publishes callbacks itself."""

    def __init__(self, system: System, file: Path) -> None:
        self.system = system
        self.file = file
        self.callbacks = Callbacks(system)

    def call_back(self, *bodies: bytes) -> None:
        asyncio.run(self._call_back(bodies))

    async def _call_back(self, bodies: tuple[bytes, ...]) -> None:
        producer = clients.producer(kafka_access(self.system.settings))
        await producer.start()
        try:
            topic = self.system.settings.topic("callbacks")
            for body in bodies:
                headers = RawCallback(body, "smsc").headers()
                await producer.send_and_wait(topic, body, headers=headers)
        finally:
            await producer.stop()

    def link(self, message_id: str, provider_message_id: str) -> None:
        names = {"account": "acme", "provider": "smsc", "message_id": message_id}
        self.callbacks.publish(
            "provider-ids", {**names, "provider_message_id": provider_message_id}
        )

    def replay(self, *options: str) -> subprocess.CompletedProcess[str]:
        return receipts(
            self.system.settings,
            "replay-callbacks",
            "--endpoint",
            "smsc",
            "--since",
            "1h",
            *options,
        )

    def kept(self) -> int:
        return len(self.callbacks.read("callbacks"))

    def outcomes(self) -> dict[str, str]:
        return {name: outcome for name, (outcome, _) in self.callbacks.statuses().items()}

    def wait_for(self, outcomes: dict[str, str]) -> None:
        until(lambda: self.outcomes() == outcomes, f"{outcomes}", 60, self.outcomes)

    def receipts_of(self, message_id: str) -> list[str]:
        query = (
            "SELECT status FROM receipt_events_current WHERE message_id = {id:String} "
            "ORDER BY published_at"
        )
        rows = self.system.client().query(query, parameters={"id": message_id}).result_rows
        return [status for (status,) in rows]


@pytest.fixture
def network(strongest_broker: Broker, prefix: str, tmp_path: Path) -> Iterator[Network]:
    file = tmp_path / "endpoints.toml"
    file.write_text(ENDPOINTS)
    given: dict[str, Any] = {"endpoints": str(file)}
    with running(strongest_broker.bootstrap, prefix, tmp_path, lambda _: given) as system:
        system.settings = system.settings.model_copy(update=given)
        yield Network(system, file)


def test_a_corrected_reading_counts_where_it_may(network: Network) -> None:
    system = network.system
    system.process("sink").wait_ready()
    first = system.process("worker", "worker-1").wait_ready()
    known = {name: body for name, body in SAID.items() if name != "late"}
    network.callbacks.publish(
        "sends",
        *(send(name, provider="smsc", provider_message_id=body[3:4].decode())
          for name, body in known.items()),
    )  # fmt: skip
    network.call_back(*SAID.values(), b"id:6 err:001")
    before = {
        "done": "submitted",
        "gone": "submitted",
        "wrong": "delivered",
        "right": "undelivered_soft",
        "code": "undelivered_soft",
    }
    until(lambda: network.outcomes() == before, "outcomes by the wrong file", 60, network.outcomes)
    until(lambda: system.rows("receipt_events_current") == 5, "the receipts", 60)
    until(lambda: system.rows("dead_letters") == 1, "the receipt without a status", 60)

    network.file.write_text(ENDPOINTS + CORRECTED)
    system.replay_lines([{"topic": "accounts", "key": "acme", "value": json.dumps(CODES)}])
    until(lambda: system.rows("accounts_current") == 1, "the settings of the account", 60)
    first.child.stop()
    system.process("worker", "worker-2").wait_ready()
    count = network.kept()
    dry = network.replay("--dry-run")
    assert dry.returncode == 0, dry.stderr
    lines = [" ".join(line.split()) for line in dry.stdout.splitlines()]
    assert lines == [
        "6 callbacks can be read",
        "1 cannot: they are left out",
        "3 undelivered soft",
        "2 delivered",
        "1 rejected hard",
        "1 receipts: as before",
        "1 receipts: not in ClickHouse yet: refused before, or the message is not known",
        "3 receipts: read differently, and it wins over the earlier reading",
        "1 undelivered_soft → undelivered_hard",
        "1 unknown → delivered",
        "1 unknown → rejected",
        "1 receipts: read differently, and the earlier reading stays: it cannot be taken back",
        "1 delivered → undelivered_soft",
    ]
    assert network.kept() == count, "a dry run produces nothing"

    done = network.replay("--yes")
    assert done.returncode == 0, done.stderr
    assert done.stdout.endswith("6 of 6 callbacks replayed\n")
    assert network.kept() == count + 6
    changed = {"done": "delivered", "gone": "rejected", "code": "undelivered_hard"}
    after = {**before, **changed}
    network.wait_for(after)
    network.callbacks.publish("sends", send("late", provider="smsc"))
    network.link("late", "5")
    after["late"] = "delivered"
    network.wait_for(after)
    assert network.receipts_of("late") == ["delivered"], (
        "the earlier reading does not wait any more"
    )
    assert network.receipts_of("done") == ["unknown", "delivered"]

    rows = system.client().query("SELECT * FROM messages_current ORDER BY message_id").result_rows
    again = network.replay("--yes")
    lines = [" ".join(line.split()) for line in again.stdout.splitlines()]
    assert [line for line in lines if "receipts:" in line] == ["6 receipts: as before"]
    until(lambda: len(network.receipts_of("done")) == 3, "it was read a third time", 60)
    until(lambda: system.rows("receipt_events_current") == 5 + 6 + 6, "all were read", 60)
    same = system.client().query("SELECT * FROM messages_current ORDER BY message_id").result_rows
    assert same == rows
    assert system.rows("dead_letters") == 1


def test_ctrl_c_ends_it_with_what_was_acknowledged(network: Network) -> None:
    network.call_back(*(b"id:%d stat:DONE" % number for number in range(200)))
    options = ["--endpoint", "smsc", "--since", "1h", "--yes", "--rate", "20"]
    running_ = subprocess.Popen(
        [sys.executable, "-m", "deploy.cli", "replay-callbacks", *options],
        cwd=ROOT,
        env=network.system.settings.environ(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        until(lambda: network.kept() > 205, "some are replayed", 60)
        running_.send_signal(signal.SIGINT)
        output, errors = running_.communicate(timeout=60)
    finally:
        running_.kill()
    assert running_.returncode == 130, errors
    assert "interrupted. Run it again to do the rest" in errors
    match = re.search(r"^(\d+) of 200 callbacks replayed$", output, re.MULTILINE)
    assert match and int(match[1]) == network.kept() - 200 < 200


def test_mistakes_and_what_cannot_be_compared(network: Network) -> None:
    network.call_back(b"id:1 stat:DELIVRD", b"id:2 err:001")
    settings = network.system.settings
    silent = receipts(settings, "replay-callbacks", "--endpoint", "smsc", "--since", "1h")
    assert silent.returncode == 2
    assert "--yes: needed without a terminal. Fix: add --yes, or --dry-run" in silent.stderr
    wrong = receipts(settings, "replay-callbacks", "--endpoint", "smcs", "--since", "1h", "--yes")
    assert wrong.returncode == 2
    assert "'smcs' is not in the file of endpoints: smsc" in wrong.stderr
    order = network.replay("--dry-run", "--until", "2020-01-01")
    assert order.returncode == 2 and "--until: is not after --since" in order.stderr
    away = settings.model_copy(update={"clickhouse_url": "http://default:@127.0.0.1:1/receipts"})
    done = receipts(away, "replay-callbacks", "--endpoint", "smsc", "--since", "1h", "--dry-run")
    assert done.returncode == 0, done.stderr
    assert "1 callbacks can be read" in done.stdout
    assert "not compared with ClickHouse: ClickHouse does not respond" in done.stdout
    nothing = network.replay("--yes", "--since", "1s")
    assert nothing.returncode == 0, nothing.stderr
    assert nothing.stdout.splitlines()[0] == "0 callbacks can be read"
