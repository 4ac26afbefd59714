"""Strikes and suppression from the first receipt to the sender's list, one readable row a rule.

Both agents' shards take part (tests/support/recipient_world.py), and the clock is an argument.
"""

from typing import Any

import pytest

from models.contract import Event
from tests.support.recipient_world import (
    DAY,
    MINUTE,
    NUMBER,
    OTHER,
    SECOND,
    T0,
    World,
    hard,
    make_receipt,
    send,
    unsubscribe,
)


def strikes(world: World) -> int:
    known = world.number(NUMBER)
    return known.strikes if known is not None else 0


def three() -> list[Event]:
    """Three messages to one number that bounced hard, a minute after each other."""
    times = {"a": T0, "b": T0 + MINUTE, "c": T0 + 2 * MINUTE}
    return [
        event
        for name, at in times.items()
        for event in (send(name, at), hard(name, at + 30 * SECOND, error_code="1"))
    ]


NOW = T0 + 10 * MINUTE

# --- strikes and suppression -----------------------------------------------------------------

# rule, events in the order they come, own settings, suppressed, strikes
STRUCK: list[tuple[str, list[Event], dict[str, Any], bool, int]] = [
    ("three messages hard: suppressed", three(), {}, True, 3),
    ("two messages hard: not yet", three()[:4], {}, False, 2),
    (
        "three receipts for one message: one strike",
        [send("a"), *(hard("a", T0 + n * SECOND) for n in (1, 2, 3))],
        {},
        False,
        1,
    ),
    (
        "three attempts of one message: one strike",
        [
            event
            for n in (1, 2, 3)
            for event in (send("a", T0 + n, n), hard("a", T0 + n * SECOND, attempt=n))
        ],
        {},
        False,
        1,
    ),
    (
        "hard for content: none",
        [*three()[:4], send("c"), hard("c", T0 + SECOND, scope="content")],
        {},
        False,
        2,
    ),
    (
        "switch off: not suppressed, yet strikes counted",
        three(),
        {"suppress_hard_bounces": False},
        False,
        3,
    ),
    (
        "strike, strike, delivered late for the first, strike: two strikes",
        [*three()[:4], make_receipt("delivered", NOW, "a"), *three()[4:]],
        {},
        False,
        2,
    ),
    (
        "suppressed, then one of them delivered late: free again",
        [*three(), make_receipt("delivered", NOW, "b")],
        {},
        False,
        2,
    ),
    (
        "a better receipt says it was the network: withdrawn",
        [*three(), hard("b", NOW, scope="network")],
        {},
        False,
        2,
    ),
    ("a retry of one was sent: withdrawn", [*three(), send("b", NOW, 2)], {}, False, 2),
    (
        "strikes of another number are its own",
        [*three()[:4], send("c", recipient=OTHER), hard("c", T0 + SECOND)],
        {},
        False,
        2,
    ),
    (
        "a delivery of another message changes nothing",
        [*three(), send("d"), make_receipt("delivered", NOW, "d")],
        {},
        True,
        3,
    ),
    (
        "a delivery of another message resets the count, where the account says so",
        [*three(), send("d"), make_receipt("delivered", NOW, "d")],
        {"strikes_reset_on_delivery": True},
        False,
        0,
    ),
]


@pytest.mark.parametrize("rule", STRUCK, ids=[row[0] for row in STRUCK])
@pytest.mark.parametrize("batches", ["one by one", "all at once", "backwards"])
def test_strikes_suppress_a_number(rule, batches):
    _, events, own, suppressed, strikes = rule
    world = World(**own)
    if batches == "all at once":
        world.take(*events, at=NOW)
    else:
        for event in events[::-1] if batches == "backwards" else events:
            world.take(event, at=NOW)
    known = world.number(NUMBER)
    found = (known.suppressed, known.strikes) if known else (False, 0)
    assert found == (suppressed, strikes)
    assert bool(world.suppressed) == suppressed


def test_a_suppressed_recipient_has_a_time_and_a_reason():
    world = World()
    world.take(*three(), at=NOW)
    known = world.number(NUMBER)
    assert known is not None
    assert (known.account, known.recipient) == ("acme", NUMBER)
    assert known.reasons == ("hard_bounces",)
    assert (known.since, known.until) == (T0 + 2 * MINUTE + 30 * SECOND, 0)
    assert [strike.code for strike in known.facts.channels["sms"].strikes] == ["1", "1", "1"]


def test_a_release_restarts_the_count_and_older_messages_do_not_count_after_it():
    world = World()
    world.take(*three(), send("d", NOW - 1), at=NOW)
    world.request("release", NUMBER, NOW)
    world.take(hard("d", NOW + SECOND), at=NOW + SECOND)
    assert not world.suppressed
    for name in ("e", "f"):
        world.take(send(name, NOW), hard(name, NOW + MINUTE), at=NOW + MINUTE)
    known = world.number(NUMBER)
    assert known is not None
    assert (known.suppressed, known.strikes) == (False, 2)
    world.take(send("g", NOW + DAY), hard("g", NOW + DAY), at=NOW + DAY)
    assert world.suppressed.binds("acme", NUMBER, "sms", "direct") == NOW + DAY


@pytest.mark.parametrize("restarts", [False, True])
def test_suppression_days_end_by_the_clock_alone_and_the_count_restarts(restarts):
    world = World(suppression_days=2)
    world.take(*three(), at=NOW)
    known = world.number(NUMBER)
    assert known is not None
    until = T0 + 2 * MINUTE + 30 * SECOND + 2 * DAY
    assert known.until == until
    world.commit(until - SECOND)
    assert world.suppressed
    if restarts:
        world.restart()
    world.commit(until)
    known = world.number(NUMBER)
    assert known is not None
    assert (known.suppressed, known.reasons, known.strikes) == (False, (), 0)
    assert not world.suppressed


