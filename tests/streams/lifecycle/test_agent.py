"""The lifecycle agent in its order of doing: side outputs, states, cells, marks, tombstones."""

import asyncio
import json
from collections.abc import Iterable, Mapping
from itertools import pairwise
from typing import Any

import pytest

from models.accounts import Accounts
from models.counters import decode_cell, retired_key
from models.settings import Settings
from models.state import decode
from models.time import DAY_MS
from streams.batching import StateStore
from streams.common import context as context_module
from streams.common.context import AgentContext
from streams.common.delivery import Delivery
from streams.common.plan import Plan
from streams.followers.suppression_index import SuppressionIndex
from streams.lifecycle.agent import LifecycleAgent
from streams.lifecycle.shard import Rules
from tests.streams.lifecycle.test_shard import T0, event
from tests.support.fakes import Meter
from tests.support.records import Record
from tests.support.stores import new_store

TOPICS = {name: name for name in ("sends", "receipts", "engagements")}
NOON = T0


class Broker:
    """Remembers, in order, what was handed over and when all of it was acknowledged."""

    generation = 1

    def __init__(self) -> None:
        self.done: list[tuple[str, Any]] = []
        self.lags: dict[str, int | None] = dict.fromkeys(TOPICS, 0)

    def lag(self, topic: str, partition: int) -> int | None:
        return self.lags[topic]

    async def flush(self) -> None:
        self.done.append(("settle", None))

    async def send_many(self, topic: str, partition: int, records: Iterable[Any]) -> None:
        self.done.append((topic, list(records)))

    async def send_acknowledged(self, topic: str, partition: int, records: Iterable[Any]) -> None:
        self.done.append((topic, list(records)))


class Table:
    """A batch table whose writes are remembered by the broker."""

    def __init__(self, name: str, broker: Broker) -> None:
        self.name = name
        self.broker = broker
        self.data: Any = new_store()
        self.merged: set[bytes] = set()

    def partition(self, partition: int) -> StateStore:
        return self.data

    restored_store = partition

    def freeze(self, partition: int) -> None:
        """As BatchTable; a write follows at once."""
        self.data.freeze()
        self.data.write(0)
        self.data.written()

    checkpoint = freeze

    def merged_keys(self, partition: int) -> set[bytes]:
        return self.merged

    def discard(self, partition: int, faults: Mapping[bytes, str]) -> None:
        self.apply_unlogged(partition, dict.fromkeys(faults))

    async def put(self, partition: int, changes: Mapping[bytes, bytes | None]) -> None:
        self.broker.done.append((self.name, dict(changes)))
        self.apply_unlogged(partition, changes)

    def apply_unlogged(self, partition: int, changes: Mapping[bytes, bytes | None]) -> None:
        for key, value in changes.items():
            if value is None:
                self.data.pop(key, None)
            else:
                self.data[key] = value


class Batch(list[Record]):
    at_head = True
    finished = False

    @property
    def tp(self) -> Any:
        return type("TP", (), {"topic": self[0].topic, "partition": 0})

    def done(self) -> None:
        self.finished = True


