"""Workers that die between strike, state and offset: nobody is struck twice, too early or never."""

import pytest

from tests.streams.suppression.test_strikes_to_suppression import NOW, strikes, three
from tests.support.recipient_world import (
    MINUTE,
    NUMBER,
    SECOND,
    T0,
    World,
    clock,
    hard,
    make_receipt,
    send,
    soft,
)


@pytest.mark.parametrize("dies", ["waiting", "produced", "written"])
def test_a_worker_that_dies_repeats_no_strike_and_changes_no_request(dies):
    world = World()
    for name in ("a", "b"):
        world.batch([send(name)], T0)
        world.batch([hard(name, T0 + SECOND)], T0 + MINUTE, dies)
        world.batch([hard(name, T0 + SECOND)], T0 + MINUTE)
        world.commit(T0 + MINUTE)
    world.batch([send()], T0)
    world.batch([soft(clock("0:10"))], clock("0:10"))
    world.commit(clock("1:00"), dies)
    world.commit(clock("1:01"))
    known = world.number(NUMBER)
    assert known is not None
    assert (known.suppressed, known.strikes) == (False, 2)
    assert {requested.request.id for requested in world.requested} == {"acme/m/2"}
    assert len({requested.request for requested in world.requested}) == 1


def test_a_death_before_the_offset_suppresses_a_number_once():
    world = World()
    for event in three():
        world.batch([event], NOW)
    world.deliver_strikes(NOW, "written")
    before = world.number(NUMBER)
    world.deliver_strikes(NOW)
    assert world.number(NUMBER) == before


def test_a_death_between_strike_and_state_leaves_no_strike_of_a_delivered_message():
    world = World()
    world.batch([send()], NOW)
    world.batch([hard("m", NOW)], NOW, "produced")  # the broker has the strike, the state is lost
    world.batch([hard("m", NOW), make_receipt("delivered", NOW + 1)], NOW)
    world.commit(NOW)
    assert world.row("m").status == "delivered"
    assert strikes(world) == 0


def test_a_death_between_strike_and_state_and_then_another_order_of_topics():
    world = World()
    world.batch([send()], NOW)
    world.batch([hard("m", NOW)], NOW, "produced")
    world.states.clear()  # the send's state was not acknowledged either
    world.restart()
    world.batch([hard("m", NOW), make_receipt("delivered", NOW + 1)], NOW)
    world.batch([send()], NOW)
    world.commit(NOW)
    assert strikes(world) == 0


def test_a_death_after_a_send_moved_a_strike_leaves_none_of_a_delivered_message():
    """The first attempt says another first_sent_at than its retry did."""
    world = World()
    retry = send(at=T0 + MINUTE, attempt=2, first_sent_at=T0 + SECOND)
    world.batch([retry], NOW)
    world.batch([hard("m", NOW, attempt=2)], NOW)
    world.commit(NOW)
    world.batch([send()], NOW, "produced")  # the strike moves to T0; the state is lost
    world.batch([make_receipt("delivered", NOW + 1, attempt=2)], NOW)
    world.batch([send()], NOW)
    world.commit(NOW)
    assert world.row("m").status == "delivered"
    assert strikes(world) == 0