@pytest.mark.parametrize(
    ("rule", "events", "suppressed"),
    [
        ("of a message whose send is known", [send(), unsubscribe(NOW, "m")], True),
        ("of a message whose send comes later", [unsubscribe(NOW, "m"), send()], True),
        ("of a message never sent, naming the number", [unsubscribe(NOW, "x", NUMBER)], True),
        ("of a message never sent: nobody knows whose", [unsubscribe(NOW, "x")], False),
        ("of a number alone", [unsubscribe(NOW, None, NUMBER)], True),
        ("of another number", [unsubscribe(NOW, None, OTHER)], False),
    ],
)
def test_an_unsubscribe_suppresses_its_number(rule, events, suppressed):
    world = World()
    for event in events:
        world.take(event, at=NOW)
    known = world.number(NUMBER)
    assert (known is not None and known.reasons == ("unsubscribed",)) == suppressed
    if known is not None and suppressed:
        assert known.since == NOW


@pytest.mark.parametrize(
    ("rule", "resubscribed", "suppressed"),
    [
        ("a later resubscribe wins", NOW + 1, False),
        ("an earlier one does not", NOW - 1, True),
        ("at one time the unsubscribe wins", NOW, True),
    ],
)
@pytest.mark.parametrize("first", ["unsubscribe", "resubscribe"])
def test_the_latest_of_unsubscribe_and_resubscribe_wins(rule, resubscribed, suppressed, first):
    world = World()
    steps = [
        lambda: world.take(send(), unsubscribe(NOW, "m"), at=NOW),
        lambda: world.request("resubscribe", NUMBER, resubscribed),
    ]
    for step in steps if first == "unsubscribe" else steps[::-1]:
        step()
        world.commit(NOW)
    assert bool(world.suppressed) == suppressed


def test_by_hand_until_released():
    world = World()
    world.request("suppress", NUMBER, NOW, who="eva")
    world.commit(NOW)
    known = world.number(NUMBER)
    assert known is not None
    assert (known.reasons, known.since) == (("manual",), NOW)
    assert known.facts.suppressed_by_hand.who == "eva"
    world.request("release", NUMBER, NOW + 1)
    world.commit(NOW + 1)
    assert not world.suppressed


def test_a_change_of_settings_takes_effect_for_what_happens_after_it():
    world = World()
    world.take(*three(), at=NOW)
    world.set(suppress_hard_bounces=False)
    world.commit(NOW + MINUTE)
    assert world.suppressed
    world.take(send("d", NOW), hard("d", NOW + MINUTE), at=NOW + MINUTE)
    known = world.number(NUMBER)
    assert known is not None
    assert (known.suppressed, known.strikes) == (False, 4)


def test_a_send_to_a_suppressed_recipient_is_recorded_and_reported():
    world = World()
    world.take(*three(), at=NOW)
    world.take(send("d", NOW), make_receipt("delivered", NOW + 1, "d"), at=NOW + 1)
    assert (world.row("d").status, world.row("d").sent_to_suppressed) == ("delivered", True)
    assert world.to_suppressed == 1
    world.take(send("e", T0 + MINUTE), send("f", NOW, recipient=OTHER), at=NOW + 1)
    assert not world.row("e").sent_to_suppressed  # sent before the number was suppressed
    assert not world.row("f").sent_to_suppressed
    world.take(send("d", NOW), at=NOW + 2)
    assert world.to_suppressed == 1


def test_strikes_that_lapsed_are_no_reason_any_more_beside_an_unsubscribe():
    world = World(suppression_days=2)
    for name in ("a", "b", "c"):
        world.take(send(name), hard(name, T0 + SECOND), at=NOW)
    world.take(unsubscribe(NOW, None, NUMBER), at=NOW)
    world.wait(NOW, NOW + 5 * DAY)
    known = world.number(NUMBER)
    assert known is not None
    assert (known.reasons, known.strikes) == (("unsubscribed",), 0)


def test_two_unsubscribes_around_a_resubscribe_whenever_the_send_comes():
    def suppressed(*events: Event) -> bool:
        world = World()
        world.request("resubscribe", NUMBER, NOW + MINUTE)
        for event in events:
            world.take(event, at=NOW + 2 * MINUTE)
        return bool(world.suppressed)

    twice = [unsubscribe(NOW, "m"), unsubscribe(NOW + 2 * MINUTE, "m")]
    assert suppressed(*twice, send()) == suppressed(send(), *twice)


def test_an_unsubscribe_of_a_received_message_has_the_same_effect_in_any_order():
    def suppressed(*events: Event) -> bool:
        world = World()
        for event in events:
            world.take(event, at=NOW)
        return bool(world.suppressed)

    inbound = send(direction="inbound")
    assert suppressed(inbound, unsubscribe(NOW, "m")) == suppressed(unsubscribe(NOW, "m"), inbound)


def test_two_deliveries_of_a_message_reset_the_count_alike_in_any_order():
    def counted(*deliveries: Event) -> int:
        world = World(strikes_reset_on_delivery=True)
        world.take(send("a"), hard("a", T0 + 5 * MINUTE), send("d"), at=NOW)
        for event in deliveries:
            world.take(event, at=NOW)
        return strikes(world)

    early, late = (
        make_receipt("delivered", T0 + 4 * MINUTE, "d"),
        make_receipt("delivered", T0 + 6 * MINUTE, "d"),
    )
    assert counted(early, late) == counted(late, early)