class World:
    """One agent with one partition, at a wall clock that the test sets."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.wall = NOON
        monkeypatch.setattr(context_module, "wall_ms", lambda: self.wall)
        self.broker = Broker()
        self.states = Table("states", self.broker)
        self.cells = Table("cells", self.broker)
        settings = Settings(partitions=1)
        meter = Meter()
        states: Any = self.states
        cells: Any = self.cells
        self.agent = LifecycleAgent(
            self.broker,
            Delivery(self.broker, meter, settings, states),
            meter,
            Rules(partitions=1),
            states,
            cells,
            AgentContext(self.broker, TOPICS),
            Accounts(),
            SuppressionIndex(),
        )
        asyncio.run(self.agent.open(0))

    def take(self, *records: Record) -> None:
        batch: Any = Batch(record._replace(partition=0) for record in records)
        asyncio.run(self.agent.take(batch))
        assert batch.finished

    def commit(self) -> None:
        asyncio.run(self.agent.before_commit())
        self.agent.after_commit()

    def named(self, name: str) -> list[Any]:
        return [what for whose, what in self.broker.done if whose == name]

    def order(self) -> list[str]:
        return [name for name, _ in self.broker.done]


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> World:
    return World(monkeypatch)


def many(number: int, at: int) -> list[Record]:
    return [event("sends", f"n{each}", at=at) for each in range(number)]


def test_dead_letters_go_before_states_and_cells_wait_for_the_commit(world):
    world.take(event("sends"), event("receipts")._replace(topic="sends", value=b"{"))
    assert world.order() == ["dead-letters", "states"]
    world.commit()
    assert world.order() == ["dead-letters", "states", "cells"]
    world.commit()
    assert world.order()[3:] == []


HARD = {"status": "undelivered", "bounce": "hard"}


def test_a_strike_is_acknowledged_before_its_state_is_written(world):
    world.take(event("sends"), event("sends", "other"))
    world.broker.done.clear()
    world.take(event("receipts", **HARD), event("receipts", "other"))
    (written,) = world.named("states")
    assert list(written) == [b"acme/other"]
    assert world.order() == ["states"]
    world.commit()
    assert world.order() == ["states", "strikes", "states", "cells"]
    assert list(world.named("states")[1]) == [b"acme/m1"]


def test_an_unsubscribe_is_acknowledged_before_its_state_is_written(world):
    world.take(event("sends"), event("sends", "other"))
    world.broker.done.clear()
    world.take(event("engagements", type="unsubscribe"), event("engagements", "other"))
    (written,) = world.named("states")
    assert list(written) == [b"acme/other"]
    world.commit()
    assert world.order() == ["states", "suppression-requests", "states", "cells"]
    assert list(world.named("states")[1]) == [b"acme/m1"]


def test_an_unsubscribe_of_a_recipient_alone_is_produced_before_its_offset_is_committed(world):
    unsubscribe = event("engagements", type="unsubscribe", recipient="+46701234567")
    said = {**json.loads(unsubscribe.value or b""), "message_id": None}
    key = f"acme/{said['recipient']}".encode()
    world.take(unsubscribe._replace(key=key, value=json.dumps(said).encode()))
    assert world.order() == []
    world.commit()
    assert world.order() == ["suppression-requests"]


def test_a_retry_is_requested_before_its_state_is_written(world):
    world.take(event("sends"))
    world.take(event("receipts", status="undelivered"))
    world.commit()
    world.wall = NOON + 2 * 3_600_000
    world.take(event("sends", "other", at=world.wall))
    world.broker.done.clear()
    world.commit()
    assert world.order() == ["retry-requests", "states", "cells"]


def test_a_state_that_waits_for_its_strike_is_known_at_once_and_written_in_its_last_version(world):
    world.take(event("sends"))
    world.take(event("receipts", **HARD))
    world.broker.done.clear()
    world.take(event("receipts", status="delivered"))
    assert world.order() == []
    assert decode(world.states.data[b"acme/m1"]).delivered_at
    world.commit()
    (strikes,) = world.named("strikes")
    assert [json.loads(value)["kind"] for _, value in strikes] == ["struck", "withdrawn"]
    (written,) = world.named("states")
    assert written == {b"acme/m1": world.states.data[b"acme/m1"]}
    world.broker.done.clear()
    world.commit()
    assert world.order() == []


def test_what_waits_is_flushed_when_it_is_much(world, monkeypatch):
    monkeypatch.setattr("streams.common.delivery.MAX_DEFERRED", 2)
    world.take(*many(2, NOON))
    world.broker.done.clear()
    world.take(event("receipts", "n0", **HARD))
    assert world.order() == []
    world.take(event("receipts", "n1", **HARD))
    assert world.order() == ["strikes", "states"]


def test_what_waits_leaves_with_its_partition(world):
    world.take(event("sends"))
    world.take(event("receipts", **HARD))
    world.agent.close(0)
    world.states.data.clear()
    world.broker.done.clear()
    asyncio.run(world.agent.open(0))
    world.commit()
    assert world.named("strikes") == []
    assert world.named("states") == []


def test_all_that_is_due_expires_before_its_day_retires(world, monkeypatch):
    monkeypatch.setattr("streams.common.agent.MAX_CHUNKS_PER_COMMIT", 2)
    monkeypatch.setattr("streams.common.shard.CHUNK_SIZE", 10)
    old = NOON - 12 * DAY_MS
    world.wall = old
    world.take(*many(50, old))
    world.commit()
    world.wall = NOON
    world.take(event("receipts", "other"))
    for _ in range(6):
        world.commit()
    (day,) = [
        decode_cell(key, value)
        for change in world.named("cells")
        for key, value in change.items()
        if value is not None and key.startswith(b'["day"')
    ][-1:]
    assert dict(zip(_slots(), day.counts, strict=True))["expired"] == 50
    assert retired_key(0) in world.cells.data
    assert len(world.states.data) == 1


def _slots() -> tuple[str, ...]:
    from models.counters import COUNT_NAMES

    return COUNT_NAMES


def test_the_mark_is_acknowledged_before_the_first_tombstone(world):
    old = NOON - 12 * DAY_MS
    world.wall = old
    world.take(*many(3, old))
    world.commit()
    world.wall = NOON
    world.take(event("receipts", "other"))
    world.commit()
    world.commit()
    world.broker.done.clear()
    world.commit()
    names = [
        "mark" if name == "cells" and retired_key(0) in what else name
        for name, what in world.broker.done
    ]
    assert names.index("mark") < names.index("settle") < names.index("states")


def test_a_wall_clock_far_ahead_retires_nothing_that_no_record_vouches_for(world):
    world.take(*many(3, NOON))
    world.commit()
    world.wall = NOON + 400 * DAY_MS
    world.commit()
    world.commit()
    assert retired_key(0) not in world.cells.data
    assert len(world.states.data) == 3


def test_a_kept_partition_that_lies_behind_does_not_jump_to_wall_time(world):
    world.take(event("sends"))
    world.broker.lags = {"sends": 500, "receipts": 500, "engagements": None}
    world.wall = NOON + 9 * DAY_MS
    world.commit()
    (state,) = (decode(value) for value in world.states.data.values())
    assert not state.expired_at


def test_a_leftover_of_a_retired_day_is_tombstoned_when_the_partition_opens(world):
    old = NOON - 12 * DAY_MS
    world.wall = old
    world.take(*many(3, old))
    world.commit()
    left_behind, cells = dict(world.states.data), dict(world.cells.data)
    world.wall = NOON
    world.take(event("receipts", "other"))
    for _ in range(3):
        world.commit()
    world.states.data.update(left_behind)
    world.cells.data.update({k: v for k, v in cells.items() if k not in world.cells.data})
    asyncio.run(world.agent.open(0))
    assert not set(left_behind) & set(world.states.data)
    assert set(world.cells.data) == {retired_key(0)}


def test_a_state_that_a_restore_joined_is_written_when_the_partition_opens(world):
    world.take(event("sends"))
    (key,) = world.states.data
    before = decode(world.states.data[key]).version
    world.states.merged = {key}
    asyncio.run(world.agent.open(0))
    assert decode(world.states.data[key]).version > before


def test_a_rule_that_fails_on_a_timer_is_logged_and_the_rest_goes_on(world, caplog):
    plan = Plan()
    plan.reject_events(b"acme/m", [], ZeroDivisionError("of the rule"))
    asyncio.run(world.agent._deliver(world.agent.shards[0], plan))
    assert "a rule failed on acme/m" in caplog.text


def test_a_day_retires_over_several_commits_so_that_traffic_goes_on(world, monkeypatch):
    monkeypatch.setattr("streams.lifecycle.agent.RETIRE_S", 0)
    monkeypatch.setattr("streams.lifecycle.agent.RETIRED_AT_ONCE", 10)
    old = NOON - 12 * DAY_MS
    world.wall = old
    world.take(*many(45, old))
    world.commit()
    world.wall = NOON
    world.take(event("receipts", "other"))
    left = [45]
    while left[-1]:
        world.commit()
        left.append(len(world.states.data) - 1)
    deleted = [before - after for before, after in pairwise(left)]
    assert [each for each in deleted if each] == [10, 10, 10, 10, 5]
