"""States on disk are as exact as in memory: a worker dies at any step, another takes over, and has
what one has that reads the whole changelog (ADR 0015)."""

import asyncio
import shutil
from collections.abc import Callable, Iterable
from contextlib import ExitStack, suppress
from copy import deepcopy
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    initialize,
    precondition,
    rule,
)

from models.accounts import AccountSettings
from models.state import decode
from models.suppression import decode as decode_suppression
from streams.batching import StoppedPartition
from streams.batching import app as batching_app
from streams.common import context
from streams.state_check import prove
from tests.properties.events import NOON_MS, events
from tests.support.dying_machine import DyingMachine
from tests.support.recipient_world import send
from tests.support.worker_world import (
    CHANGELOGS,
    SOURCES,
    Died,
    Life,
    Log,
    Pending,
    source_record,
    without_compaction,
)

HOUR_MS = 3_600_000
OWNERS = st.sampled_from(["memory", "a", "a", "b"])
CHUNKS = st.sampled_from([1, 2, 5, 100])
INTERRUPTED = st.one_of(st.none(), st.integers(1, 4))
STEPS = ["", "", "", "produced", "acknowledged", "committed", "written"]
SETTINGS = [
    {},
    {"validity_s": 600},
    {"retry_soft_bounces": False},
    {"strike_limit": 1, "suppression_days": 1},
]
#: What a proof may leave out here: no rule raises.
LEFT = {
    "its day is retired",
    "the settings of its account changed, or are not known here",
    "a cell is not published yet",
}


