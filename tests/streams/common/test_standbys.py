"""Standbys that take over, and openings that are interrupted: what a worker has is what the states
say, by the rules of today."""

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from deploy.cli import cli
from models.accounts import Accounts
from models.state import decode, retention_day
from models.time import DAY_MS
from streams import rules
from streams.batching import StoppedPartition
from streams.batching import app as batching_app
from streams.common import context
from streams.common.proof import Findings
from streams.lifecycle import shard as lifecycle
from streams.state_check import prove
from tests.properties.events import NOON_MS
from tests.support.recipient_world import hard, make_receipt, send, unsubscribe
from tests.support.worker_world import (
    SOURCES,
    Died,
    Life,
    Log,
    source_record,
    without_compaction,
)


class World:
    """A log with an active worker in memory, whose standbys follow; time passes by hand."""

    def __init__(self) -> None:
        self.now = NOON_MS
        self.log = Log()
        self.generation = 0

    def life(self, folder: Path | None) -> Life:
        self.generation += 1
        return Life(self.log, self.generation, folder, lambda: self.now)

    async def opened(self, folder: Path | None) -> Life:
        life = self.life(folder)
        await life.restore(100)
        await life.open()
        return life

    def publish(self, *events: Any) -> None:
        for event in events:
            topic, key, value = source_record(event, self.now)
            self.log.append(topic, key, value, self.now)


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    """What a standby reads it writes at once, and folds in small steps."""
    made = World()
    monkeypatch.setattr(context, "wall_ms", lambda: made.now)
    monkeypatch.setattr(batching_app, "STANDBY_CHUNK", 1)
    for module in ("common.shard", "common.agent", "lifecycle.shard"):
        monkeypatch.setattr(f"streams.{module}.CHUNK_SIZE", 2)
    monkeypatch.setattr("streams.lifecycle.agent.RETIRED_AT_ONCE", 2)
    monkeypatch.setattr("streams.common.agent.FOLDED_AT_ONCE", 2)
    with without_compaction():
        yield made


async def work(life: Life) -> None:
    """All is read and committed, also what follows from it."""
    for _ in range(2):
        for topic in SOURCES:
            await life.take(topic, 100)
        await life.commit()


def cells(life: Life) -> dict[bytes, list[int]]:
    by_key = life.worker.lifecycle.shards[0].cells.by_key
    return {key: cell.counts for key, cell in by_key.items() if any(cell.counts)}


def proved(life: Life) -> Findings:
    assert life.opened is not None
    return prove(0, StoppedPartition.of(life.opened), Accounts(), lambda *_: None)


@pytest.mark.parametrize("store", ["memory", "disk"])
async def test_a_standby_goes_on_from_what_it_has_read(world, store, tmp_path, monkeypatch):
    """Written or not: it reads none of it again."""
    monkeypatch.setattr(batching_app, "STANDBY_CHUNK", 2_000)
    active = await world.opened(None)
    world.publish(*(send(f"m{number}", NOON_MS) for number in range(5)))
    await work(active)
    standby = world.life(tmp_path if store == "disk" else None)
    await standby.follow(100, 3)
    await standby.restore(100)
    assert all(table.restored(0) == 0 for table in standby.tables.values())
    await standby.open()
    assert cells(standby) == cells(active)
    assert len(standby.tables["messages"].partition(0)) == 5
    standby.app.stores.close_all()


# --- other rules ------------------------------------------------------------------------------


def of_another_day(rule: Callable[..., int]) -> Callable[..., int]:
    return lambda *given: rule(*given) + 1


@contextmanager
def older_rules() -> Iterator[None]:
    """Another day, other cells and another second follow from a state."""
    counted = lifecycle.contribution

    def contribution(account: str, state: Any) -> Any:
        found = counted("old-" + account, state)
        assert found is not None
        return found

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr("streams.worker.fingerprint", lambda: "older rules")
        patched.setattr(lifecycle, "retention_day", of_another_day(lifecycle.retention_day))
        patched.setattr(lifecycle, "wakes_at", lambda state, settings: NOON_MS + DAY_MS)
        patched.setattr(lifecycle, "contribution", contribution)
        yield


async def standby_of_older_rules(world: World, folder: Path) -> Life:
    """The active worker in memory; what its standby left when it was replaced is in the folder."""
    active = await world.opened(None)
    world.publish(*(send(f"m{number}", NOON_MS) for number in range(7)))
    world.publish(make_receipt("delivered", NOON_MS, "m1"), hard("m2", NOON_MS))
    world.publish(unsubscribe(NOON_MS, "m3"))
    await work(active)
    with older_rules():
        standby = world.life(folder.parent / "older")
        await standby.follow(100, 3)
        standby.flush_to_disk()
        standby.kill(folder, 0, 0)
    return active


def assert_of_the_rules_of_today(life: Life, active: Life) -> None:
    assert cells(life) == cells(active)
    assert not any(b"old-acme" in key for key in cells(life))
    findings = proved(life)
    assert findings.is_exact, findings
    assert (findings.unproved, findings.values) == ({}, 8)
    assert life.opened is not None
    identity = life.opened.identity()
    assert identity is not None and identity["rules"] == rules.fingerprint()


@pytest.mark.parametrize("reads", [0, 1, 2, 3, 9])
async def test_a_standby_that_other_rules_wrote_is_folded_again(world, reads, tmp_path):
    """reads: so often it reads as a standby before it takes over."""
    active = await standby_of_older_rules(world, tmp_path / "state")
    world.publish(make_receipt("delivered", NOON_MS, "m4"))
    await work(active)
    heir = world.life(tmp_path / "state")
    await heir.follow(1, reads)
    await heir.restore(1)
    await heir.open()
    await work(heir)
    assert_of_the_rules_of_today(heir, active)
    heir.app.stores.close_all()


