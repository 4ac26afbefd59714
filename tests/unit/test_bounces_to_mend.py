"""Bounces that do not yet go as promised; each test says what should be.

They fail on purpose. Whoever mends one takes its mark away and moves the test to where it belongs.
"""

from typing import Any

import pytest

from models.accounts import AccountSettings
from models.contract import MAX_ATTEMPT, Event
from models.facts import Outcome
from models.reasons import reason_of
from models.suppression import MAX_STRIKES
from tests.bounces import (
    DAY,
    MINUTE,
    NUMBER,
    SECOND,
    T0,
    World,
    clock,
    hard,
    said,
    send,
    soft,
    unsubscribe,
)

NOW = T0 + 10 * MINUTE


def to_mend(reason: str) -> Any:
    return pytest.mark.xfail(strict=True, raises=AssertionError, reason=reason)


def strikes(world: World) -> int:
    known = world.number(NUMBER)
    return known.strikes if known is not None else 0


@to_mend("a strike told before a death is not withdrawn when the replay takes larger batches")
def test_a_death_between_strike_and_state_leaves_no_strike_of_a_delivered_message():
    world = World()
    world.batch([send()], NOW)
    world.batch([hard("m", NOW)], NOW, "told")  # the broker has the strike, the state is lost
    world.batch([hard("m", NOW), said("delivered", NOW + 1)], NOW)
    world.commit(NOW)
    assert world.row("m").status == "delivered"
    assert strikes(world) == 0


@to_mend("the same, when the replay reads the receipts before the send")
def test_a_death_between_strike_and_state_and_then_another_order_of_topics():
    world = World()
    world.batch([send()], NOW)
    world.batch([hard("m", NOW)], NOW, "told")
    world.states.clear()  # the send's state was not acknowledged either
    world.restart()
    world.batch([hard("m", NOW), said("delivered", NOW + 1)], NOW)
    world.batch([send()], NOW)
    world.commit(NOW)
    assert strikes(world) == 0


@to_mend("a state keeps the first unsubscribe only, and tells that one when its send comes")
def test_two_unsubscribes_around_a_resubscribe_whenever_the_send_comes():
    def suppressed(*events: Event) -> bool:
        world = World()
        world.request("resubscribe", NUMBER, NOW + MINUTE)
        for event in events:
            world.take(event, at=NOW + 2 * MINUTE)
        return bool(world.suppressed)

    twice = [unsubscribe(NOW, "m"), unsubscribe(NOW + 2 * MINUTE, "m")]
    assert suppressed(*twice, send()) == suppressed(send(), *twice)


@to_mend("of a message delivered twice the count is reset by whichever receipt came first")
def test_two_deliveries_of_a_message_reset_the_count_alike_in_any_order():
    def counted(*deliveries: Event) -> int:
        world = World(strikes_reset_on_delivery=True)
        world.take(send("a"), hard("a", T0 + 5 * MINUTE), send("d"), at=NOW)
        for event in deliveries:
            world.take(event, at=NOW)
        return strikes(world)

    early, late = said("delivered", T0 + 4 * MINUTE, "d"), said("delivered", T0 + 6 * MINUTE, "d")
    assert counted(early, late) == counted(late, early)


@to_mend("an unsubscribe of a received message suppresses when the message is known already")
def test_an_unsubscribe_of_a_received_message_says_the_same_in_any_order():
    def suppressed(*events: Event) -> bool:
        world = World()
        for event in events:
            world.take(event, at=NOW)
        return bool(world.suppressed)

    inbound = send(direction="inbound")
    assert suppressed(inbound, unsubscribe(NOW, "m")) == suppressed(unsubscribe(NOW, "m"), inbound)


@to_mend("a retry is asked for although the message's validity is over: it expires at once")
def test_no_retry_is_due_after_the_validity():
    world = World()
    world.take(send(validity_s=300), soft(T0 + MINUTE), at=T0 + MINUTE)  # a code for a login
    world.wait(T0, clock("3:00"))
    assert [asked.request.due_at for asked in world.asked] == []


@to_mend("a bounce heard of days later is still asked for, long after retry_for_s")
def test_no_retry_is_asked_for_after_the_time_for_retries():
    world = World()
    world.take(send(), at=T0)
    world.take(soft(clock("0:10")), at=clock("60:00"))
    world.wait(clock("60:00"), clock("61:00"))
    assert [asked.at for asked in world.asked] == []


@to_mend("attempt 101 is asked for, and its send would be refused")
def test_no_attempt_is_asked_for_that_the_contract_refuses():
    world = World(retry_every_s=60)
    world.take(send(), send(at=clock("2:00"), attempt=MAX_ATTEMPT), at=clock("2:00"))
    world.take(soft(clock("2:01"), MAX_ATTEMPT), at=clock("2:01"))
    world.wait(clock("2:00"), clock("3:00"), MINUTE)
    assert [asked.request.attempt for asked in world.asked] == []


@to_mend("the row goes on promising a retry that the account switched off")
def test_the_row_says_so_when_retries_are_switched_off_before_one_is_due():
    world = World()
    world.take(send(), soft(clock("0:10")), at=clock("0:10"))
    world.set(retry_soft_bounces=False)
    world.wait(clock("0:10"), clock("3:10"))
    assert (world.row("m").no_retry_reason, world.row("m").next_attempt_at) == ("off", 0)


@to_mend("reasons that lapsed stay published while another reason holds")
def test_strikes_that_lapsed_are_no_reason_any_more_beside_an_unsubscribe():
    world = World(suppression_days=2)
    for name in ("a", "b", "c"):
        world.take(send(name), hard(name, T0 + SECOND), at=NOW)
    world.take(unsubscribe(NOW, None, NUMBER), at=NOW)
    world.wait(NOW, NOW + 5 * DAY)
    known = world.number(NUMBER)
    assert known is not None
    assert (known.reasons, known.strikes) == (("unsubscribed",), 0)


@to_mend("withdrawn strikes of newer messages push real ones out of the bounded memory")
def test_strikes_withdrawn_later_do_not_free_a_number():
    world = World()
    for name in ("a", "b", "c"):
        world.take(send(name), hard(name, T0 + SECOND), at=NOW)
    for n in range(MAX_STRIKES):
        at = NOW + n * SECOND
        world.take(send(f"m{n}", at), hard(f"m{n}", at), at=at)
        world.take(said("delivered", at + 1, f"m{n}"), at=at + 1)
    assert world.suppressed


@to_mend("overrides are looked up by the provider's name in small letters only")
def test_an_override_names_its_provider_in_any_case():
    own = AccountSettings(account="acme", fail_reasons={"Twilio:30004": "the owner blocked us"})
    outcome = Outcome(1, 2, 1, T0, error_code="30004")
    assert reason_of(outcome, "Twilio", own) == "the owner blocked us"
