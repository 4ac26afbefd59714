"""Callbacks that are read again: of a receipt that waits the later reading counts."""

from collections.abc import Iterable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.correlation import (
    MAX_WAITING,
    Correlation,
    ReceivedReceipt,
    add_waiting,
    decode,
    join_encoded,
)
from streams.batching.stores.memory import MemoryStore
from tests.support.correlation_world import UNMATCHED_DAYS, CorrelationWorld, days, twilio

LATER = 60_000


@pytest.fixture
def world() -> CorrelationWorld:
    return CorrelationWorld(MemoryStore())


def waiting(world: CorrelationWorld) -> list[ReceivedReceipt]:
    """What waits under any key."""
    return [each for key in world.store for each in decode(world.store[key] or b"").waiting]


# --- equal readings -------------------------------------------------------------------------------


def test_a_replay_with_equal_reading_changes_no_receipt(world: CorrelationWorld) -> None:
    named = world.callback("twilio", twilio("SM1"), reference="acme/m1")
    linked = world.callback("twilio", twilio("SM2"))
    waits = world.callback("twilio", twilio("SM3"))
    world.take(*world.send_link("acme", "twilio", "SM2", "m2"))
    world.take(named, linked, waits)
    first = world.receipts()
    world.now += LATER
    world.replay(named, linked, waits)
    assert world.receipts() == first * 2, "the same bytes, which joins ignore"
    assert len(waiting(world)) == 1
    world.take(*world.send_link("acme", "twilio", "SM3", "m3"))
    assert world.messages().keys() == {("acme", name, "delivered") for name in ("m1", "m2", "m3")}


def test_a_callback_that_its_provider_repeats_waits_once(world: CorrelationWorld) -> None:
    world.take(world.callback("twilio", twilio("SM1")))
    world.now += LATER
    world.take(world.callback("twilio", twilio("SM1")))
    (receipt,) = waiting(world)
    assert receipt.received_at == world.now - LATER


def test_a_repeat_in_other_bytes_is_published_and_reported_once(world: CorrelationWorld) -> None:
    """As of a provider that counts its attempts."""
    world.take(world.callback("twilio", twilio("SM1", Attempt="1")))
    world.now += LATER
    world.take(world.callback("twilio", twilio("SM1", Attempt="2")))
    world.tick(days(UNMATCHED_DAYS))
    assert len(world.unmatched()) == 1
    world.take(*world.send_link("acme", "twilio", "SM1", "m1"))
    assert len(world.receipts()) == 1
    assert world.unmatched() == {}


def test_a_repeat_that_came_first_and_is_read_last_leaves_nothing_unmatched(
    world: CorrelationWorld,
) -> None:
    earlier = world.callback("twilio", twilio("SM1", Attempt="1"))
    world.now += LATER
    world.take(world.callback("twilio", twilio("SM1", Attempt="2")))
    world.tick(days(UNMATCHED_DAYS))
    assert len(world.unmatched()) == 1
    world.take(earlier)
    world.tick(days(UNMATCHED_DAYS))
    assert len(world.unmatched()) == 1, "it is the same receipt"
    world.take(*world.send_link("acme", "twilio", "SM1", "m1"))
    assert len(world.receipts()) == 1
    assert world.unmatched() == {}


# --- other readings -------------------------------------------------------------------------------


def test_the_later_reading_of_what_waits_counts_alone(world: CorrelationWorld) -> None:
    first = world.callback("twilio", twilio("SM1"))
    world.take(first)
    world.change_endpoint("twilio", statuses={"delivered": "undelivered"})
    world.now += LATER
    world.replay(first)
    world.take(first)
    assert [each.status for each in waiting(world)] == ["undelivered"], "also when it comes again"
    world.take(*world.send_link("acme", "twilio", "SM1", "m1"))
    assert world.messages() == {("acme", "m1", "undelivered"): 1}


