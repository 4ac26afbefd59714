"""Who may be sent to on which channel, and for what: from events to the answer of a look-up."""

import itertools
from typing import Any

import msgspec
import pytest

from models.contract import Engagement, Event, Receipt, Send
from models.facts import Outcome, send_fact
from models.failures import NEVER_RETRIED, OPT_OUT
from models.joining import add_engagement, add_send
from models.keys import message_key
from models.state import MessageState
from models.suppression_requests import parse_request
from models.vocabulary import Status
from streams.lifecycle.pending import UNKNOWN, PendingMessage, emit_recipient_events
from tests.support.recipient_world import (
    DAY,
    HOUR,
    MINUTE,
    NUMBER,
    OTHER,
    SECOND,
    T0,
    World,
    clock,
    hard,
    make_receipt,
    send,
    soft,
    unsubscribe,
)

NOW = T0 + 10 * MINUTE
LEFT, BOUNCED, BY_HAND = ("unsubscribed",), ("hard_bounces",), ("manual",)
PERSON, SPELLING = "+5582999448232", "+558299448232"


def whatsapp(message: str = "m", at: int = T0, **fields: Any) -> Send:
    return send(message, at, **({"channel": "whatsapp"} | fields))


def resubscribe(at: int, message: str | None = None, *args: Any, **fields: Any) -> Engagement:
    return unsubscribe(at, message, *args, type="resubscribe", **fields)


def after(*events: Event, **settings: Any) -> World:
    """All events in this order, each read alone."""
    world = World(**settings)
    for event in events:
        world.take(event, at=NOW)
    return world


# --- unsubscribes ----------------------------------------------------------------------------

# rule, events that may come in any order, who is bound where
UNSUBSCRIBED: list[tuple[str, list[Event], dict[str, dict[str, tuple[str, ...]]]]] = [
    ("of an SMS: on sms", [send(), unsubscribe(NOW, "m")], {NUMBER: {"sms": LEFT}}),
    ("of a WhatsApp: there", [whatsapp(), unsubscribe(NOW, "m")], {NUMBER: {"whatsapp": LEFT}}),
    (
        "STOP is a reply",
        [whatsapp(direction="inbound"), unsubscribe(NOW, "m")],
        {NUMBER: {"whatsapp": LEFT}},
    ),
    (
        "the channel of the event counts more than that of the message",
        [send(), unsubscribe(NOW, "m", channel="whatsapp")],
        {NUMBER: {"whatsapp": LEFT}},
    ),
    (
        "both channels by two events",
        [send(), unsubscribe(NOW, "m", channel="whatsapp"), unsubscribe(NOW - 1, "m")],
        {NUMBER: {"whatsapp": LEFT, "sms": LEFT}},
    ),
    (
        "only a number: on all",
        [unsubscribe(NOW, None, NUMBER)],
        {NUMBER: {"sms": LEFT, "whatsapp": LEFT}},
    ),
    (
        "only a number and a channel",
        [unsubscribe(NOW, None, NUMBER, channel="sms")],
        {NUMBER: {"sms": LEFT}},
    ),
    (
        "another number in the event is bound as well",
        [send(), unsubscribe(NOW, "m", OTHER, channel="sms")],
        {NUMBER: {"sms": LEFT}, OTHER: {"sms": LEFT}},
    ),
    (
        "every spelling of a number",
        [whatsapp(recipient=PERSON), unsubscribe(NOW, "m", SPELLING, channel="whatsapp")],
        {PERSON: {"whatsapp": LEFT}, SPELLING: {"whatsapp": LEFT}},
    ),
    (
        "the message has the other spelling",
        [whatsapp(recipient=SPELLING), unsubscribe(NOW, "m")],
        {PERSON: {"whatsapp": LEFT}, SPELLING: {"whatsapp": LEFT}},
    ),
    (
        "a later resubscribe through a message ends it",
        [send(), unsubscribe(NOW, "m"), resubscribe(NOW + 1, "m")],
        {NUMBER: {}},
    ),
    (
        "a resubscribe through a reply, on the channel of the reply",
        [
            unsubscribe(NOW, None, NUMBER),
            whatsapp("in", direction="inbound"),
            resubscribe(NOW + 1, "in"),
        ],
        {NUMBER: {"sms": LEFT}},
    ),
    (
        "a resubscribe that names only a number ends those of each channel",
        [send(), unsubscribe(NOW, "m"), resubscribe(NOW + 1, None, NUMBER)],
        {NUMBER: {}},
    ),
    (
        "a resubscribe from before changes nothing",
        [send(), unsubscribe(NOW, "m"), resubscribe(NOW - 1, "m")],
        {NUMBER: {"sms": LEFT}},
    ),
    ("a click binds nobody", [send(), unsubscribe(NOW, "m", type="click")], {NUMBER: {}}),
    ("a conversion binds nobody", [send(), unsubscribe(NOW, "m", type="conversion")], {NUMBER: {}}),
]


