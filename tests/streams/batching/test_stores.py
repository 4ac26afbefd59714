"""One contract for states in memory and on disk, and what a store on disk has after each write."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from copy import deepcopy
from pathlib import Path
from tempfile import mkdtemp

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from streams.batching.errors import StateFolderError
from streams.batching.stores.base import LASTING, StateStore
from streams.batching.stores.cache import Cache
from streams.batching.stores.database import Database, Memory
from streams.batching.stores.disk import DiskStore
from streams.batching.stores.memory import MemoryStore

MEMORY = Memory()
KEYS = st.sampled_from([b"a/1", b"a/1", b"a/2", b"a/22", b"\xff"])
VALUES = st.binary(min_size=1, max_size=8)
SECONDS = st.integers(1, 9)
MAYBE = st.one_of(st.none(), SECONDS)


def disk_store(path: Path, cache_bytes: int = 1 << 20) -> tuple[Database, DiskStore]:
    database = Database(path, MEMORY)
    return database, DiskStore(database, b"\x01", Cache(cache_bytes))


@pytest.fixture(params=["memory", "disk"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[StateStore]:
    if request.param == "memory":
        yield MemoryStore()
        return
    database, store = disk_store(tmp_path / "db")
    yield store
    database.close()


@pytest.fixture(params=["unwritten", "written"])
def settle(request: pytest.FixtureRequest, store: StateStore):
    """Write what changed, or leave it."""

    def write() -> None:
        if request.param == "written":
            store.freeze()
            store.write(1)
            store.written()

    return write


# --- the contract -----------------------------------------------------------------------------


def test_values_are_there_until_they_are_discarded(store, settle):
    store[b"k"], store[b"l"] = b"1", b"2"
    settle()
    assert (store[b"k"], store.get(b"l"), store.get(b"m"), len(store)) == (b"1", b"2", None, 2)
    assert b"k" in store and b"m" not in store
    store[b"k"] = b"3"
    store.discard(b"l")
    store.discard(b"never there")
    settle()
    assert (store[b"k"], store.get(b"l"), len(store)) == (b"3", None, 1)
    with pytest.raises(KeyError):
        store[b"l"]


def test_items_of_a_prefix(store, settle):
    for key in (b"a/1", b"a/2", b"b/1"):
        store[key] = key
    settle()
    store[b"a/3"] = b"new"
    store.discard(b"a/1")
    assert dict(store.items_of(b"a/")) == {b"a/2": b"a/2", b"a/3": b"new"}
    assert dict(store.items_of(b"")) == {b"a/2": b"a/2", b"a/3": b"new", b"b/1": b"b/1"}


def test_items_of_a_prefix_are_as_they_are_when_they_are_yielded(store, settle):
    for number in range(5):
        store[b"%d" % number] = b"old"
    settle()
    seen = {}
    for key, value in store.items_of(b""):
        seen[key] = value
        store[b"4"] = b"new"
        if key != b"0":
            store.discard(b"0")
    assert seen.get(b"4") in {b"new", b"old"}
    assert set(seen) >= {b"1", b"2", b"3", b"4"}


def test_keys_are_due_from_their_second_on_and_once(store, settle):
    for key, at_ms in ((b"a", 1), (b"b", 1_001), (b"c", 2_000), (b"d", 99_000)):
        store[key] = b"v"
        store.timers.set(key, at_ms)
    settle()
    assert not store.timers.any_due(999)
    assert store.timers.take_due(999, 10) == []
    assert store.timers.any_due(1_000)
    assert store.timers.take_due(1_999, 10) == [b"a"]
    settle()
    assert sorted(store.timers.take_due(2_000, 10)) == [b"b", b"c"]
    assert not store.timers.any_due(98_999)
    store.timers.set(b"a", 5_000)
    settle()
    assert store.timers.take_due(99_000, 1) != []
    assert store.timers.take_due(99_000, 1) != []
    assert store.timers.take_due(99_000, 1) == []


def test_no_more_keys_are_taken_than_asked_for(store, settle):
    for number in range(7):
        store[b"%d" % number] = b"v"
        store.timers.set(b"%d" % number, 1 + number % 2)
        store.days.add(number % 3, b"%d" % number)
    settle()
    taken = [store.timers.take_due(5_000, 3) for _ in range(4)]
    assert [len(keys) for keys in taken] == [3, 3, 1, 0]
    assert sorted(key for keys in taken for key in keys) == [b"%d" % number for number in range(7)]
    days = [store.days.take(1, 2) for _ in range(4)]
    assert [len(keys) for keys in days] == [2, 2, 1, 0]
    assert sorted(key for keys in days for key in keys) == [b"0", b"1", b"3", b"4", b"6"]
    assert store.days.first() == 2


def test_days_know_the_first_that_has_keys(store, settle):
    assert store.days.first() is None
    store.days.add(20_000, b"late")
    store.days.add(19_000, b"early")
    settle()
    assert store.days.first() == 19_000
    assert store.days.take(19_999, 10) == [b"early"]
    settle()
    assert store.days.first() == 20_000


def test_a_day_that_lost_its_only_key_hides_no_other(store, settle):
    """It lies before all others; one that comes later lies behind them."""
    store.days.add(20_000, b"stays")
    settle()
    store.days.add(19_000, b"moves")
    if store.durable:
        store.days.remove(19_000, b"moves")
    else:
        assert store.days.take(19_000, 10) == [b"moves"]
    store.days.add(21_000, b"moves")
    assert store.days.first() == 20_000


def test_a_prefetched_value_is_what_was_put_last(store, settle):
    store[b"k"] = b"1"
    settle()
    store.prefetch([b"k", b"k", None, b"unknown"])
    store[b"k"] = b"2"
    store[b"unknown"] = b"3"
    store.prefetch([b"k", b"unknown"])
    assert (store[b"k"], store[b"unknown"]) == (b"2", b"3")


# --- a store on disk --------------------------------------------------------------------------


class StoreMachine(RuleBasedStateMachine):
    """A store on disk against plain dicts: what it shows, and what it goes back to."""

    @initialize(cache_bytes=st.sampled_from([0, 1_000, 1 << 20]))
    def begin(self, cache_bytes: int) -> None:
        self.path = Path(mkdtemp())
        self.cache_bytes = cache_bytes
        self.database, self.store = disk_store(self.path / "db", cache_bytes)
        self.now: dict = {"values": {}, "seconds": {}, "days": set(), "notes": {}}
        self.frozen = deepcopy(self.now)
        self.offset, self.written_at = 0, -1
        self.writing = False
        self.on_disk = deepcopy(self.now)

    @rule(changes=st.lists(st.tuples(KEYS, VALUES, MAYBE, MAYBE), min_size=1, max_size=4))
    def put(self, changes: list[tuple[bytes, bytes, int | None, int | None]]) -> None:
        for key, value, second, day in changes:
            self.store[key] = value
            self.now["values"][key] = value
            if second is not None:
                self.set_timer(key, second)
            if day is not None:
                self.add_day(key, day)

    @rule(key=KEYS)
    def discard(self, key: bytes) -> None:
        self.store.discard(key)
        if self.now["values"].pop(key, None) is not None:
            self.now["seconds"].pop(key, None)

    def set_timer(self, key: bytes, second: int) -> None:
        self.store.timers.set(key, second * 1000)
        self.now["seconds"][key] = second

    @rule(key=KEYS)
    def clear_timer(self, key: bytes) -> None:
        if key in self.now["values"]:
            self.store.timers.clear(key)
            self.now["seconds"].pop(key, None)

    @rule(second=SECONDS, most=st.integers(1, 3))
    def take_due(self, second: int, most: int) -> None:
        due = {key for key, at in self.now["seconds"].items() if at <= second}
        assert self.store.timers.any_due(second * 1000) == bool(due)
        taken = self.store.timers.take_due(second * 1000, most)
        assert len(taken) == len(set(taken)) == min(most, len(due))
        assert set(taken) <= due
        for key in taken:
            del self.now["seconds"][key]

    def add_day(self, key: bytes, day: int) -> None:
        for known in [each for each in self.now["days"] if each[1] == key]:
            self.store.days.remove(*known)  # a value belongs to one day
            self.now["days"].discard(known)
        self.store.days.add(day, key)
        self.now["days"].add((day, key))

    @rule(key=KEYS)
    def remove_day(self, key: bytes) -> None:
        for known in [each for each in self.now["days"] if each[1] == key]:
            self.store.days.remove(*known)
            self.now["days"].discard(known)

    @rule(day=SECONDS, most=st.integers(1, 3))
    def take_day(self, day: int, most: int) -> None:
        there = [each for each in self.now["days"] if each[0] <= day]
        taken = self.store.days.take(day, most)
        assert len(taken) == min(most, len(there))
        for key in taken:
            (found,) = [each for each in there if each[1] == key]
            self.now["days"].discard(found)

    @rule(key=KEYS, note=VALUES)
    def note(self, key: bytes, note: bytes) -> None:
        self.store.notes[key] = note
        self.now["notes"][key] = note

    @rule(key=KEYS)
    def forget_note(self, key: bytes) -> None:
        self.store.notes.pop(key, None)
        self.now["notes"].pop(key, None)

    @precondition(lambda self: not self.writing)
    @rule()
    def freeze(self) -> None:
        self.store.freeze()
        self.frozen = deepcopy(self.now)

    @precondition(lambda self: not self.writing)
    @rule(freezes=st.booleans())
    def write(self, freezes: bool) -> None:
        """A thread writes; the store is read and changed meanwhile."""
        if freezes:
            self.freeze()
        self.offset += 1
        self.store.write(self.offset)
        self.on_disk, self.written_at = deepcopy(self.frozen), self.offset
        self.writing = True

    @precondition(lambda self: self.writing)
    @rule()
    def written(self) -> None:
        assert self.store.written() >= 0
        self.frozen = deepcopy(self.on_disk)
        self.writing = False

    @rule(how=st.sampled_from(["revert", "reopen", "refold"]))
    def begin_again(self, how: str) -> None:
        if self.writing and how != "reopen":
            self.written()
        getattr(self, how)()

    def revert(self) -> None:
        self.store.revert()
        self._back_to_disk()

    def reopen(self) -> None:
        self.store.close()
        self.database.close()
        self.database, self.store = disk_store(self.path / "db", self.cache_bytes)
        self.writing = False
        self._back_to_disk()

    def refold(self) -> None:
        """Values stay, what follows from them is forgotten and folded again."""
        self.store.refold()
        self._back_to_disk()
        assert not list(self.store.timers) and self.store.days.first() is None
        values = {key: value for key, before, value in self.store.unfolded() if before is None}
        assert values == self.now["values"]
        self.now |= {"seconds": {}, "days": set(), "notes": {}}
        self.on_disk |= {"seconds": {}, "days": set(), "notes": {}}
        self.frozen = deepcopy(self.on_disk)

    def _back_to_disk(self) -> None:
        self.now, self.frozen = deepcopy(self.on_disk), deepcopy(self.on_disk)
        assert self.store.offset == self.written_at
        assert not self.store.is_changed

    @invariant()
    def shows_what_was_put(self) -> None:
        if not hasattr(self, "store"):
            return
        assert dict(self.store.items_of(b"")) == self.now["values"]
        assert len(self.store) == len(self.now["values"])
        assert dict(self.store.notes) == self.now["notes"]
        assert self.store.days.first() == min((day for day, _ in self.now["days"]), default=None)
        assert dict(self.store.timers) == self.now["seconds"]
        for key in (b"a/1", b"\xff", b"unknown"):
            assert self.store.get(key) == self.now["values"].get(key)

    def teardown(self) -> None:
        self.database.close()
        shutil.rmtree(self.path)


StoreMachine.TestCase.settings = settings(
    max_examples=150, stateful_step_count=40, suppress_health_check=list(HealthCheck)
)
TestStoreMachine = StoreMachine.TestCase


def test_changes_after_the_freeze_are_not_part_of_the_write(tmp_path):
    database, store = disk_store(tmp_path / "db")
    store[b"k"], store[b"l"] = b"frozen", b"frozen"
    store.timers.set(b"k", 1_000)
    store.freeze()
    store[b"k"] = b"later"
    store.discard(b"l")
    store[b"m"], store[b"n"] = b"later", b"later"
    store.timers.set(b"k", 5_000)
    store.write(7)
    store.written()
    assert dict(store.items_of(b"")) == {b"k": b"later", b"m": b"later", b"n": b"later"}
    assert store.timers.take_due(1_000, 9) == []
    assert store.timers.take_due(5_000, 9) == [b"k"]
    store.close()
    database.close()
    database, again = disk_store(tmp_path / "db")
    assert dict(again.items_of(b"")) == {b"k": b"frozen", b"l": b"frozen"}
    assert (again.offset, len(again)) == (7, 2)
    assert again.timers.take_due(1_000, 9) == [b"k"]
    database.close()


def test_items_are_as_they_are_when_they_are_yielded_also_after_a_write(tmp_path):
    database, store = disk_store(tmp_path / "db")
    for key in (b"a", b"b", b"c", b"d"):
        store[key] = b"1"
    store.freeze()
    store.write(1)
    store.written()
    items, seen = store.items_of(b""), {}
    seen |= [next(items)]
    store[b"b"] = b"2"
    store.discard(b"c")
    store.freeze()
    store.write(2)
    store.written()
    store[b"d"] = b"3"
    seen |= items
    assert seen == {b"a": b"1", b"b": b"2", b"d": b"3"}
    database.close()


def test_only_what_changed_is_unfolded_with_what_was_there(tmp_path):
    database, store = disk_store(tmp_path / "db")
    for key in (b"stays", b"changes", b"goes"):
        store[key] = b"1"
    store.freeze()
    store.write(3)
    store.written()
    store[b"changes"], store[b"comes"] = b"2", b"2"
    store.discard(b"goes")
    assert set(store.unfolded()) == {
        (b"changes", b"1", b"2"),
        (b"comes", None, b"2"),
        (b"goes", b"1", None),
    }
    database.close()


def test_a_lasting_note_outlives_a_fold_of_everything(tmp_path):
    database, store = disk_store(tmp_path / "db")
    store.notes[LASTING + b"merged"], store.notes[b"cell"] = b"keys", b"counts"
    store.freeze()
    store.write(0)
    store.written()
    store.refold()
    assert dict(store.notes) == {LASTING + b"merged": b"keys"}
    database.close()


def test_a_second_process_does_not_open_a_database(tmp_path):
    database, _ = disk_store(tmp_path / "db")
    with pytest.raises(StateFolderError, match="another process uses it"):
        Database(tmp_path / "db", MEMORY)
    database.close()


def test_a_database_that_is_opened_again_has_our_cache_and_our_filters(tmp_path):
    """rocksdict opens it as it was saved, unless it is given options of the column family."""
    Database(tmp_path, Memory()).close()
    memory = Memory()
    again = Database(tmp_path, memory)
    again.write((b"key %d" % number, b"x" * 100) for number in range(20_000))
    again.flush()
    again.close()
    memory = Memory()
    again = Database(tmp_path, memory)
    assert again.get(b"key 7") == b"x" * 100
    assert memory.blocks.get_usage() > 0
    blocks = memory.blocks.get_usage()
    absent = [b"key %d no" % (20 * number) for number in range(1000)]
    assert again.get_many(absent) == [None] * 1000
    # A few pass the filter; without it each of a thousand keys would need its block.
    assert memory.blocks.get_usage() - blocks < 200_000
    again.close()