def test_what_was_reported_is_reported_as_it_is_read_now(world: CorrelationWorld) -> None:
    first = world.callback("twilio", twilio("SM1"))
    world.take(first)
    world.tick(days(UNMATCHED_DAYS))
    ((name, before),) = world.unmatched().items()
    world.change_endpoint("twilio", statuses={"delivered": "read"})
    world.replay(first)
    world.tick(1)
    ((same, row),) = world.unmatched().items()
    assert same == name
    assert (before["status"], row["status"]) == ("delivered", "read")
    assert row["at"] > before["at"]
    world.take(*world.send_link("acme", "twilio", "SM1", "m1"))
    assert world.unmatched() == {}


@pytest.mark.parametrize("is_reported_first", [True, False])
def test_what_waits_under_another_key_now_is_not_unmatched(
    world: CorrelationWorld, is_reported_first: bool
) -> None:
    """The rule by which ids are compared was missing."""
    first = world.callback("twilio", twilio("SM1"))
    world.take(first)
    if is_reported_first:
        world.tick(days(UNMATCHED_DAYS))
        assert len(world.unmatched()) == 1
    world.change_endpoint("twilio", ids=["case"])
    world.take(*world.send_link("acme", "twilio", "sm1", "m1"))
    world.replay(first)
    assert world.messages() == {("acme", "m1", "delivered"): 1}
    world.tick(days(UNMATCHED_DAYS))
    assert len(world.produced["unmatched-receipts"]) == 2, "it still waits as it was read first"
    assert world.unmatched() == {}


def test_what_names_its_message_now_is_not_unmatched(world: CorrelationWorld) -> None:
    """The account of the endpoint was wrong."""
    first = world.callback("twilio", twilio("SM1"), reference="late/m1")
    world.take(first)
    world.tick(days(UNMATCHED_DAYS))
    assert len(world.unmatched()) == 1
    world.change_endpoint("twilio", account="late")
    world.replay(first)
    assert world.messages() == {("late", "m1", "delivered"): 1}


def test_another_reading_finds_its_place_where_no_more_can_wait(world: CorrelationWorld) -> None:
    many = [
        world.callback("twilio", twilio("SM1", "queued", Number=str(number)))
        for number in range(MAX_WAITING)
    ]
    world.take(*many)
    world.take(world.callback("twilio", twilio("SM1", "sent")))
    assert len(world.refused) == 1
    world.change_endpoint("twilio", statuses={"queued": "read"})
    world.now += LATER
    world.replay(*many)
    assert len(world.refused) == 1
    assert {each.status for each in waiting(world)} == {"read"}
    assert len(waiting(world)) == MAX_WAITING


# --- laws -----------------------------------------------------------------------------------------


def receipt(origin: int, reading: int, content: int, received_at: int) -> ReceivedReceipt:
    texts = "endpoint word bounce scope error_code words provider provider_message_id reference"
    more = "recipient mccmnc price currency"
    return ReceivedReceipt(
        received_at=received_at,
        digest=bytes([content]),
        origin=bytes([origin]),
        reading=reading,
        keys=1,
        status=str(content),
        occurred_at=0,
        part=0,
        parts=0,
        **dict.fromkeys(f"{texts} {more}".split(), ""),
    )


receipts = st.lists(
    st.builds(receipt, st.integers(0, 2), st.integers(0, 2), st.integers(0, 2), st.integers(1, 3)),
    max_size=8,
)


def joined(facts: Iterable[ReceivedReceipt]) -> Correlation:
    state = Correlation()
    for each in facts:
        add_waiting(state, each)
    return state


@given(one=receipts, other=receipts, data=st.data())
def test_readings_are_joined(
    one: list[ReceivedReceipt], other: list[ReceivedReceipt], data: st.DataObject
) -> None:
    """In any order, and twice."""
    whole = joined([*one, *other])
    shuffled = data.draw(st.permutations([*one, *other, *one]))
    assert joined(shuffled).waiting == whole.waiting


def test_a_restore_publishes_nothing_again_that_its_owner_has_published() -> None:
    """Its changelog has the receipt that waited, then the link."""
    world = CorrelationWorld(MemoryStore())
    world.take(world.callback("twilio", twilio("SM1")))
    (key,) = world.store
    before = world.store[key]
    world.take(*world.send_link("acme", "twilio", "SM1", "m1"))
    after = world.store[key]
    assert before is not None and after is not None
    assert join_encoded(before, after) == after == join_encoded(after, before)
