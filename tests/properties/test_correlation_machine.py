"""A worker dies at any step: every receipt that can be joined is on `receipts`, for its message
only, and every other one is reported.

What has to come out is computed by a model that knows nothing of keys, states and partitions.
"""

import asyncio
import json
import shutil
from collections.abc import Iterable
from contextlib import ExitStack
from copy import deepcopy
from pathlib import Path
from tempfile import mkdtemp
from typing import Any, Final, NamedTuple

import msgspec
import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import initialize, invariant, precondition, rule

from models.callbacks import RawCallback
from models.correlation import Correlation, decode
from models.endpoints import read_endpoints
from streams.batching import StoppedPartition
from streams.batching import app as batching_app
from streams.common import context
from streams.state_check import prove
from tests.support.correlation_world import START_MS, twilio, whatsapp
from tests.support.dying_machine import DyingMachine
from tests.support.worker_world import (
    CORRELATED,
    CORRELATIONS,
    SOURCES,
    Died,
    Life,
    Log,
    Pending,
    without_compaction,
)

ENDPOINTS: Final = read_endpoints(
    'public_url = "https://receipts.example.com"\n'
    + "".join(
        f'[endpoints.{name}]\nprovider = "{provider}"\naccount = "{account}"\nunverified = true\n'
        for name, provider, account in (
            ("twilio", "twilio", "acme"),
            ("twilio-other", "twilio", "other"),
            ("meta", "whatsapp", "acme"),
        )
    )
).endpoints
ALL: Final = (*SOURCES, *CORRELATED)
CHANGELOG: Final = CORRELATIONS["correlations"]
HOUR_MS: Final = 3_600_000
UNMATCHED_DAYS: Final = 3
#: All that is waited for before the end; less than what a correlation is kept for.
MOST_HOURS: Final = 60
OWNERS: Final = st.sampled_from(["memory", "a", "a", "b"])
CHUNKS: Final = st.sampled_from([1, 2, 5, 100])
STEPS: Final = ["", "", "", "produced", "acknowledged", "committed", "written"]
#: Those that have anything here.
BUSY: Final = ("sends", "receipts", *CORRELATED)
#: At which call of its producer a worker dies; 0: at none.
FAILS: Final = st.sampled_from([0, 0, 0, 1, 2, 3])
NUMBERS: Final = st.integers(0, 2)
STATUSES: Final = st.sampled_from(["sent", "delivered", "read", "undelivered"])


class Call(NamedTuple):
    """A callback. reference: in its URL; echoed: that the provider repeats"""

    endpoint: str
    number: int
    status: str
    reference: str
    echoed: str

    @property
    def account(self) -> str:
        return ENDPOINTS[self.endpoint].account

    @property
    def body(self) -> bytes:
        if self.endpoint == "meta":
            return whatsapp(self.id, self.status, self.echoed)
        return twilio(self.id, self.status)

    @property
    def id(self) -> str:
        return f"P{self.number}"


#: Each id is that of one message, and each reference too; attempts are all the first.
REFERENCES: Final = st.sampled_from(["", "", "acme/m7/1", "other/m7/1", "acme/m8"])
ECHOED: Final = st.sampled_from(["", "r0", "r1", "r2", "acme/m9", "other/m9"])
CALLS: Final = st.builds(
    Call, st.sampled_from(sorted(ENDPOINTS)), NUMBERS, STATUSES, REFERENCES, ECHOED
)


class Named(NamedTuple):
    """What a sender has published: this id, and this reference, are that message."""

    account: str
    provider: str
    number: int
    reference: str