@pytest.mark.parametrize("rule", UNSUBSCRIBED, ids=[row[0] for row in UNSUBSCRIBED])
def test_whom_an_unsubscribe_binds_in_every_order(rule):
    _, events, expected = rule
    for order in itertools.permutations(events):
        world = after(*order)
        assert {recipient: world.bound(recipient) for recipient in expected} == expected


@pytest.mark.parametrize(
    ("events", "channels"),
    [
        ([send(), unsubscribe(NOW, "m", OTHER)], {"sms"}),
        ([unsubscribe(NOW, "m", OTHER), send()], {"sms", "whatsapp"}),
    ],
)
def test_a_number_beside_a_message_is_bound_on_all_channels_while_the_message_is_unknown(
    events, channels
):
    world = after(*events)
    assert world.bound(OTHER).keys() == channels
    assert world.bound(NUMBER) == {"sms": LEFT}


def test_two_attempts_on_different_channels_bind_that_of_the_message():
    """The first attempt is read last: it is the message's own."""
    second = send(at=T0 + HOUR, attempt=2)
    world = after(second, whatsapp(), unsubscribe(NOW, "m"))
    assert world.bound() == {"whatsapp": LEFT}
    late = after(second, unsubscribe(NOW, "m"), whatsapp())
    assert late.bound()["whatsapp"] == LEFT


# --- an opt-out by code --------------------------------------------------------------------------


def opted_out(*steps: str, by: str = "twilio") -> list[dict[str, Any]]:
    """Requests of a message whose send and opt-out become known in this order."""
    state, found = MessageState(), []
    for step in steps:
        day = T0 // DAY if state.sends or state.opted_out_at else UNKNOWN
        message = PendingMessage("acme", state, World().accounts.of("acme"), day)
        if step == "opt-out":
            state.opted_out_at, state.opted_out_by = NOW, by
            state.outcome = Outcome(
                1, Status.UNDELIVERED, 1, NOW, error_code="21610", flags=OPT_OUT | NEVER_RETRIED
            )
        else:
            add_send(state, send_fact(send(direction=step, provider="sinch")))
        emit_recipient_events(message_key("acme", "m"), message)
        found += [parse_request(value, NOW).model_dump() for _, value in message.requests]
        assert not message.strikes
    return found


@pytest.mark.parametrize(("by", "who"), [("twilio", "twilio"), ("", "sinch")])
@pytest.mark.parametrize("steps", [["outbound", "opt-out"], ["opt-out", "outbound"]])
def test_an_opt_out_by_code_is_an_unsubscribe_that_names_the_provider(steps, by, who):
    wanted = {
        "account": "acme",
        "recipient": NUMBER,
        "action": "unsubscribe",
        "at": NOW,
        "who": who,
        "why": "message m",
        "channel": "sms",
    }
    assert opted_out(*steps, by=by) == [wanted]
    assert opted_out(*steps, "opt-out", by=by) == [wanted]


