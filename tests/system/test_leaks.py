"""Nothing that worker and sink log shows a number, a text, an address of a person, or a secret.

One installation meets simulated traffic, records that no producer should write, rules that raise,
rows that ClickHouse refuses, crashes and restarts; then everything it wrote is searched.
"""

from __future__ import annotations

import asyncio
import json
import os
import re
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from deploy.embedded.brokers import Broker, free_port
from deploy.processes.child import Child
from deploy.simulator.publish.recording import read_recording
from models.issues import file_variable_of, variable_of
from models.settings import SECRETS
from sinks.client import connect
from tests.support.kafka_batches import RawName, batch, produce_raw
from tests.support.system import System, running
from tests.support.waiting import until

pytestmark = [pytest.mark.kafka, pytest.mark.slow]

PASSWORD = "passw0rd-of-clickhouse"
READER = "passw0rd-of-the-reader"
TOKEN = "token-of-the-monitoring-pages"
PAGES_TOKEN = "token-of-the-report-pages"
SECRET_WORDS = (PASSWORD, READER, TOKEN, PAGES_TOKEN)

#: What the hostile records have; no real traffic.
NUMBER = "+4915199887766"
DIGITS = NUMBER.removeprefix("+")
MAIL = "anna.smith@example.com"
TEXT = "Dear Anna Smith, your appointment"
WAIT_S = 180.0
#: Shorter texts (STOP, a code of four digits) are in any log by chance.
MIN_LETTERS = 10


class Installation:
    """Worker and sink with secrets in files, and all that they log."""

    def __init__(self, system: System, folder: Path) -> None:
        self.system = system
        self.logs: list[Path] = []
        self._folder = folder
        url = system.settings.clickhouse_url
        system.settings = system.settings.model_copy(
            update={
                "clickhouse_url": url.replace("default:", f"default:{PASSWORD}"),
                "pages_clickhouse_url": url.replace("default:", f"default:{READER}"),
                "monitoring_token": TOKEN,
                "pages_tokens": f"acme={PAGES_TOKEN}",
                "log_level": "info",
            }
        )

    def start(self, kind: str, name: str, *poison: str) -> tuple[Child, int]:
        """A process with its secrets in files; its port."""
        port = free_port()
        settings = self.system.settings.model_copy(update={f"{kind}_port": port}).environ()
        for field in SECRETS:
            value = settings.pop(variable_of(field))
            if value:
                path = self._folder / field
                path.write_text(value + "\n")
                settings[file_variable_of(field)] = str(path)
        command = ("tests.support.poisoned", *poison) if poison else ("deploy.cli",)
        child = self.system._child(name, ["-m", *command, kind], settings)
        self.logs.append(child.log)
        listed = Path(f"/proc/{child.process.pid}/cmdline").read_bytes().decode()
        assert not [word for word in SECRET_WORDS if word in listed], "in the list of processes"
        return child, port

    def pages(self, port: int) -> str:
        """What the pages for probes and for Prometheus show; readiness is in it."""
        shown = ""
        for page in ("readyz", "healthz", "metrics"):
            request = urllib.request.Request(f"http://127.0.0.1:{port}/{page}")
            request.add_header("Authorization", f"Bearer {TOKEN}")
            try:
                with urllib.request.urlopen(request, timeout=5) as answer:
                    shown += answer.read().decode()
            except urllib.error.HTTPError as error:
                shown += error.read().decode()
        return shown

    def ready(self, child: Child, port: int) -> str:
        shown = [""]

        def is_ready() -> bool:
            child.check()
            try:
                shown[0] = self.pages(port)
            except OSError:
                return False
            return "receipts_ready 1.0" in shown[0]

        until(is_ready, f"{child.name} is ready", WAIT_S)
        return shown[0]

    def count(self, sql: str) -> int:
        return int(self.system.client().query(sql).result_rows[0][0])

    def logged(self) -> str:
        return "\n".join(path.read_text(errors="replace") for path in self.logs)


@pytest.fixture(scope="module")
def installation(
    kafka_broker: Broker, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Installation]:
    folder = tmp_path_factory.mktemp("leaks")
    with running(kafka_broker.bootstrap, f"leaks{os.getpid()}.", folder) as system:
        yield Installation(system, tmp_path_factory.mktemp("secrets"))


