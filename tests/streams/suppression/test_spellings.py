"""One person, one key: other spellings of its number, and what 0.1.0 stored under them."""

from typing import Any

import msgspec
import pytest

from models.accounts import Accounts, AccountSettings
from models.keys import message_key
from models.settings import Settings
from models.suppression import decode, encode, published, status_of
from models.suppression_facts import (
    Facts,
    ManualDecision,
    StrikeFact,
    add_delivery,
    add_release,
    add_resubscribe,
    add_strike,
    add_suppress,
    add_unsubscribe,
    joined,
)
from streams.batching import MemoryStore
from streams.common import context
from streams.common.context import AgentContext
from streams.common.delivery import Delivery
from streams.suppression.agent import SuppressionAgent
from streams.suppression.shard import MOVING_MS, REQUESTS, STRIKES, RecipientShard
from tests.streams.lifecycle.test_agent import Broker, Table
from tests.support.fakes import Meter
from tests.support.recipient_world import HOUR, MINUTE, T0, World, hard, send, unsubscribe
from tests.support.records import record
from tests.support.stores import restore_recipients

PERSON, SPELLING = "+5582999448232", "+558299448232"
PERSON_KEY, OLD_KEY = message_key("acme", PERSON), message_key("acme", SPELLING)
NOW = T0 + 10 * MINUTE


def old_facts() -> Facts:
    facts = Facts()
    for n in range(3):
        add_strike(facts, StrikeFact(T0 + n, f"m{n}", (3 << 32) + n, n < 2, T0 + n + 5, "1"))
    add_unsubscribe(facts, T0 + 5)
    add_resubscribe(facts, T0 + 4)
    add_suppress(facts, ManualDecision(T0 + 6, "eva", "complaint"))
    add_release(facts, ManualDecision(T0 + 1, "ann", "mended"))
    add_delivery(facts, T0 + 2)
    return facts


def stored(facts: Facts) -> bytes:
    """As 0.1.0 stored it: under the spelling of the message, without channels."""
    status = status_of(facts, AccountSettings(account="acme"), NOW)
    old = published("acme", SPELLING, facts, status, (3 << 32) + 9)
    old.channels = ()
    return encode(old)


def upgraded(facts: Facts) -> World:
    """A worker of this version takes over what 0.1.0 stored; the index has read it."""
    world = World()
    world.numbers[OLD_KEY] = stored(facts)
    world.suppressed.take(OLD_KEY, world.numbers[OLD_KEY])
    world.restart()
    return world


def test_facts_under_another_spelling_move_to_the_key_of_the_person() -> None:
    world = upgraded(old_facts())
    world.commit(NOW)
    moved = decode(world.numbers[PERSON_KEY])
    assert (moved.recipient, moved.facts) == (PERSON, old_facts())
    assert (moved.suppressed, moved.reasons) == (True, ("unsubscribed", "manual"))
    world.commit(NOW + MOVING_MS)
    old = decode(world.numbers[OLD_KEY])
    assert (old.suppressed, old.reasons, old.facts) == (False, (), Facts())
    assert old.version > (3 << 32) + 9
    world.restart()
    records = sum(map(len, world.logs.values()))
    world.commit(NOW + HOUR)
    assert sum(map(len, world.logs.values())) == records  # it is moved once


