"""Workers that die and take over, step by step, with states on disk (ADR 0015)."""

from collections.abc import Iterator
from copy import deepcopy
from pathlib import Path

import pytest

from models.accounts import Accounts
from models.contract import Receipt, Send
from streams.batching import StoppedPartition
from streams.common import context
from streams.state_check import prove
from tests.models.test_golden_states import GOLDEN
from tests.properties.events import NOON_MS
from tests.support.recipient_world import make_receipt, send
from tests.support.worker_world import (
    CHANGELOGS,
    SOURCES,
    Life,
    Log,
    source_record,
    without_compaction,
)


@pytest.fixture(autouse=True)
def clock(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(context, "wall_ms", lambda: NOON_MS)
    with without_compaction():
        yield


async def started(log: Log, generation: int, folder: Path | None) -> Life:
    life = Life(log, generation, folder, lambda: NOON_MS)
    await life.restore(100)
    await life.open()
    return life


async def work(life: Life) -> None:
    for topic in SOURCES:
        await life.take(topic, 100)
    await life.commit()


def cells(life: Life) -> dict[bytes, list[int]]:
    by_key = life.worker.lifecycle.shards[0].cells.by_key
    return {key: cell.counts for key, cell in by_key.items()}


async def test_cells_of_a_worker_in_memory_are_kept_by_one_on_disk(tmp_path):
    """Its restore folds them, and publishes none: all are published. They are written all the
    same."""
    log = Log()
    for event in (send(at=NOON_MS), make_receipt("delivered", NOON_MS)):
        topic, key, value = source_record(event, NOON_MS)
        log.append(topic, key, value, NOON_MS)
    memory = await started(log, 1, None)
    await work(memory)
    published = dict(log.records)["status-counters"][:]
    first = await started(log, 2, tmp_path / "first")
    await work(first)
    first.flush_to_disk()
    first.kill(tmp_path / "second", 0, 0)
    second = await started(log, 3, tmp_path / "second")
    await work(second)
    assert cells(second) == cells(memory)
    assert log.records["status-counters"] == published
    second.app.stores.close_all()


async def test_timers_are_kept_when_other_rules_derive_them_again(tmp_path, monkeypatch):
    """Most stay at their second."""
    log = Log()
    topic, key, value = source_record(send(at=NOON_MS), NOON_MS)
    log.append(topic, key, value, NOON_MS)
    life = await started(log, 1, tmp_path)
    await work(life)
    life.app.stores.close_all()
    monkeypatch.setattr("streams.worker.fingerprint", lambda: "other rules")
    again = await started(log, 2, tmp_path)
    await work(again)
    again.app.stores.close_all()
    last = await started(log, 3, tmp_path)
    timers = last.worker.lifecycle.shards[0].timers
    assert timers.take_due(NOON_MS + 400_000_000, 9) == [key]
    last.app.stores.close_all()


def publish(log: Log, *events: Send | Receipt) -> None:
    for event in events:
        topic, key, value = source_record(event, NOON_MS)
        log.append(topic, key, value, NOON_MS)


async def killed(life: Life, folder: Path) -> None:
    life.flush_to_disk()
    life.kill(folder, 0, 0)


async def test_a_write_has_all_records_that_were_put_before_the_freeze(tmp_path):
    """Also those that were acknowledged after it: the next start reads none of them again."""
    log = Log()
    life = await started(log, 1, tmp_path)
    publish(log, *(send(f"m{number}", NOON_MS) for number in range(5)))
    await life.take("sends", 9)
    assert life.producer.pending
    await life.commit()
    for name, topic in CHANGELOGS.items():
        assert life.tables[name].partition(0).offset == log.ends[topic] - 1
    life.app.stores.close_all()


async def test_a_store_that_starts_over_reads_its_changelog_from_the_beginning(tmp_path):
    log = Log()
    life = await started(log, 1, tmp_path)
    publish(log, send("a", NOON_MS))
    await work(life)
    life.begin_assignment(2)
    states = life.tables["messages"]
    states.begin([0])
    states.start_over(0)
    assert dict(states.restored_store(0).items_of(b"")) == {}
    await life.restore(100)
    assert dict(states.restored_store(0).items_of(b"")).keys() == {b"acme/a"}
    life.app.stores.close_all()


async def test_what_is_acknowledged_after_a_rebalance_is_read(tmp_path):
    """The store went back to its last write: it does not have the value any more."""
    log = Log()
    life = await started(log, 1, tmp_path)
    publish(log, send("a", NOON_MS))
    await life.take("sends", 9)
    life.begin_assignment(2)
    states = life.tables["messages"]
    states.begin([0])
    await life.producer.flush()
    assert [record.key for record in log.records["message-states"]] == [b"acme/a"]
    await life.restore(100)
    assert dict(states.restored_store(0).items_of(b"")).keys() == {b"acme/a"}
    life.app.stores.close_all()


async def test_what_is_acknowledged_after_the_freeze_is_read_again(tmp_path):
    """A write has what was frozen, and its offset says no more."""
    log = Log()
    first = await started(log, 1, tmp_path / "first")
    publish(log, send("a", NOON_MS))
    await first.take("sends", 9)
    publish(log, send("b", NOON_MS))
    await first.commit(meanwhile="sends")
    await killed(first, tmp_path / "second")
    assert [record.key for record in log.records["message-states"]] == [b"acme/a", b"acme/b"]
    second = Life(log, 2, tmp_path / "second", lambda: NOON_MS)
    await second.restore(100)
    states = second.tables["messages"].restored_store(0)
    assert sorted(key for key, _ in states.items_of(b"")) == [b"acme/a", b"acme/b"]
    second.app.stores.close_all()


async def test_a_record_of_another_owner_between_our_own_is_read_again(tmp_path):
    """It came too late for our restore: only the next one joins it."""
    log = Log()
    publish(log, send("m", NOON_MS))
    zombie = await started(log, 1, None)
    await zombie.take("sends", 9)
    (late,) = zombie.kill(None, 0, 1)
    log.committed["sends"] = 1  # as if its event were never read again
    owner = await started(log, 2, tmp_path / "first")
    publish(log, send("a", NOON_MS), send("b", NOON_MS))
    await owner.take("sends", 1)
    await owner.producer.flush()
    for key, value in late.records:
        log.append("message-states", key, value, NOON_MS)
    await owner.take("sends", 1)
    await owner.commit()
    await killed(owner, tmp_path / "second")
    last = Life(log, 3, tmp_path / "second", lambda: NOON_MS)
    await last.restore(100)
    states = last.tables["messages"].restored_store(0)
    assert sorted(key for key, _ in states.items_of(b"")) == [b"acme/a", b"acme/b", b"acme/m"]
    last.app.stores.close_all()


async def test_the_changelog_of_0_1_0_is_read_to_disk(tmp_path):
    """Timers, days and cells of its states follow from them, as those of a worker in memory."""
    log = Log()
    states = {
        b"acme/%d" % number: bytes.fromhex(stored) for number, (_, stored, _) in enumerate(GOLDEN)
    }
    for key, value in states.items():
        log.append("message-states", key, value, NOON_MS)
    memory = await started(deepcopy(log), 1, None)
    disk = await started(log, 1, tmp_path)
    assert cells(disk) == cells(memory) != {}
    assert dict(disk.tables["messages"].partition(0).items_of(b"")) == states
    await work(disk)
    assert disk.opened is not None
    findings = prove(0, StoppedPartition.of(disk.opened), Accounts(), lambda *_: None)
    assert findings.is_exact, findings
    assert (findings.values, findings.days, findings.unproved) == (len(GOLDEN), len(GOLDEN), {})
    disk.app.stores.close_all()
