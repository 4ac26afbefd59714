"""What receipts mean and who may be sent to, through worker and sink: small cases, in many orders.

meaning.jsonl has one case a line: id (also its account), settings, records, expect. "@-7200" is a
time 7,200 s ago; "pause" waits until everything before it is decided.
"""

from __future__ import annotations

import json
import time
import urllib.request
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from random import Random
from typing import Any
from urllib.parse import quote

import pytest

from deploy.embedded.brokers import Broker
from tests.support.system import Process, System, running
from tests.support.waiting import until

pytestmark = pytest.mark.slow

CASES = [
    json.loads(line)
    for line in Path(__file__).with_name("meaning.jsonl").read_text("utf-8").splitlines()
]
ORDERS = ("as-given", "reversed", "shuffled")
PAUSE = "pause"
#: Long enough for what is decided after a commit: requests, suppressions, retries, rows.
SETTLED_S = 60


class Case:
    """One case in one order, in an account of its own."""

    def __init__(self, given: dict[str, Any], order: str, now: int) -> None:
        self.order = order
        self.name = given["id"]
        self.account = f"{given['id']}-{order}"
        self.expect = given["expect"]
        self.settings = given.get("settings")
        self._now = now
        self.phases = [self._arranged(phase) for phase in _phases(given["records"])]

    def _arranged(self, records: list[dict[str, Any]]) -> list[dict[str, Any]]:
        lines = [self._line(record) for record in records]
        if self.order == "reversed":
            lines.reverse()
        elif self.order == "shuffled":
            Random(self.account).shuffle(lines)
        return lines

    def _line(self, record: dict[str, Any]) -> dict[str, Any]:
        value = record["value"]
        text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
        event = json.loads(text)
        number = event.get("message_id") or event["recipient"]
        timed = {
            field: self._now + 1000 * int(given[1:])
            for field, given in event.items()
            if isinstance(given, str) and given.startswith("@")
        }
        event |= {"account": self.account} | timed
        # A lone surrogate stays an escape.
        return {
            "topic": record["topic"],
            "key": f"{self.account}/{number}",
            "value": json.dumps(event, ensure_ascii=True),
        }


def _phases(records: list[Any]) -> Iterator[list[dict[str, Any]]]:
    phase: list[dict[str, Any]] = []
    for record in records:
        if record == PAUSE:
            yield phase
            phase = []
        else:
            phase.append(record)
    yield phase


class World:
    """Worker and sink that have taken all cases."""

    def __init__(self, system: System, worker: Process, cases: list[Case]) -> None:
        self.system = system
        self.worker = worker
        self.cases = {(case.name, case.order): case for case in cases}
        self._publish(cases)

    def _publish(self, cases: list[Case]) -> None:
        settings = [
            {
                "topic": "accounts",
                "key": case.account,
                "value": {"account": case.account, **case.settings},
            }
            for case in cases
            if case.settings
        ]
        self.system.replay_lines(settings)
        time.sleep(2)  # workers read settings within a second
        for number in range(max(len(case.phases) for case in cases)):
            lines = [line for case in cases for line in case.phases[number : number + 1]]
            self.system.replay_lines([line for phase in lines for line in phase])
            self._settle()

    def _settle(self) -> None:
        """Wait until a message sent last is visible and a later commit was made."""
        marker = f"marker-{time.time_ns()}"
        now = time.time_ns() // 1_000_000
        self.system.replay_lines(
            [
                {
                    "topic": "sends",
                    "key": f"marker/{marker}-{place}",
                    "value": {
                        "account": "marker",
                        "message_id": f"{marker}-{place}",
                        "channel": "sms",
                        "recipient": "+447700900123",
                        "sent_at": now,
                    },
                }
                for place in range(40)
            ]
        )
        seen = f"SELECT count() FROM messages_current WHERE startsWith(message_id, '{marker}')"
        until(lambda: self.query(seen) == [(40,)], "markers are visible", SETTLED_S)
        time.sleep(4)  # requests of a commit are decided in the next

    def query(self, sql: str, **parameters: Any) -> list[tuple[Any, ...]]:
        found = self.system.client().query(sql, parameters=parameters)
        return [tuple(row) for row in found.result_rows]

    def suppression(self, account: str, recipient: str, channel: str) -> dict[str, Any]:
        place = f"{account}/{quote(recipient)}?channel={channel}"
        url = f"http://127.0.0.1:{self.worker.port}/suppressions/{place}"
        with urllib.request.urlopen(url, timeout=5) as page:
            answer: dict[str, Any] = json.load(page)
        return answer


@pytest.fixture(scope="module")
def world(strongest_broker: Broker, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    folder = tmp_path_factory.mktemp("meaning")
    with running(strongest_broker.bootstrap, "meaning-", folder) as system:
        worker = system.process("worker").wait_ready()
        system.process("sink").wait_ready()
        now = time.time_ns() // 1_000_000
        yield World(system, worker, [Case(case, order, now) for case in CASES for order in ORDERS])


@pytest.fixture(params=[(case["id"], order) for case in CASES for order in ORDERS], ids="-".join)
def case(request: pytest.FixtureRequest, world: World) -> Case:
    return world.cases[request.param]


def test_every_message_is_as_expected(world: World, case: Case) -> None:
    for message_id, expected in case.expect.get("messages", {}).items():
        (row,) = world.query(
            f"SELECT {', '.join(expected)} FROM reported_messages "
            "WHERE account = {account:String} AND message_id = {message:String}",
            account=case.account,
            message=message_id,
        )
        for (field, value), found in zip(expected.items(), row, strict=True):
            wanted = Decimal(value) if isinstance(found, Decimal) else value
            assert found == wanted, (message_id, field)


def test_who_may_be_sent_to(world: World, case: Case) -> None:
    for expected in case.expect.get("suppressed", ()):
        found = world.suppression(case.account, expected["recipient"], expected["channel"])
        assert found["suppressed"] == expected["suppressed"], expected
        if "reasons" in expected:
            assert list(found["reasons"]) == expected["reasons"]


def test_what_is_tried_again(world: World, case: Case) -> None:
    if "retries" in case.expect:
        found = world.query(
            "SELECT id FROM retry_requests_current WHERE account = {account:String} ORDER BY id",
            account=case.account,
        )
        prefix = f"{case.name}/"
        wanted = [f"{case.account}/{id_.removeprefix(prefix)}" for id_ in case.expect["retries"]]
        assert [row[0] for row in found] == wanted


def test_clicks_of_campaigns(world: World, case: Case) -> None:
    for campaign, expected in case.expect.get("clicks", {}).items():
        counted = {
            "clicks": "countIf(type = 'click' AND NOT automated)",
            "unique_clicks": "uniqExactIf(person, type = 'click' AND NOT automated)",
            "automated_clicks": "countIf(type = 'click' AND automated)",
        }
        (row,) = world.query(
            f"SELECT {', '.join(counted[name] for name in expected)} FROM "
            f"reported_engagements(account = '{case.account}', campaigns = ['{campaign}'])"
        )
        assert dict(zip(expected, row, strict=True)) == expected


def test_nothing_is_refused(world: World, case: Case) -> None:
    found = world.query(
        "SELECT topic, reason, detail FROM dead_letters "
        "WHERE position(value, {account:String}) > 0",
        account=f'"{case.account}"',
    )
    assert found == []


def test_every_receipt_is_kept(world: World, case: Case) -> None:
    published = [line for phase in case.phases for line in phase if line["topic"] == "receipts"]
    (row,) = world.query(
        "SELECT count() FROM receipt_events_current WHERE account = {account:String}",
        account=case.account,
    )
    assert row == (len(published),)
