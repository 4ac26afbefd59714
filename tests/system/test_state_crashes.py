"""Workers with states on disk that are killed at each step of a write: what is left, and what the
next worker makes of it, is exact. On real Kafka where it can run."""

import json
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from deploy.embedded.brokers import Broker
from models.time import DAY_MS
from tests.support.state_checks import states_of
from tests.support.system import Process, System, running
from tests.support.waiting import until

EVENTS = 4_000
AT_A_WRITE = ["before-write", "after-write", "while-flushing", "before-commit"]


@pytest.fixture
def system(strongest_broker: Broker, prefix: str, tmp_path: Path) -> Iterator[System]:
    with running(strongest_broker.bootstrap, prefix, tmp_path, on_disk=True) as found:
        yield found


def starts(system: System, point: str, name: str, state: str) -> Process:
    """A worker starts that will kill itself."""
    return system.process("worker", name, ("tests.support.dying", point), state=state)


def dies(dying: Process) -> None:
    """It did."""
    until(lambda: dying.child.process.poll() is not None, "the worker dies", 60)
    assert dying.child.process.returncode == -9, dying.child.tail()


@pytest.mark.parametrize(
    "point", ["before-write", "after-write", "while-flushing", "before-commit"]
)
def test_a_worker_that_dies_at_a_write_leaves_an_exact_moment(system: System, point: str) -> None:
    system.process("sink")
    for round_ in range(2):
        dying = starts(system, point, f"dying-{round_}", "one")
        system.publish(EVENTS // 2, seed=30 + round_, rate=800, name=f"truth-{round_}")
        dies(dying)
        system.check_states("one")
    lasts(system, "one")


def test_a_worker_that_dies_while_it_catches_up_goes_on_there(system: System) -> None:
    system.process("sink")
    system.publish(EVENTS, seed=32)
    first = system.process("worker", "first", state="first").wait_ready()
    assert system.ledger().balances
    first.child.stop()
    dies(starts(system, "in-catch-up", "dying", "second"))
    assert states_of(system.check_states("second")) > 0
    dies(starts(system, "in-catch-up", "dying-again", "third"))
    lasts(system, "second")


def test_a_worker_that_dies_while_other_rules_derive_again_leaves_nothing_half_done(
    system: System,
) -> None:
    system.process("sink")
    system.publish(EVENTS, seed=33)
    first = system.process("worker", "first", state="one").wait_ready()
    assert system.ledger().balances
    first.child.stop()
    states = states_of(system.check_states("one"))
    dies(starts(system, "in-refold", "dying", "one"))
    lasts(system, "one")
    assert states_of(system.check_states("one")) >= states


def lasts(system: System, state: str) -> None:
    """A worker starts on what is there, and all is exact: reports, Kafka, disk."""
    worker = system.process("worker", "lasting", state=state).wait_ready()
    ledger = system.ledger()
    assert ledger.balances, f"{ledger}"
    system.check_changelog()
    assert worker.child.stop() == 0, worker.child.tail()
    assert states_of(system.check_states(state)) > EVENTS / 5


def test_a_worker_that_dies_while_a_day_retires_retires_it_at_the_next_start(
    system: System,
) -> None:
    long_ago = time.time_ns() // 1_000_000 - 14 * DAY_MS
    old = [line(f"old-{number}", long_ago) for number in range(2_000)]
    system.replay_lines(old)
    worker = system.process("worker", "first", state="one").wait_ready()
    until(lambda: worker.message_events() == len(old), "all is taken")
    worker.child.stop()
    assert states_of(system.check_states("one")) == len(old)
    system.replay_lines([line(f"new-{number}", None) for number in range(100)])
    dies(starts(system, "in-retirement", "dying", "one"))
    checked = system.check_states("one")
    last = system.process("worker", "last", state="one").wait_ready()
    until(lambda: last.value("receipts_retired_total") > 0, "the rest retires")
    system.check_changelog()
    last.child.stop()
    assert states_of(system.check_states("one")) == 100
    assert states_of(checked) >= 100


def test_workers_on_disk_and_in_memory_share_a_group_and_take_over_from_each_other(
    system: System,
) -> None:
    system.process("sink")
    disk = system.process("worker", "disk", state="one").wait_ready()
    memory = system.process("worker", "memory", in_memory=True).wait_ready()
    system.publish(EVENTS // 2, seed=40, rate=1_500, name="both")
    disk.kill()
    system.check_states("one")
    system.publish(EVENTS // 2, seed=41, rate=1_500, name="memory")
    disk = system.process("worker", "disk-again", state="one").wait_ready()
    memory.kill()
    system.publish(EVENTS // 2, seed=42, name="disk")
    ledger = system.ledger()
    assert ledger.balances, f"{ledger}"
    system.check_changelog()
    assert disk.child.stop() == 0, disk.child.tail()
    assert states_of(system.check_states("one")) > EVENTS / 5
    assert [path.name for path in (system.folder / "state").iterdir()] == ["one"]


def line(message_id: str, at: int | None) -> dict[str, object]:
    """A send, of now or of a record of that time."""
    now = time.time_ns() // 1_000_000
    value = {"account": "acme", "message_id": message_id, "channel": "sms",
             "recipient": "+46701234567", "sent_at": at or now}  # fmt: skip
    found: dict[str, object] = {
        "topic": "sends", "key": f"acme/{message_id}", "value": json.dumps(value)
    }  # fmt: skip
    return found if at is None else {**found, "timestamp": at}
