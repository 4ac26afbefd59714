"""The main job as processes: it balances, also when its parts are killed.

On real Kafka where it can run; without a kill also on the embedded broker, which the demo uses.
"""

import json
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from deploy.embedded.brokers import Broker
from tests.support.system import System, running
from tests.support.waiting import until

EVENTS = 12_000


@pytest.fixture(params=["memory", "disk"])
def system(
    request: pytest.FixtureRequest, strongest_broker: Broker, prefix: str, tmp_path: Path
) -> Iterator[System]:
    on_disk = request.param == "disk"
    with running(strongest_broker.bootstrap, prefix, tmp_path, on_disk=on_disk) as found:
        yield found


@pytest.fixture
def system_on_both(broker: Broker, prefix: str, tmp_path: Path) -> Iterator[System]:
    with running(broker.bootstrap, prefix, tmp_path) as found:
        yield found


def assert_balances(system: System) -> None:
    ledger = system.ledger()
    assert ledger.balances, f"{ledger}"
    assert ledger.events > 0


def test_simulated_traffic_balances(system_on_both: System) -> None:
    system = system_on_both
    worker, sink = system.process("worker"), system.process("sink")
    worker.wait_ready()
    sink.wait_ready()
    system.publish(EVENTS, seed=1)
    assert_balances(system)
    assert worker.value("receipts_strays_total") > 0
    assert worker.value("receipts_dead_letters_total") > 0
    assert worker.value("receipts_expired_total") > 0


def test_kill_9_of_worker_and_sink_in_mid_flow_balances(system: System) -> None:
    system.publish(EVENTS, seed=2, name="before")
    for round_ in range(3):
        worker = system.process("worker", f"worker-{round_}", state="one")
        sink = system.process("sink", f"sink-{round_}")
        system.wait_for_rows(1_000 * (round_ + 1))
        worker.kill()
        sink.kill()
    system.publish(EVENTS // 4, seed=3, name="after")
    system.process("worker", "worker-last", state="one")
    system.process("sink", "sink-last")
    assert_balances(system)


def test_of_two_workers_one_is_killed_and_it_balances(system: System) -> None:
    first = system.process("worker", "worker-1")
    second = system.process("worker", "worker-2")
    system.process("sink")
    first.wait_ready()
    second.wait_ready()
    system.publish(EVENTS // 2, seed=4, rate=3_000, name="both")
    assert second.value("receipts_events_total") > 0
    second.kill()
    system.publish(EVENTS // 2, seed=5, name="one")
    assert_balances(system)


def test_two_sinks_share_the_partitions_and_one_is_killed(system: System) -> None:
    system.process("worker")
    first, second = system.process("sink", "sink-1"), system.process("sink", "sink-2")
    first.wait_ready()
    second.wait_ready()
    system.publish(EVENTS // 2, seed=6, rate=3_000, name="both")
    until(lambda: second.value("receipts_sink_rows_total") > 0, "the second sink wrote rows")
    second.kill()
    assert_balances(system)


def test_sigterm_ends_both_within_ten_seconds_and_leaves_nothing_behind(system: System) -> None:
    worker, sink = system.process("worker"), system.process("sink")
    worker.wait_ready()
    system.publish(EVENTS, seed=7)
    system.wait_for_rows(500)
    handled = worker.message_events()
    assert handled > 0
    for process in (worker, sink):
        began = time.monotonic()
        code = process.child.stop()
        assert code == 0, process.child.tail()
        assert time.monotonic() - began < 10
    system.process("sink", "sink-again")
    again = system.process("worker", "worker-again", state="worker").wait_ready()
    assert_balances(system)
    assert again.message_events() <= EVENTS - handled


def test_poison_records_do_not_stop_their_partition(system: System) -> None:
    poison = [
        {"topic": system.settings.topic(topic), "key": "acme/m-1", "value": value, "partition": 1}
        for topic in ("sends", "receipts", "engagements", "campaigns")
        for value in ("", "{", "null", "[" * 60_000, '{"account": "acme"}', "x" * 900_000)
    ]
    recording = system.folder / "poison.jsonl"
    recording.write_text("".join(json.dumps(line) + "\n" for line in poison))
    system.replay(recording)
    system.process("worker")
    system.process("sink")
    until(lambda: system.rows("dead_letters") == len(poison), "every poison is a dead letter", 60)
    system.publish(EVENTS // 4, seed=8)
    system.wait_for_rows(EVENTS // 16)