def write_hostile(installation: Installation) -> None:
    """Keys, values and header names that have a person in them, on every kind of topic."""
    settings = installation.system.settings
    send = {"account": "acme", "message_id": "m-1", "recipient": MAIL, "text": TEXT, "channel": "?"}
    values = (TEXT.encode(), MAIL.encode(), DIGITS.encode(), json.dumps(send).encode(), b"\xc1")
    keys = (NUMBER.encode(), DIGITS.encode(), MAIL.encode(), TEXT.encode(),
            f"acme/{DIGITS}".encode(), f"acme/{TEXT}".encode())  # fmt: skip
    topics = ("sends", "receipts", "engagements", "campaigns", "accounts", "suppression-requests",
              "strikes", "message-states", "suppressions", "status-counters")  # fmt: skip
    names = (RawName(TEXT.encode() + b"\xff"), RawName(DIGITS.encode() + b"\xff"))
    for topic in topics:
        records: list[Any] = [(key, value, ()) for key in keys for value in values]
        records += [(keys[0], values[0], [(name, DIGITS.encode())]) for name in names]
        name = settings.topic_prefix + topic
        asyncio.run(produce_raw(settings.brokers, name, 1, batch(0, records)))


def people_of(truth: Path) -> set[str]:
    """Every number, address and text of the traffic, as it was written and digits alone."""
    found: set[str] = set()
    for record in read_recording(truth):
        try:
            fields = json.loads(record.value or b"null")
        except (ValueError, RecursionError):  # some are nested deeper than Python reads
            continue
        if not isinstance(fields, dict):
            continue
        for name in ("recipient", "text"):
            value = fields.get(name)
            if isinstance(value, str):
                found |= {value, value.strip()}
                digits = re.sub(r"\D", "", value)
                if name == "recipient" and len(digits) >= 8:
                    found |= {digits, f"+{digits}"}
    return {each for each in found if len(each) >= MIN_LETTERS}


def test_a_whole_run_logs_no_person_and_no_secret(installation: Installation) -> None:
    system = installation.system
    sink = installation.start("sink", "sink-1")
    installation.ready(*sink)
    clickhouse = connect(system.settings.clickhouse_url)
    clickhouse.command(
        "ALTER TABLE messages ADD CONSTRAINT ours CHECK NOT endsWith(recipient, '7')"
    )
    worker = installation.start("worker", "worker-1", "rules")
    installation.ready(*worker)
    system.publish(3_000, seed=12)
    write_hostile(installation)
    for reason in ("internal_error", "bad_row", "unreadable"):
        sql = f"SELECT count() FROM dead_letters WHERE reason = '{reason}'"
        until(lambda sql=sql: installation.count(sql) > 0, reason, WAIT_S)
    seen = installation.ready(*worker) + installation.ready(*sink)

    worker[0].kill()
    sink[0].kill()
    crashing = [installation.start(kind, f"{kind}-2", "crash")[0] for kind in ("worker", "sink")]
    system.publish(500, seed=13, name="more")
    for child in crashing:
        until(lambda child=child: child.process.poll() is not None, f"{child.name} ends", WAIT_S)
        assert child.process.returncode > 0, child.tail()

    again = [installation.start(kind, f"{kind}-3") for kind in ("worker", "sink")]
    seen += "".join(installation.ready(*each) for each in again)
    for child, _ in again:
        assert child.stop() == 0, child.tail()

    logged = installation.logged()
    for line in (
        "a rule failed on ",
        "dead letters, such as: ",
        "stepped over, it cannot be read",
        "its name is not UTF-8",
        "builtins.ValueError",
        "RuntimeError",
        "builtins.KeyError",
        "http://default:***@127.0.0.1",
    ):
        assert line in logged, f"the poison had no effect: {line}"
    assert re.search(r"a rule failed on [\w.-]+/\+?\d{4}\*+\d\d\n", logged), "of a recipient"
    people = set().union(*map(people_of, system.truths))
    assert len(people) > 300
    leaked = {each for each in people | {NUMBER, DIGITS, MAIL, TEXT} if each in logged + seen}
    assert not leaked
    assert [word for word in SECRET_WORDS if word in logged + seen] == []


def test_a_leak_would_be_found(installation: Installation) -> None:
    """The search itself: what was published is among the words, as a log would have it."""
    people = set().union(*map(people_of, installation.system.truths))
    recipients = [
        found[1].decode()
        for record in read_recording(installation.system.truths[0])
        if record.kind == "sends" and record.value
        # Some values are cut, so they are not JSON.
        if (found := re.search(rb'"recipient":"([^"\\]+)".*}$', record.value, re.DOTALL))
        and found[1].startswith(b"+")
    ]
    assert len(recipients) > 100
    assert sum(recipient in people for recipient in recipients) > 0.9 * len(recipients)
