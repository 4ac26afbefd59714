"""Workers with standbys, as processes: one is killed, its partitions go on without a restore."""

import re
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from deploy.embedded.brokers import KafkaBroker
from tests.support.system import Process, System, running
from tests.support.waiting import until

pytestmark = [pytest.mark.kafka, pytest.mark.slow, pytest.mark.timeout(600)]

EVENTS = 12_000
READY = re.compile(r"Partitions ([\d, ]+) are ready, (\d+) records were restored")


@pytest.fixture(params=["memory", "disk"])
def system(
    request: pytest.FixtureRequest, kafka_broker: KafkaBroker, prefix: str, tmp_path: Path
) -> Iterator[System]:
    on_disk = request.param == "disk"
    with running(kafka_broker.bootstrap, prefix, tmp_path, on_disk=on_disk, standbys=1) as found:
        yield found


def partitions_of(worker: Process, metric: str) -> set[str]:
    """Partitions for which a worker shows a gauge, which names only the partition."""
    with urllib.request.urlopen(f"http://127.0.0.1:{worker.port}/metrics", timeout=5) as page:
        return set(re.findall(rf'{metric}{{partition="(\d+)"}}', page.read().decode()))


def test_a_worker_is_killed_and_its_standby_goes_on(system: System) -> None:
    workers = [system.process("worker", f"worker-{number}") for number in (1, 2)]
    system.process("sink")
    for worker in workers:
        worker.wait_ready()
    heir, killed = workers
    system.publish(EVENTS, seed=31, name="before")
    until(lambda: standby_follows(heir, killed), "the standby follows", 60)
    states = killed.value("receipts_states")
    assert states > 500
    killed.kill()
    system.publish(EVENTS // 4, seed=32, name="after")
    until(lambda: ready_partitions(heir) == {"0", "1", "2", "3"}, "all is taken over", 60)
    assert restored_last(heir) < states
    ledger = system.ledger()
    assert ledger.balances, f"{ledger}"


def standby_follows(heir: Process, killed: Process) -> bool:
    """Whether the heir has a copy of all that the other has, and nothing moves any more."""
    copies = partitions_of(heir, "receipts_standby_lag_records")
    lag = heir.value("receipts_standby_lag_records") + killed.value("receipts_lag_records")
    return len(copies) == 2 and copies == partitions_of(killed, "receipts_states") and lag == 0


def ready_partitions(worker: Process) -> set[str]:
    """Of the last line of its log about them."""
    found = READY.findall(worker.child.log.read_text())
    return set(found[-1][0].split(", ")) if found else set()


def restored_last(worker: Process) -> int:
    """Records that were read before the partitions were ready the last time."""
    return int(READY.findall(worker.child.log.read_text())[-1][1])
