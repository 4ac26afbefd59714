"""A value that a restore merged from several records is logged again, whatever comes in between:
the latest record holds less than the table, and compaction keeps no other."""

import asyncio
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from faust.tables.recovery import RebalanceAgain
from msgspec.structs import replace

from models import joining, state, suppression
from streams.batching import app as batching_app
from streams.common import context
from tests.properties.events import NOON_MS
from tests.support.recipient_world import hard, make_receipt, send, unsubscribe
from tests.support.worker_world import (
    CHANGELOGS,
    SOURCES,
    Life,
    Log,
    source_record,
    without_compaction,
)


@pytest.fixture(autouse=True)
def everything_is_written(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """What a restore reads is written at once: the next one has nothing to read again."""
    monkeypatch.setattr(context, "wall_ms", lambda: NOON_MS)
    monkeypatch.setattr(batching_app, "RESTORE_CHUNK", 1)
    monkeypatch.setattr(batching_app, "RESTORE_UNWRITTEN", 1)
    with without_compaction():
        yield


def new_life(log: Log, generation: int, folder: Path | None) -> Life:
    return Life(log, generation, folder, lambda: NOON_MS)


async def opened(log: Log, generation: int, folder: Path | None) -> Life:
    life = new_life(log, generation, folder)
    await life.restore(100)
    await life.open()
    return life


class Fork(NamedTuple):
    """Two workers that knew nothing of each other wrote one key: how it comes to that."""

    table: str
    events: tuple[list[Any], list[Any]]
    join: Callable[[bytes, bytes], bytes]
    decode: Callable[[bytes], Any]


MESSAGE = Fork(
    "messages",
    ([send(at=NOON_MS)], [make_receipt("delivered", NOON_MS)]),
    joining.join_encoded,
    state.decode,
)
NUMBER = Fork(
    "suppressions",
    ([send(at=NOON_MS), unsubscribe(NOON_MS, "m")], [send(at=NOON_MS), hard("m", NOON_MS)]),
    suppression.join_encoded,
    suppression.decode,
)


class Forked:
    """A log with such a key."""

    def __init__(self, fork: Fork) -> None:
        self.fork = fork
        self.log = Log()
        self.topic = CHANGELOGS[fork.table]

    async def write(self) -> None:
        """Each worker logs its record."""
        for generation, events in enumerate(self.fork.events, 1):
            log = Log()
            for event in events:
                topic, key, value = source_record(event, NOON_MS)
                log.append(topic, key, value, NOON_MS)
            life = await opened(log, generation, None)
            for topic in SOURCES:
                await life.take(topic, 100)
                await life.commit()
            each = log.records[self.topic][-1]
            self.log.append(self.topic, each.key, each.value, NOON_MS)

    def __len__(self) -> int:
        return len(self.log.records[self.topic])

    @property
    def joined(self) -> object:
        """What each worker has that reads both."""
        first, second = (each.value for each in self.log.records[self.topic][:2])
        found = self._unversioned(self.fork.join(first, second))
        assert found not in (self._unversioned(first), self._unversioned(second))
        return found

    @property
    def latest(self) -> object:
        return self._unversioned(self.log.records[self.topic][-1].value)

    def _unversioned(self, value: bytes) -> object:
        return replace(self.fork.decode(value), version=0)


@pytest.fixture(params=[MESSAGE, NUMBER], ids=["message", "number"])
async def forked(request: pytest.FixtureRequest) -> Forked:
    made = Forked(request.param)
    await made.write()
    return made


async def interrupt_opening(life: Life) -> None:
    """Another rebalance comes while the first record of the opening waits for the fence."""
    waits, prepare = asyncio.Event(), life.producer.prepare

    async def wait(*_args: Any) -> list[Any]:
        waits.set()
        await asyncio.Event().wait()
        raise AssertionError

    life.producer.prepare = wait  # type: ignore[method-assign]
    opening = asyncio.ensure_future(life.app.open_partitions())
    await asyncio.wait_for(waits.wait(), 10)
    await life.app.cancel_opening()
    with pytest.raises(RebalanceAgain):
        await opening
    life.producer.prepare = prepare  # type: ignore[method-assign]


@pytest.mark.parametrize("store", ["memory", "disk"])
async def test_an_opening_that_was_interrupted_is_made_up_for(forked, store, tmp_path):
    log = forked.log
    life = new_life(log, 3, tmp_path if store == "disk" else None)
    await life.restore(100)
    await interrupt_opening(life)
    assert len(forked) == 2
    life.begin_assignment(4)
    await life.restore(100)
    await life.open()
    await life.commit()
    assert forked.latest == forked.joined
    assert len(forked) == 3
    life.app.stores.close_all()


@pytest.mark.parametrize("store", ["memory", "disk"])
async def test_a_record_that_came_late_is_merged_at_the_next_rebalance(forked, store, tmp_path):
    """The worker keeps its partition, and takes it over again for what others wrote."""
    log = forked.log
    late = log.records[forked.topic].pop()
    log.ends[forked.topic] -= 1
    life = await opened(log, 3, tmp_path if store == "disk" else None)
    await life.commit()
    log.append(forked.topic, late.key, late.value, NOON_MS)
    life.begin_assignment(4)
    await life.restore(100)
    await life.open()
    await life.commit()
    assert forked.latest == forked.joined
    life.app.stores.close_all()


async def test_a_store_that_wrote_a_merged_value_logs_it_at_the_next_start(forked, tmp_path):
    """The worker died before. The next one reads neither record again."""
    log = forked.log
    first = new_life(log, 3, tmp_path / "first")
    await first.restore(100)
    first.flush_to_disk()
    first.kill(tmp_path / "second", 0, 0)
    second = new_life(log, 4, tmp_path / "second")
    await second.restore(100)
    assert second.tables[forked.fork.table].restored(0) == 0
    await second.open()
    await second.commit()
    assert forked.latest == forked.joined
    second.flush_to_disk()
    second.kill(tmp_path / "third", 0, 0)
    third = await opened(log, 5, tmp_path / "third")
    await third.commit()
    assert len(forked) == 3, "it was logged twice"
    third.app.stores.close_all()


async def test_a_merged_value_that_was_sent_and_is_not_acknowledged_is_sent_again(forked, tmp_path):
    """The worker died before the write that forgets the key."""
    log = forked.log
    first = await opened(log, 3, tmp_path / "first")
    assert len(first.producer.pending) > 0
    await first.app.run_before_commit()
    first.flush_to_disk()
    first.kill(tmp_path / "second", 0, 0)
    second = await opened(log, 4, tmp_path / "second")
    await second.commit()
    assert forked.latest == forked.joined
    second.app.stores.close_all()


@pytest.mark.parametrize("record", ["state", "tombstone"])
async def test_a_later_record_that_holds_all_needs_no_other(forked, record, tmp_path):
    """Another worker logged the merged value, or retired the message, meanwhile."""
    log = forked.log
    first = new_life(log, 3, tmp_path / "first")
    await first.restore(100)
    first.flush_to_disk()
    first.kill(tmp_path / "second", 0, 0)
    if record == "state":
        other = await opened(log, 4, None)
        await other.commit()
    else:
        log.append(forked.topic, log.records[forked.topic][0].key, None, NOON_MS)
    second = new_life(log, 5, tmp_path / "second")
    await second.restore(100)
    await second.open()
    assert second.tables[forked.fork.table].merged_keys(0) == set()
    await second.commit()
    assert len(forked) == 3
    second.app.stores.close_all()