class CorrelationMachine(DyingMachine):
    """One partition, its workers one after the other, all that is called back and published."""

    @initialize(owner=OWNERS)
    def begin(self, owner: str) -> None:
        self.root = Path(mkdtemp())
        self.runner = asyncio.Runner()
        self.patched = ExitStack()
        patch = self.patched.enter_context(pytest.MonkeyPatch.context())
        self.patched.enter_context(without_compaction())
        for module in ("streams.worker", "streams.state_check"):
            patch.setattr(f"{module}.fingerprint", lambda: "")  # it reads the source of all rules
        for module in ("common.shard", "common.agent", "correlation.shard"):
            patch.setattr(f"streams.{module}.CHUNK_SIZE", 2)
        patch.setattr("streams.common.agent.FOLDED_AT_ONCE", 2)
        self.now = START_MS
        patch.setattr(context, "wall_ms", lambda: self.now)
        patch.setattr(batching_app, "RESTORE_CHUNK", 3)
        self.log = Log()
        self.folders: dict[str, Path] = {}
        self.generation = self.kills = self.waited = 0
        self.calls: set[Call] = set()
        self.named: set[Named] = set()
        self.late: list[Pending] = []
        self.tampered = False
        self.unmatched_days = UNMATCHED_DAYS
        self.start(owner, 100, None)

    # --- what comes -----------------------------------------------------------------------------

    @rule(calls=st.lists(CALLS, min_size=1, max_size=5))
    def call_back(self, calls: list[Call]) -> None:
        for call in calls:
            self.calls.add(call)
            raw = RawCallback(call.body, call.endpoint, "", "", call.reference, self.now)
            self.log.append("callbacks", None, raw.body, self.now, raw.headers())

    @rule(account=st.sampled_from(["acme", "other"]), number=NUMBERS, on=st.integers(0, 2))
    def name(self, account: str, number: int, on: int) -> None:
        """A sender publishes an id, in one of three places."""
        provider = ("twilio", "whatsapp")[number % 2] if account == "acme" else "twilio"
        reference = f"r{number}" if on == 1 else ""
        self.named.add(Named(account, provider, number, reference))
        event: dict[str, Any] = {
            "account": account, "message_id": f"m{number}", "provider": provider,
            "provider_message_id": f"P{number}", "attempt": 1,
        }  # fmt: skip
        if on == 1:
            event |= {"channel": "sms", "recipient": "+447700900123", "sent_at": self.now,
                      "reference": reference}  # fmt: skip
        elif on == 2:
            event |= {"status": "submitted", "occurred_at": self.now}
        topic = ("provider-ids", "sends", "receipts")[on]
        key = f"{account}/m{number}".encode()
        self.log.append(topic, key, json.dumps(event).encode(), self.now)

    @precondition(lambda self: self.waited < MOST_HOURS)
    @rule(hours=st.sampled_from([1, 20, 40]))
    def wait(self, hours: int) -> None:
        self.waited += hours
        self.now += hours * HOUR_MS

    # --- work -----------------------------------------------------------------------------------

    @rule(topic=st.sampled_from(BUSY), most=st.integers(1, 8), fails=FAILS)
    def take(self, topic: str, most: int, fails: int) -> None:
        self.attempt(lambda: self.life.take(topic, most), fails)

    @rule(fails=FAILS)
    def join(self, fails: int) -> None:
        """What was called back and published meets."""
        for topic in ("callbacks", "provider-ids", "provider-receipts", "provider-links"):
            self.attempt(lambda topic=topic: self.life.take(topic, 100), fails)  # type: ignore[misc]

    @rule(dies=st.sampled_from(STEPS), fails=FAILS, meanwhile=st.sampled_from(["", *BUSY]))
    def commit(self, dies: str, fails: int, meanwhile: str) -> None:
        self.attempt(lambda: self.life.commit(dies, meanwhile), fails)

    @rule()
    def work(self) -> None:
        """A quiet moment: all is read and committed."""
        for _ in range(4):  # from one topic to the next
            for topic in ALL:
                self.run(self.life.take(topic, 100))
        self.run(self.life.commit())

    # --- deaths ---------------------------------------------------------------------------------

    @rule(
        owner=OWNERS,
        size=CHUNKS,
        arrives=st.integers(0, 3),
        late=st.integers(0, 2),
        dies_after=st.none() | st.integers(0, 6),
        dies_writing=st.none() | st.integers(1, 4),
        clean=st.booleans(),
        unmatched_days=st.sampled_from([UNMATCHED_DAYS, UNMATCHED_DAYS, 4]),
    )
    def die(
        self,
        owner: str,
        size: int,
        arrives: int,
        late: int,
        dies_after: int | None,
        dies_writing: int | None,
        clean: bool,
        unmatched_days: int,
    ) -> None:
        """dies_after: so many reads of the next restore; dies_writing: so many writes of it."""
        if clean:
            self.life.flush_to_disk()
        self.kill(arrives, late)
        self.unmatched_days = unmatched_days
        self.start(owner, size, dies_after, dies_writing)

    def kill(self, arrives: int = 1, late: int = 0) -> None:
        on_the_way = self.killed(self.life, self.owner, arrives, late)
        self.late += [each for each in on_the_way if each.topic == CHANGELOG]

    def start(
        self, owner: str, size: int, dies_after: int | None, dies_writing: int | None = None
    ) -> None:
        """A worker starts, and may die while it restores; the next one then does not."""
        self.owner = owner
        self.generation += 1
        self.life = self.worker_in(owner, self.log)
        self.life.die_at_checkpoint(dies_writing)
        try:
            self.run(self.life.restore(size, dies_after))
            self.compare_restored()
        except Died:
            self.kill()
            self.start(owner, size, None)

    def worker_in(self, owner: str, log: Log) -> Life:
        folder = None
        if owner != "memory":
            folder = self.folders.setdefault(owner, self.root / owner)
        return Life(
            log, self.generation, folder, lambda: self.now, (), ENDPOINTS,
            retention_days=30, unmatched_days=self.unmatched_days,
        )  # fmt: skip

    def compare_restored(self) -> None:
        """What was restored from disk is what another restores from the whole changelog."""
        whole = self.worker_in("memory", deepcopy(self.log))
        self.run(whole.restore(100))
        assert _states(self.life) == _states(whole)
        self.run(self.life.open())
        judge = self.life.worker._agents[2].shards[0]
        written = [decode(each.value).version for each in self.log.records[CHANGELOG] if each.value]
        assert judge.version >= max(written, default=0)

    @precondition(lambda self: not self.tampered)
    @rule()
    def compact(self) -> None:
        self.log.compact(CHANGELOG)

    # --- proofs ---------------------------------------------------------------------------------

    def prove(self, stopped: StoppedPartition) -> None:
        findings = prove(0, stopped, self.life.worker.accounts, lambda *_: None)
        assert findings.is_exact, findings

    @invariant()
    def nothing_is_published_for_another_message(self) -> None:
        if hasattr(self, "life"):
            assert self.published() <= self.expected()

    def teardown(self) -> None:
        if not hasattr(self, "life"):
            return
        try:
            self.finish()
        finally:
            self.life.app.stores.close_all()
            self.runner.close()
            self.patched.close()
            shutil.rmtree(self.root)

    def finish(self) -> None:
        """Every receipt that can be joined was published, every other one reported."""
        self.kill()
        self.start(self.owner, 100, None)  # what arrived late is read
        for _ in range(2):  # links of sends are produced by the first commit
            self.work()
        assert self.published() == self.expected(), self.published() ^ self.expected()
        self.now += 5 * 24 * HOUR_MS
        for _ in range(3):
            self.work()
        assert self.published() == self.expected()
        unmatched = {call for call in self.calls if not self.messages_of(call)}
        assert self.unmatched() == unmatched, self.unmatched() ^ unmatched
        assert self.log.records["dead-letters"] == []

    # --- the model --------------------------------------------------------------------------------

    def messages_of(self, call: Call) -> set[str]:
        """The messages that a receipt is about: of one account, mostly one."""
        mine = {each for each in self.named if each.account == call.account}
        reference = call.reference or (call.echoed if call.endpoint == "meta" else "")
        if reference.startswith(f"{call.account}/"):
            return {reference.split("/")[1]}
        provider = ENDPOINTS[call.endpoint].provider
        found = {each for each in mine if (each.provider, f"P{each.number}") == (provider, call.id)}
        found |= {each for each in mine if each.reference and each.reference == reference}
        return {f"m{each.number}" for each in found}

    def expected(self) -> set[tuple[str, str, str, str]]:
        """Account, message, id and status of all receipts that can be joined by now."""
        return {
            (call.account, message, call.id, call.status)
            for call in self.calls
            for message in self.messages_of(call)
        }

    def published(self) -> set[tuple[str, str, str, str]]:
        """The same, of the topic `receipts`, as far as it came from callbacks."""
        events = [msgspec.json.decode(each.value or b"") for each in self.log.records["receipts"]]
        return {
            (each["account"], each["message_id"], each["provider_message_id"], each["status"])
            for each in events
            if each["status"] != "submitted"
        }

    def unmatched(self) -> set[Call]:
        """The calls of rows that say that no message was found, and of which none says another."""
        found: dict[str, list[dict[str, Any]]] = {}
        for each in self.log.records["unmatched-receipts"]:
            row = msgspec.json.decode(each.value or b"")
            found.setdefault(row["id"], []).append(row)
        open_rows = [rows[0] for rows in found.values() if not any(r["message_id"] for r in rows)]
        seen = {
            (row["endpoint"], row["provider_message_id"], row["status"], row["reference"])
            for row in open_rows
        }
        assert len(seen) == len(open_rows)
        calls = {call for call in self.calls if _seen_as(call) in seen}
        assert {_seen_as(call) for call in calls} == seen
        return calls