def test_one_of_both_records_suppresses_at_any_time() -> None:
    world = upgraded(old_facts())
    for at in range(NOW, NOW + 3 * MOVING_MS, MOVING_MS // 4):
        for plan in world.judge.tick(at):
            world._judge(plan)
            assert_bound(world)
        world.deliver_strikes(at)
        assert_bound(world)
    assert not decode(world.numbers[OLD_KEY]).suppressed


def assert_bound(world: World) -> None:
    for recipient in (PERSON, SPELLING):
        for source in ("campaign", "verification"):
            assert world.binds(recipient, "sms", source)


@pytest.mark.parametrize("moments", [[NOW], [NOW, NOW + MOVING_MS - 1], [NOW, NOW + MOVING_MS]])
def test_a_worker_that_dies_while_facts_move_loses_and_doubles_nothing(moments: list[int]) -> None:
    world = upgraded(old_facts())
    for at in moments:
        world.commit(at)
    world.restart()
    world.commit(NOW + HOUR)
    world.commit(NOW + 2 * HOUR)
    assert decode(world.numbers[PERSON_KEY]).facts == old_facts()
    assert not decode(world.numbers[OLD_KEY]).suppressed


def test_what_the_person_has_already_is_joined() -> None:
    world = upgraded(old_facts())
    world.take(unsubscribe(NOW, None, SPELLING), at=NOW)
    world.commit(NOW + MOVING_MS)
    known = decode(world.numbers[PERSON_KEY])
    assert known.facts == joined(old_facts(), Facts(unsubscribed_at=NOW))


def test_a_recipient_that_is_not_suppressed_moves_with_its_strikes() -> None:
    facts = Facts()
    for n in range(2):
        add_strike(facts, StrikeFact(T0 + n, f"m{n}", n, True, T0 + n))
    world = upgraded(facts)
    world.commit(NOW)
    world.take(send("m2", recipient=PERSON), hard("m2", NOW), at=NOW)
    assert world.bound(SPELLING) == {"sms": ("hard_bounces",)}


def test_a_release_of_the_person_while_facts_move_is_not_undone() -> None:
    world = upgraded(Facts(suppressed_by_hand=ManualDecision(T0, "eva", "complaint")))
    world.commit(NOW)
    world.request("release", SPELLING, NOW + 1)
    world.commit(NOW + 1)
    world.commit(NOW + MOVING_MS)
    assert not world.binds(PERSON, "sms")
    assert not decode(world.numbers[PERSON_KEY]).suppressed


def test_a_reason_of_a_newer_version_stays_where_it_is() -> None:
    world = World()
    old = decode(stored(old_facts()))
    old.reasons = (*old.reasons, "complained")
    world.numbers[OLD_KEY] = encode(old)
    world.restart()
    world.commit(NOW)
    world.commit(NOW + MOVING_MS)
    kept = decode(world.numbers[OLD_KEY])
    assert (kept.suppressed, kept.reasons) == (True, ("complained",))


def shard() -> RecipientShard:
    restored = RecipientShard(0, MemoryStore(), 1, Accounts())
    restore_recipients(restored, 1)
    return restored


@pytest.mark.parametrize("topic", [STRIKES, REQUESTS])
def test_a_record_published_under_another_spelling_goes_to_the_key_of_the_person(
    topic: str,
) -> None:
    values: dict[str, dict[str, Any]] = {
        STRIKES: {
            "kind": "struck",
            "message_id": "m",
            "sent_at": T0,
            "version": 1,
            "occurred_at": T0,
            "channel": "sms",
        },
        REQUESTS: {"action": "suppress", "at": T0},
    }
    value = msgspec.json.encode({"account": "acme", "recipient": SPELLING, **values[topic]})
    plan = shard().plan(topic, [record(topic, OLD_KEY, value, T0)], NOW)
    (rerouted,) = plan.rerouted
    assert (rerouted.key, plan.changes) == (PERSON_KEY, {})
    plan = shard().plan(topic, [record(topic, PERSON_KEY, value, T0)], NOW)
    assert decode(plan.changes[PERSON_KEY] or b"").recipient == PERSON


@pytest.mark.parametrize("written", ["+55 82 9944-8232", "55 (82) 99944 8232", "005582999448232"])
def test_a_request_may_write_the_number_as_people_do(written: str) -> None:
    wish = {"account": "acme", "recipient": written, "action": "suppress", "at": T0}
    value = msgspec.json.encode(wish)
    plan = shard().plan(REQUESTS, [record(REQUESTS, PERSON_KEY, value, T0)], NOW)
    assert not plan.dead_letters
    assert decode(plan.changes[PERSON_KEY] or b"").suppressed


@pytest.mark.parametrize("first", [PERSON, SPELLING])
def test_two_spellings_in_one_message_are_one_strike(first: str) -> None:
    other = PERSON if first == SPELLING else SPELLING
    world = World(strike_limit=1)
    world.take(send(at=NOW, attempt=2, recipient=first), hard("m", NOW + 1, attempt=2), at=NOW)
    world.take(send(recipient=other), at=NOW)
    assert world.bound(PERSON) == {"sms": ("hard_bounces",)}
    known = world.number(SPELLING)
    assert known is not None
    assert known.strikes == 1


async def test_the_agent_publishes_moved_facts_before_it_clears_them(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    wall = [NOW]
    monkeypatch.setattr(context, "wall_ms", lambda: wall[0])
    broker: Any = Broker()
    broker.lags = {STRIKES: 0, REQUESTS: 0}
    table: Any = Table("suppressions", broker)
    table.data[OLD_KEY] = stored(old_facts())
    meter, topics = Meter(), {STRIKES: STRIKES, REQUESTS: REQUESTS}
    agent = SuppressionAgent(
        broker,
        Delivery(broker, meter, Settings(partitions=1), table),
        meter,
        1,
        table,
        AgentContext(broker, topics),
        Accounts(),
    )
    await agent.open(0)
    broker.done.clear()
    await agent.before_commit()
    assert [name for name, _ in broker.done] == [STRIKES, REQUESTS]
    assert {key for _, records in broker.done for key, _ in records} == {PERSON_KEY}
    wall[0] += MOVING_MS
    await agent.before_commit()
    assert [name for name, _ in broker.done] == [STRIKES, REQUESTS, "suppressions"]
    assert not decode(table.data[OLD_KEY]).suppressed
