"""Strikes and suppressions survive a worker that dies at the worst moment.

kill -9 between strike and state record, and between suppression and offset: no recipient is
suppressed twice, too early or never. On real Kafka where it can run; one death also on the embedded
broker, which the demo uses.
"""

import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from deploy.embedded.brokers import Broker
from tests.support.crashing import POINTS
from tests.support.system import System, running
from tests.support.waiting import until

EVENTS = 8_000


@pytest.fixture
def system(strongest_broker: Broker, prefix: str, tmp_path: Path) -> Iterator[System]:
    with running(strongest_broker.bootstrap, prefix, tmp_path) as found:
        yield found


@pytest.fixture
def embedded_system(embedded_broker: Broker, prefix: str, tmp_path: Path) -> Iterator[System]:
    with running(embedded_broker.bootstrap, prefix, tmp_path) as found:
        yield found


def test_strikes_suppressions_and_retries_balance(system: System) -> None:
    worker, sink = system.process("worker"), system.process("sink")
    worker.wait_ready()
    sink.wait_ready()
    system.publish(EVENTS, seed=11)
    ledger = system.ledger()
    assert ledger.balances, f"{ledger}"
    assert worker.value("receipts_strikes_total") > 0
    assert worker.value("receipts_retry_requests_total") > 0
    assert worker.value("receipts_suppressions_total") > 0


@pytest.mark.parametrize("point", POINTS)
def test_a_worker_that_dies_there_suppresses_nobody_twice_too_early_or_never(
    system: System, point: str
) -> None:
    _workers_die(system, point, times=2)


def test_a_worker_that_dies_on_the_embedded_broker_suppresses_nobody_twice_too_early_or_never(
    embedded_system: System,
) -> None:
    _workers_die(embedded_system, "between-strike-and-state", times=1)


def _workers_die(system: System, point: str, times: int) -> None:
    system.process("sink")
    for round_ in range(times):
        system.publish(EVENTS // 2, seed=12 + round_, name=f"truth-{round_}")
        dying = system.process("worker", f"dying-{round_}", ("tests.support.crashing", point))
        until(lambda: dying.child.process.poll() is not None, "the worker dies", 60)  # noqa: B023
        assert dying.child.process.returncode == -9, dying.child.tail()
    system.process("worker", "lasting")
    ledger = system.ledger()
    assert ledger.balances, f"{ledger}"


def hard(message_id: str, recipient: str, minutes: int, now_ms: int) -> list[dict[str, Any]]:
    """A send and its hard bounce, some minutes ago."""
    sent_at = now_ms - minutes * 60_000
    common = {"account": "acme", "message_id": message_id}
    send = {**common, "channel": "sms", "recipient": recipient, "sent_at": sent_at}
    bounce = {
        **common,
        "status": "undelivered",
        "bounce": "hard",
        "occurred_at": sent_at + 1_000,
        "error_code": "1",
    }
    key = f"acme/{message_id}"
    return [
        {"topic": "sends", "key": key, "value": json.dumps(send)},
        {"topic": "receipts", "key": key, "value": json.dumps(bounce)},
    ]


def test_three_hard_bounces_suppress_and_a_later_send_is_reported(system: System) -> None:
    now, number = time.time_ns() // 1_000_000, "+46701234567"
    worker = system.process("worker").wait_ready()
    system.process("sink")
    lines = [line for n in (1, 2, 3) for line in hard(f"m{n}", number, 60 - n, now)]
    system.replay_lines(lines[:4])
    until(lambda: worker.value("receipts_strikes_total") == 2, "two strikes")
    assert worker.value("receipts_suppressions_total") == 0
    system.replay_lines(lines[4:])
    until(lambda: worker.value("receipts_suppressions_total") == 1, "the third suppresses")
    until(lambda: system.rows("suppressions WHERE suppressed") == 1, "the row arrives")
    late = {"account": "acme", "message_id": "m4", "channel": "sms", "recipient": number}
    send = {"topic": "sends", "key": "acme/m4", "value": json.dumps({**late, "sent_at": now})}
    until(lambda: _is_reported(system, worker, send), "the send to a suppressed number is told")


def _is_reported(system: System, worker: Any, send: dict[str, Any]) -> bool:
    """The mirror of suppressions follows within moments: then a send counts as one too many."""
    value = json.loads(send["value"])
    value["message_id"] = f"m{time.monotonic_ns()}"
    system.replay_lines(
        [{**send, "key": f"acme/{value['message_id']}", "value": json.dumps(value)}]
    )
    time.sleep(0.5)
    return bool(worker.value("receipts_sends_to_suppressed_total") > 0)


def test_refused_account_settings_are_one_line_at_each_start(system: System) -> None:
    refused = [
        {
            "topic": "accounts",
            "key": name,
            "value": json.dumps({"account": name, "strike_limit": 99}),
        }
        for name in (f"a{number:02}" for number in range(20))
    ]
    mended = [{"topic": "accounts", "key": "a00", "value": json.dumps({"account": "a00"})}]
    system.replay_lines(refused + mended)
    for start in range(2):
        worker = system.process("worker", f"worker-{start}").wait_ready()
        assert worker.value("receipts_refused_account_settings") == 19
        said = worker.child.log.read_text()
        assert said.count("19 accounts have settings that are refused") == 1
        assert "are not used" not in said
        worker.child.stop()