class WorkerMachine(DyingMachine):
    """One partition and its workers, one after the other: in memory, in folder a or b. Another
    one may follow as a standby meanwhile."""

    @initialize(owner=OWNERS, still=st.booleans())
    def begin(self, owner: str, still: bool) -> None:
        self.root = Path(mkdtemp())
        self.runner = asyncio.Runner()
        self.patched = ExitStack()
        patch = self.patched.enter_context(pytest.MonkeyPatch.context())
        self.patched.enter_context(without_compaction())
        for module in ("streams.worker", "streams.state_check"):
            patch.setattr(f"{module}.fingerprint", lambda: str(self.rules))
        for module in ("common.shard", "common.agent", "lifecycle.shard"):
            patch.setattr(f"streams.{module}.CHUNK_SIZE", 2)
        patch.setattr("streams.lifecycle.agent.RETIRED_AT_ONCE", 2)
        patch.setattr("streams.common.agent.FOLDED_AT_ONCE", 2)
        patch.setattr(batching_app, "RESTORE_CHUNK", 3)
        patch.setattr(batching_app, "RESTORE_UNWRITTEN", 3)
        patch.setattr(batching_app, "STANDBY_CHUNK", 2)
        patch.setattr(context, "wall_ms", lambda: self.now)
        self.now, self.still = NOON_MS, still
        self.rules = 1
        self.accounts: list[AccountSettings] = []
        self.log = Log()
        self.folders: dict[str, Path] = {}
        self.generation = self.kills = 0
        self.late: list[Pending] = []
        self.tampered = False
        self.standby: Life | None = None
        self.start(owner, 100, None)

    # --- events, time, settings -----------------------------------------------------------------

    @rule(batch=events)
    def publish(self, batch: Iterable[Any]) -> None:
        for event in batch:
            topic, key, value = source_record(event, self.now)
            self.log.append(topic, key, value, self.now)

    @precondition(lambda self: not self.still)
    @rule(hours=st.sampled_from([1, 3, 24, 250]))
    def wait(self, hours: int) -> None:
        self.now += hours * HOUR_MS

    @precondition(lambda self: not self.still)
    @rule(given=st.sampled_from(SETTINGS))
    def change_settings(self, given: dict[str, Any]) -> None:
        self.accounts = [AccountSettings(account="acme", **given)]
        for life in (self.life, self.standby):
            if life is not None:
                life.worker.accounts.publish(self.accounts[0])
                life.worker.lifecycle.rearm("acme")

    @rule()
    def release(self) -> None:
        """The next worker has other rules by name: it derives again what it has on disk."""
        self.kill()
        self.update_rules()
        self.start("a", 2, None)

    # --- work -----------------------------------------------------------------------------------

    @rule(topic=st.sampled_from(SOURCES), most=st.integers(1, 8), fails=st.integers(0, 12))
    def take(self, topic: str, most: int, fails: int) -> None:
        self.attempt(lambda: self.life.take(topic, most), fails)

    @rule(
        dies=st.sampled_from(STEPS),
        fails=st.integers(0, 12),
        meanwhile=st.sampled_from(["", *SOURCES[:3]]),
    )
    def commit(self, dies: str, fails: int, meanwhile: str) -> None:
        self.attempt(lambda: self.life.commit(dies, meanwhile), fails)

    @rule()
    def work(self) -> None:
        """A quiet moment: all is read and committed."""
        for topic in SOURCES:
            self.run(self.life.take(topic, 100))
        self.run(self.life.commit())

    @precondition(lambda self: not self.still)
    @rule(fails=st.integers(0, 5))
    def retire(self, fails: int) -> None:
        """Ten days later all days retire that there were, unless the worker dies before."""
        self.now += 250 * HOUR_MS
        self.publish([send(f"of {self.now}", self.now)])
        self.run(self.life.take("sends", 100))
        self.run(self.life.commit())  # what is due
        self.attempt(lambda: self.life.commit(), fails)

    # --- deaths ---------------------------------------------------------------------------------

    @rule(
        owner=OWNERS,
        size=CHUNKS,
        arrives=st.integers(0, 3),
        late=st.integers(0, 2),
        dies_after=st.one_of(st.none(), st.integers(0, 6)),
        dies_writing=st.one_of(st.none(), st.integers(1, 4)),
        follows=st.integers(0, 6),
        interrupted_at=INTERRUPTED,
        clean=st.booleans(),
        released=st.sampled_from([False, False, True]),
    )
    def die(
        self,
        owner: str,
        size: int,
        arrives: int,
        late: int,
        dies_after: int | None,
        dies_writing: int | None,
        follows: int,
        interrupted_at: int | None,
        clean: bool,
        released: bool,
    ) -> None:
        """dies_after: so many reads of the next restore; dies_writing: so many writes of it.
        follows: it was a standby before, and has read so many times. interrupted_at: as of a
        rebalance."""
        if clean:
            self.life.flush_to_disk()
        self.kill(arrives, late)
        if released:
            self.update_rules()
        self.start(owner, size, dies_after, dies_writing, follows, interrupted_at)

    @rule(
        size=CHUNKS,
        interrupted_after=st.one_of(st.none(), st.integers(0, 6)),
        interrupted_at=INTERRUPTED,
    )
    def rebalance(
        self, size: int, interrupted_after: int | None, interrupted_at: int | None
    ) -> None:
        """The worker keeps its partition. Other rebalances may interrupt it: after so many reads of
        its restore, and where its opening is about to write so many times."""
        self.run(self.life.commit())
        if interrupted_after is not None:
            self.assign_again(size, interrupted_after)
        self.assign_again(size, None)
        self.interrupt_opening(interrupted_at)
        self.compare_restored()

    def interrupt_opening(self, at: int | None) -> None:
        if at is None:
            return
        producer = self.life.producer
        producer.interrupted_at = producer.prepared + at
        with suppress(Died):
            self.run(self.life.open())
        producer.interrupted_at = None
        self.run(producer.flush())  # as the consumer does it when partitions are revoked
        self.assign_again(100, None)

    def assign_again(self, size: int, reads: int | None) -> None:
        self.generation += 1
        self.life.begin_assignment(self.generation)
        with suppress(Died):
            self.run(self.life.restore(size, reads))

    def kill(self, arrives: int = 1, late: int = 0) -> None:
        on_the_way = self.killed(self.life, self.owner, arrives, late)
        self.late += [each for each in on_the_way if each.topic in CHANGELOGS.values()]

    def start(
        self,
        owner: str,
        size: int,
        dies_after: int | None,
        dies_writing: int | None = None,
        follows: int = 0,
        interrupted_at: int | None = None,
    ) -> None:
        """A worker starts, and may die while it restores; the next one then does not."""
        self.owner = owner
        self.generation += 1
        self.life = self.promoted(owner) or self.worker_in(owner)
        self.life.die_at_checkpoint(dies_writing)
        try:
            self.run(self.life.follow(size, follows))
            self.run(self.life.restore(size, dies_after))
            self.interrupt_opening(interrupted_at)
            self.compare_restored()
        except Died:
            self.kill()
            self.start(owner, size, None)

    def worker_in(self, owner: str) -> Life:
        folder = None
        if owner != "memory":
            folder = self.folders.setdefault(owner, self.root / owner)
        return Life(self.log, self.generation, folder, lambda: self.now, self.accounts)

    # --- standbys -------------------------------------------------------------------------------

    @precondition(lambda self: self.standby is None)
    @rule(owner=OWNERS)
    def stand_by(self, owner: str) -> None:
        """Another worker follows from now on."""
        self.standing = "b" if owner == self.owner == "a" else owner
        if self.standing != self.owner or owner == "memory":
            self.standby = self.worker_in(self.standing)

    @precondition(lambda self: self.standby is not None)
    @rule(size=CHUNKS, reads=st.integers(1, 6))
    def follow(self, size: int, reads: int) -> None:
        assert self.standby is not None
        self.run(self.standby.follow(size, reads))
        if self.standby.opened is not None:
            self.prove(StoppedPartition.of(self.standby.opened))

    @precondition(lambda self: self.standby is not None)
    @rule(
        size=CHUNKS,
        arrives=st.integers(0, 3),
        late=st.integers(0, 2),
        interrupted_at=INTERRUPTED,
    )
    def take_over(self, size: int, arrives: int, late: int, interrupted_at: int | None) -> None:
        self.kill(arrives, late)
        self.start(self.standing, size, None, interrupted_at=interrupted_at)

    def promoted(self, owner: str) -> Life | None:
        """The standby, if it is to take over."""
        heir = self.standby
        if heir is None or owner != self.standing:
            return None
        self.standby = None
        heir.begin_assignment(self.generation)
        return heir

    def update_rules(self) -> None:
        """All workers are replaced by those of another release."""
        self.rules += 1
        if self.standby is not None:
            self.killed(self.standby, self.standing, 0, 0)
            self.standby = None

    def compare_restored(self) -> None:
        """What was restored from disk is what another restores from the whole changelog."""
        log = deepcopy(self.log)
        whole = Life(log, self.generation, None, lambda: self.now, self.accounts)
        self.run(whole.restore(100))
        for name, table in self.life.tables.items():
            restored = dict(table.restored_store(0).items_of(b""))
            expected = dict(whole.tables[name].restored_store(0).items_of(b""))
            assert restored.keys() == expected.keys()
            for key, value in restored.items():
                assert _whole(name, value) == _whole(name, expected[key])
        self.run(whole.open())
        self.run(self.life.open())
        mine, theirs = self.life.worker.lifecycle.shards[0], whole.worker.lifecycle.shards[0]
        assert mine.retired_day == theirs.retired_day
        assert _counted(mine) == _counted(theirs)
        judge = self.life.worker.suppression.shards[0]
        assert mine.version >= self.highest("message-states", decode)
        assert judge.version >= self.highest("suppressions", decode_suppression)

    def highest(self, topic: str, read: Callable[[bytes], Any]) -> int:
        """The highest version that the changelog has."""
        records = self.log.records[topic]
        return max((read(each.value).version for each in records if each.value), default=0)

    @precondition(lambda self: not self.tampered)
    @rule(topic=st.sampled_from(list(CHANGELOGS.values())))
    def compact(self, topic: str) -> None:
        self.log.compact(topic)

    # --- proofs ---------------------------------------------------------------------------------

    def prove(self, stopped: StoppedPartition) -> None:
        if stopped.rules != str(self.rules):  # the next start derives all again
            return
        findings = prove(0, stopped, self.life.worker.accounts, lambda *_: None)
        assert findings.is_exact, findings
        assert findings.unproved.keys() <= LEFT, findings

    def teardown(self) -> None:
        if not hasattr(self, "life"):
            return
        self.rebalance(100, None, None)  # what arrived late is read
        for _ in range(3):
            self.work()
        self.compare_latest()
        if self.still:
            self.compare_uninterrupted()
        for life in (self.life, self.standby):
            if life is not None:
                life.app.stores.close_all()
        self.runner.close()
        self.patched.close()
        shutil.rmtree(self.root)

    def compare_latest(self) -> None:
        """The changelog has every value in one record, which compaction keeps."""
        for name in ("messages", "suppressions"):
            records = self.log.records[CHANGELOGS[name]]
            latest = {each.key: each.value for each in records}
            values = dict(self.life.tables[name].partition(0).items_of(b""))
            assert values == {key: value for key, value in latest.items() if value is not None}

    def compare_uninterrupted(self) -> None:
        """One worker that never died has the same states and cells."""
        log = Log()
        for topic in SOURCES[:3]:
            for each in self.log.records[topic]:
                log.append(topic, each.key, each.value, each.timestamp)
        whole = Life(log, 1, None, lambda: self.now, self.accounts)
        self.run(whole.restore(100))
        self.run(whole.open())
        for _ in range(3):
            for topic in SOURCES:
                self.run(whole.take(topic, 100))
            self.run(whole.commit())
        assert _final(self.life) == _final(whole)
        assert _counted(self.life.worker.lifecycle.shards[0]) == (
            _counted(whole.worker.lifecycle.shards[0])
        )


def _whole(table: str, value: bytes) -> object:
    if table == "counters":
        return value
    return decode(value) if table == "messages" else decode_suppression(value)


def _counted(shard: Any) -> dict[bytes, list[int]]:
    return {key: cell.counts for key, cell in shard.cells.by_key.items() if any(cell.counts)}


def _final(life: Life) -> dict[bytes, object]:
    """The states, without what depends on who wrote them and on the order of events."""
    states = life.tables["messages"].partition(0).items_of(b"")
    return {
        key: msgspec.structs.replace(decode(value), version=0, orphaned=False)
        for key, value in states
    }


WorkerMachine.TestCase.settings = settings(
    max_examples=30, stateful_step_count=40, suppress_health_check=list(HealthCheck)
)
TestWorkerMachine = WorkerMachine.TestCase
