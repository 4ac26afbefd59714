"""A partition's shard keeps its promises under any batches (counters and timers)."""

from collections.abc import Iterable

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from models.accounts import Accounts
from models.contract import Engagement, Receipt, Send
from models.counters import COUNT_NAMES, decode_cell, encode_cell
from models.keys import message_key
from models.state import decode
from streams.batching import MemoryStore
from streams.common.plan import Plan
from streams.followers.suppression_index import SuppressionIndex
from streams.lifecycle.shard import Rules, Shard
from tests.properties.events import NOON_MS, events
from tests.support.records import record
from tests.support.stores import restore

RULES = Rules(partitions=1)
LATER_MS = NOON_MS + 3 * 86_400_000


def world(states: MemoryStore, published: dict[bytes, bytes], generation: int) -> Shard:
    shard = Shard(0, states, RULES, Accounts(), SuppressionIndex())
    assert restore(shard, published, generation) == len(states)
    return shard


def apply(states: MemoryStore, plan: Plan) -> None:
    for key, value in plan.changes.items():
        assert value is not None
        states[key] = value


def feed(
    shard: Shard, states: MemoryStore, batch: Iterable[Send | Receipt | Engagement]
) -> list[Plan]:
    """One batch as the agent would see it: records of each topic apart."""
    plans = []
    for topic, kind in (("receipts", Receipt), ("sends", Send), ("engagements", Engagement)):
        records = [
            record(
                topic,
                message_key(event.account, event.message_id or ""),
                event.model_dump_json(exclude_none=True).encode(),
                NOON_MS,
            )
            for event in batch
            if isinstance(event, kind)
        ]
        plan = shard.plan(topic, records, NOON_MS)
        assert not plan.dead_letters
        assert not plan.rerouted
        apply(states, plan)
        plans.append(plan)
    return plans


def counted(shard: Shard) -> dict[bytes, list[int]]:
    return {key: cell.counts for key, cell in shard.cells.by_key.items() if any(cell.counts)}


@given(st.lists(events, max_size=4), st.booleans())
def test_counters_equal_a_fold_over_the_states(batches, expire):
    states = MemoryStore()
    shard = world(states, {}, 1)
    for batch in batches:
        feed(shard, states, batch)
    if expire:
        for plan in shard.tick(LATER_MS):
            apply(states, plan)
    assert counted(shard) == counted(world(states, {}, 2))
    assert all(number >= 0 for counts in counted(shard).values() for number in counts)


@given(st.lists(events, max_size=4))
def test_versions_only_grow_and_a_new_owner_starts_above_all(batches):
    states = MemoryStore()
    shard = world(states, {}, 1)
    highest = 0
    for batch in batches:
        for plan in feed(shard, states, batch):
            versions = [decode(value).version for value in plan.changes.values() if value]
            assert all(version > highest for version in versions)
            assert len(set(versions)) == len(versions)
            highest = max([highest, *versions])
    assert world(states, {}, 1).version > highest


@given(events, events)
def test_a_replay_changes_no_state(first, second):
    states = MemoryStore()
    shard = world(states, {}, 1)
    feed(shard, states, first)
    feed(shard, states, second)
    before = dict(states)
    restarted = world(states, {}, 2)
    for plan in feed(restarted, states, [*first, *second]):
        assert not plan.changes
    assert states == before


@given(events, events)
def test_after_a_restart_just_the_cells_that_moved_are_published_again(first, second):
    states = MemoryStore()
    shard = world(states, {}, 1)
    feed(shard, states, first)
    published = {cell.key: encode_cell(1, cell.counts) for cell in shard.cells.take_dirty()}
    feed(shard, states, second)  # and the worker dies before these cells are written
    restarted = world(states, published, 2)
    for cell in restarted.cells.take_dirty():
        assert published.get(cell.key) != encode_cell(1, cell.counts)
        published[cell.key] = encode_cell(1, cell.counts)
    rows = {key: decode_cell(key, value) for key, value in published.items()}
    assert counted(restarted) == {
        key: list(row.counts) for key, row in rows.items() if row and any(row.counts)
    }


@given(events)
def test_every_message_ends_once_its_validity_is_over(batch):
    states = MemoryStore()
    shard = world(states, {}, 1)
    feed(shard, states, batch)
    for plan in shard.tick(LATER_MS):
        apply(states, plan)
    pending = (COUNT_NAMES.index("submitted"), COUNT_NAMES.index("queued"))
    assert not any(cell.counts[slot] for cell in shard.cells.by_key.values() for slot in pending)
    restarted = world(states, {}, 2)
    assert list(restarted.tick(LATER_MS)) == []


@given(st.lists(events, max_size=3), st.randoms(use_true_random=False))
def test_batches_in_any_order_end_in_the_same_states(batches, random):
    def final(order: list[list[Send | Receipt | Engagement]]) -> dict[bytes, object]:
        states = MemoryStore()
        shard = world(states, {}, 1)
        for batch in order:
            feed(shard, states, batch)
        return {
            key: msgspec.structs.replace(decode(value), version=0, orphaned=False)
            for key, value in states.items()
        }

    shuffled = list(batches)
    random.shuffle(shuffled)
    assert final(batches) == final(shuffled)