@pytest.mark.parametrize("steps", [1, 2, 3])
async def test_a_standby_that_takes_over_while_all_is_folded_again(world, steps, tmp_path):
    """What was folded is folded again; the fold that was interrupted goes no further.

    steps: of the loop, so long it folds as a standby
    """
    active = await standby_of_older_rules(world, tmp_path / "state")
    heir = world.life(tmp_path / "state")
    following = asyncio.ensure_future(heir.follow(100, 1))
    for _ in range(steps):
        await asyncio.sleep(0)
    assert not following.done()
    assert heir.app.stores.is_refolding(0)
    await heir.restore(100)
    await asyncio.gather(heir.open(), following)
    await work(heir)
    assert_of_the_rules_of_today(heir, active)
    heir.app.stores.close_all()


@pytest.mark.parametrize("steps", range(1, 9))
async def test_an_opening_that_is_interrupted_while_all_is_folded_again(world, steps, tmp_path):
    """Wherever it was: what is missing is folded by the next one.

    steps: of the loop, so long it folds
    """
    active = await standby_of_older_rules(world, tmp_path / "state")
    heir = world.life(tmp_path / "state")
    await heir.restore(100)
    opening = asyncio.ensure_future(heir.app.open_partitions())
    for _ in range(steps):
        await asyncio.sleep(0)
    await heir.app.cancel_opening()
    await asyncio.wait([opening])
    heir.begin_assignment(9)
    await heir.restore(100)
    await heir.open()
    await work(heir)
    assert_of_the_rules_of_today(heir, active)
    heir.app.stores.close_all()


# --- retirement -------------------------------------------------------------------------------


@pytest.mark.parametrize("compacted", [False, True], ids=["whole", "compacted"])
@pytest.mark.parametrize("store", ["memory", "disk"])
@pytest.mark.parametrize("size", [1, 100])
async def test_nothing_of_a_retired_day_is_left_in_a_standby(
    world, store, compacted, size, tmp_path
):
    """It followed before and after the day was retired.

    size: records that it reads at once of each changelog in turn
    """
    active = await world.opened(None)
    world.publish(*(send(f"m{number}", NOON_MS) for number in range(5)))
    world.publish(make_receipt("delivered", NOON_MS, "m1"))
    await work(active)
    folder = tmp_path / "state" if store == "disk" else None
    standby = world.life(folder)
    await standby.follow(100, 3)
    world.now += 250 * 3_600_000
    world.publish(send("new", world.now))
    await work(active)
    await work(active)
    assert sum(each.value is None for each in world.log.records["message-states"]) == 5
    if compacted:
        for topic in ("message-states", "status-counters"):
            world.log.compact(topic)
    await standby.follow(size, 60)
    active.kill(None, 0, 0)
    await standby.restore(100)
    assert all(table.restored(0) == 0 for table in standby.tables.values())
    await standby.open()
    shard = standby.worker.lifecycle.shards[0]
    states = dict(shard.stored.items_of(b""))
    assert states.keys() == {b"acme/new"}
    today = retention_day(decode(states[b"acme/new"]))
    assert shard.days.first() == today == world.now // DAY_MS
    assert len(shard.timers) == 1
    assert {cell.day for cell in shard.cells.by_key.values()} == {today}
    assert cells(standby) == cells(active)
    await work(standby)
    standby.app.stores.close_all()
    if folder is not None:
        assert_nothing_is_found(folder)


@pytest.mark.parametrize("at", [1, 2, 3])
@pytest.mark.parametrize("store", ["memory", "disk"])
async def test_a_retirement_that_was_interrupted_twice_is_finished(
    world, store, at, tmp_path, monkeypatch
):
    """A worker died before its tombstones, and a rebalance interrupted the opening of the next one
    that was about to put them: days and timers that it took are there again.

    at: the put that waits
    """
    folders = {"disk": (tmp_path / "first", tmp_path / "second")}.get(store, (None, None))
    first = await world.opened(folders[0])
    world.publish(*(send(f"m{number}", NOON_MS) for number in range(3)))
    await work(first)
    world.now += 250 * 3_600_000
    world.publish(send("new", world.now))
    await die_retiring(first, monkeypatch)
    first.flush_to_disk()
    first.kill(folders[1], 9, 0)
    second = world.life(folders[1])
    await second.restore(100)
    second.producer.interrupted_at = at
    with pytest.raises(Died):
        await second.open()
    second.producer.interrupted_at = None
    await second.producer.flush()
    second.begin_assignment(9)
    await second.restore(100)
    await second.open()
    await work(second)
    last = {each.key: each.value for each in world.log.records["message-states"]}
    assert {key for key, value in last.items() if value is not None} == {b"acme/new"}
    second.app.stores.close_all()
    if folders[1] is not None:
        assert_nothing_is_found(folders[1])


async def die_retiring(life: Life, monkeypatch: pytest.MonkeyPatch) -> None:
    """The worker dies when its mark is acknowledged, before any tombstone of a state."""

    async def die(shard: Any) -> None:
        if shard.days.first() <= shard.retired_day:
            raise Died

    async def retire() -> None:
        for _ in range(3):
            await work(life)

    with monkeypatch.context() as patched:
        patched.setattr(life.worker.lifecycle, "_delete_retired", die)
        with pytest.raises(Died):
            await retire()


def assert_nothing_is_found(folder: Path) -> None:
    """`receipts state check` proves all of it."""
    found = CliRunner().invoke(cli, ["state", "check", "--dir", str(folder), "--offline"])
    assert found.exit_code == 0, found.output