def test_an_opt_out_of_an_inbound_message_binds_nobody():
    assert opted_out("inbound", "opt-out") == opted_out("opt-out", "inbound") == []


# --- persons --------------------------------------------------------------------------------------


@pytest.mark.parametrize("sender", ["40404", "ACME", "+46"])
@pytest.mark.parametrize("backwards", [False, True])
def test_an_inbound_sender_that_is_no_person_is_never_suppressed(sender, backwards):
    state = MessageState()
    inbound = send_fact(send(direction="inbound"))
    steps = [
        lambda: add_send(state, msgspec.structs.replace(inbound, recipient=sender)),
        lambda: add_engagement(state, unsubscribe(NOW, "m"), 0),
    ]
    for step in steps[::-1] if backwards else steps:
        message = PendingMessage("acme", state, World().accounts.of("acme"), UNKNOWN)
        step()
        emit_recipient_events(message_key("acme", "m"), message)
        assert not message.requests


# --- strikes --------------------------------------------------------------------------------------


def three(make: Any, *, hours: int = 0) -> list[Event]:
    """Three messages of one channel that bounced hard, five minutes after each other."""
    times = [T0 + hours * HOUR + n * 5 * MINUTE for n in range(3)]
    return [
        event
        for n, at in enumerate(times)
        for event in (
            make(f"{make.__name__}{n}", at),
            hard(f"{make.__name__}{n}", at + 10 * SECOND, error_code="131026"),
        )
    ]


@pytest.mark.parametrize("backwards", [False, True])
def test_a_number_without_whatsapp_can_still_get_sms(backwards):
    delivered = [send("s1", T0 + HOUR), make_receipt("delivered", T0 + HOUR + 1, "s1")]
    events = three(whatsapp) + delivered
    world = after(*(events[::-1] if backwards else events))
    assert world.bound() == {"whatsapp": BOUNCED}
    assert not world.row("s1").sent_to_suppressed
    world.take(whatsapp("w4", NOW + DAY), send("s2", NOW + DAY), at=NOW + DAY)
    assert world.row("w4").sent_to_suppressed
    assert not world.row("s2").sent_to_suppressed


def test_strikes_of_two_channels_do_not_add_up():
    world = after(*three(whatsapp)[:4], *three(send)[:2])
    known = world.number(NUMBER)
    assert known is not None
    counted = {each.channel: each.strikes for each in known.channels}
    assert counted == {"sms": 1, "whatsapp": 2}
    assert (known.suppressed, known.strikes) == (False, 2)


def test_a_strike_counts_on_the_channel_of_the_attempt_that_bounced():
    first, second = whatsapp(), send(at=T0 + HOUR, attempt=2)
    world = after(first, second, hard("m", T0 + HOUR + 1, attempt=2), strike_limit=1)
    assert world.bound() == {"sms": BOUNCED}
    late = after(second, hard("m", T0 + HOUR + 1, attempt=2), first, strike_limit=1)
    assert late.bound() == {"sms": BOUNCED}


def test_a_delivery_resets_the_strikes_of_its_channel():
    delivered = [send("d", NOW), make_receipt("delivered", NOW + HOUR, "d")]
    world = after(*three(whatsapp), *three(send), *delivered, strikes_reset_on_delivery=True)
    assert world.bound() == {"whatsapp": BOUNCED}


def test_a_suppression_of_days_ends_on_each_channel_at_its_own_time():
    world = World(suppression_days=2)
    world.take(*three(whatsapp), at=NOW)
    world.take(*three(send, hours=24), at=NOW + DAY)
    assert world.bound().keys() == {"sms", "whatsapp"}
    known = world.number(NUMBER)
    assert known is not None
    sms, other = known.channels
    assert (known.until, sms.until - other.until) == (sms.until, DAY)
    world.restart()
    world.commit(other.until)
    assert world.bound().keys() == {"sms"}
    world.restart()
    world.commit(sms.until)
    assert world.bound() == {}