def _seen_as(call: Call) -> tuple[str, str, str, str]:
    reference = call.reference or (call.echoed if call.endpoint == "meta" else "")
    return call.endpoint, call.id, call.status, reference


def _states(life: Life) -> dict[bytes, Correlation]:
    stored: Iterable[tuple[bytes, bytes]] = (
        life.tables["correlations"].restored_store(0).items_of(b"")
    )
    return {key: decode(value) for key, value in stored}


CorrelationMachine.TestCase.settings = settings(
    max_examples=30, stateful_step_count=40, suppress_health_check=list(HealthCheck)
)
TestCorrelationMachine = CorrelationMachine.TestCase


@pytest.mark.parametrize("owner", ["memory", "a"])
@pytest.mark.parametrize("fails", [1, 2, 3])
@pytest.mark.parametrize("on", [0, 1, 2])
def test_a_death_between_the_receipt_and_the_state_that_it_waited_in(
    owner: str, fails: int, on: int
) -> None:
    """What waited is committed; its link comes, and the worker dies while it publishes."""
    machine = CorrelationMachine()
    machine.begin(owner)
    try:
        machine.call_back([Call("twilio", 0, "read", "", "")])
        machine.work()
        machine.name("acme", 0, on)
        machine.take("sends", 8, 0)
        machine.take("receipts", 8, 0)
        machine.commit("", 0, "")
        machine.join(fails)
        machine.what_is_written_is_exact()
    finally:
        machine.teardown()