# --- decisions by hand ----------------------------------------------------------------------------


def test_decisions_name_a_channel_or_all():
    world = World()
    world.request("suppress", NUMBER, NOW, channel="sms")
    world.commit(NOW)
    assert world.bound() == {"sms": BY_HAND}
    world.request("suppress", NUMBER, NOW + 1)
    world.request("release", NUMBER, NOW + 2, channel="whatsapp")
    world.commit(NOW + 2)
    assert world.bound() == {"sms": BY_HAND}
    world.request("release", NUMBER, NOW + 3)
    world.commit(NOW + 3)
    assert world.bound() == {}


def test_a_release_on_one_channel_restarts_the_count_there():
    world = after(*three(whatsapp), *three(send))
    world.request("release", NUMBER, NOW + DAY, channel="sms")
    world.commit(NOW + DAY)
    assert world.bound() == {"whatsapp": BOUNCED}


# --- what it binds --------------------------------------------------------------------------------


def otp(at: int, **fields: Any) -> Send:
    return send("otp", at, source="verification", **fields)


def softly(at: int) -> Receipt:
    return make_receipt("undelivered", at, "otp", bounce="soft")


def test_who_left_a_newsletter_still_gets_codes_to_log_in():
    world = World(retry_every_s=60)
    world.take(send("news", source="campaign", campaign_id="nl"), at=T0)
    world.take(unsubscribe(T0 + MINUTE, "news"), at=T0 + MINUTE)
    world.take(otp(NOW), softly(NOW + SECOND), at=NOW + SECOND)
    world.commit(NOW + MINUTE)
    assert not world.row("otp").sent_to_suppressed
    assert [each.request.id for each in world.requested] == ["acme/otp/2"]
    assert world.binds(NUMBER, "sms", "direct") == T0 + MINUTE


def test_an_account_may_let_unsubscribes_bind_every_message():
    world = World(retry_every_s=60, unsubscribe_binds="all")
    world.take(send("news", source="campaign"), unsubscribe(T0 + MINUTE, "news"), at=T0 + MINUTE)
    world.take(otp(NOW), softly(NOW + SECOND), at=NOW + SECOND)
    world.commit(NOW + MINUTE)
    assert world.row("otp").sent_to_suppressed
    assert not world.requested
    assert world.row("otp").no_retry_reason == "suppressed"


@pytest.mark.parametrize("by_hand", [False, True])
def test_strikes_and_decisions_by_hand_bind_codes_to_log_in_too(by_hand):
    world = World()
    if by_hand:
        world.request("suppress", NUMBER, T0)
        world.commit(T0)
    else:
        world.take(*three(send), at=NOW)
    world.take(otp(NOW + DAY), at=NOW + DAY)
    assert world.row("otp").sent_to_suppressed


def test_a_message_on_another_channel_is_tried_again():
    world = World()
    world.take(send(), soft(clock("0:10")), at=clock("0:10"))
    world.request("suppress", NUMBER, clock("0:20"), channel="whatsapp")
    world.wait(clock("0:20"), clock("1:30"), MINUTE)
    assert [each.request.id for each in world.requested] == ["acme/m/2"]


def test_opt_outs_are_counted_by_channel_and_only_when_they_are_new() -> None:
    world = after(
        send(),
        unsubscribe(NOW, "m"),
        unsubscribe(NOW, None, OTHER),
        make_receipt("rejected", NOW, provider="twilio", error_code="21610"),
        resubscribe(NOW + 1, None, OTHER),
    )
    assert world.opt_outs == {"sms": 1, "": 1}
    world.take(make_receipt("rejected", NOW + 5, provider="twilio", error_code="21610"), at=NOW)
    assert world.opt_outs == {"sms": 2, "": 1}
    world.restart()
    world.take(unsubscribe(NOW, "m"), at=NOW)
    assert world.opt_outs == {"sms": 2, "": 1}
