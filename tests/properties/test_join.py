"""The laws of the join (docs/design.md): order, duplicates and grouping of events do not matter."""

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from models.contract import Engagement, Receipt, Send
from models.facts import outcome_of, send_fact
from models.joining import (
    MAX_SORT_KEYS,
    add_engagement,
    add_receipt,
    add_send,
    decide,
    join_encoded,
    joined,
)
from models.message_row import row_of
from models.state import MessageState, decode, encode
from models.time import DAY_MS
from models.vocabulary import UNKNOWN_WORD
from tests.properties.events import NOON_MS, events_of_one_message

EXPIRIES = st.sampled_from([0, NOON_MS + DAY_MS, NOON_MS + 3 * DAY_MS])
DECIDED = st.integers(0, 3)
Heard = tuple[Send | Receipt | Engagement, int]


def join_event(state: MessageState, heard: Heard) -> bool:
    event, day = heard
    if isinstance(event, Send):
        return add_send(state, send_fact(event))
    if isinstance(event, Receipt):
        outcome = outcome_of(event) if event.status != UNKNOWN_WORD else None
        return add_receipt(state, event, outcome, day)
    return add_engagement(state, event, day)


def state_of(events: list[Heard]) -> MessageState:
    state = MessageState()
    for event in events:
        join_event(state, event)
    decide(state)
    return state


@given(events_of_one_message, st.randoms(use_true_random=False), st.integers(0, 5))
def test_any_order_with_any_duplicates_ends_in_the_same_state(events, random, extra):
    shuffled = events + [random.choice(events) for _ in range(extra if events else 0)]
    random.shuffle(shuffled)
    assert state_of(shuffled) == state_of(events)


@given(events_of_one_message, st.data())
def test_any_grouping_joined_ends_in_the_same_state(events, data):
    groups: list[list[Heard]] = [[], [], []]
    for event in events:
        groups[data.draw(st.integers(0, 2))].append(event)
    one, two, three = (state_of(group) for group in groups)
    assert joined(joined(one, two), three) == state_of(events)
    assert joined(one, joined(two, three)) == state_of(events)
    assert joined(three, joined(one, two)) == state_of(events)


@given(events_of_one_message)
def test_a_state_joined_with_itself_or_with_nothing_stays(events):
    state = state_of(events)
    assert joined(state, state) == state
    assert joined(state, MessageState()) == state
    assert joined(MessageState(), state) == state


@given(events_of_one_message)
def test_an_event_seen_before_changes_nothing_and_reports_no_change(events):
    state = state_of(events)
    before = encode(state)
    assert not any([join_event(state, event) for event in events])
    assert encode(state) == before


@given(events_of_one_message)
def test_a_change_is_reported_whenever_the_state_moves(events):
    state = MessageState()
    for event in events:
        before = encode(state)
        assert join_event(state, event) == (encode(state) != before)


@given(events_of_one_message)
def test_a_state_survives_being_stored(events):
    state = state_of(events)
    assert decode(encode(state)) == state


@given(events_of_one_message, events_of_one_message)
def test_states_of_different_owners_are_joined_and_the_higher_version_is_kept(ours, theirs):
    one, other = state_of(ours), state_of(theirs)
    one.version, other.version = (1 << 32) + 7, (2 << 32) + 1
    whole = decode(join_encoded(encode(one), encode(other)))
    assert whole == decode(join_encoded(encode(other), encode(one)))
    assert whole.version == other.version
    assert msgspec.structs.replace(whole, version=0) == state_of(ours + theirs)


@given(events_of_one_message)
def test_of_one_owner_the_later_write_wins(events):
    early, late = MessageState(version=(5 << 32) + 1), state_of(events)
    late.version = (5 << 32) + 2
    assert join_encoded(encode(early), encode(late)) == encode(late)
    assert join_encoded(encode(late), encode(early)) == encode(late)


@given(events_of_one_message, st.integers(0, 8))
def test_an_expiry_never_hides_a_final_receipt(events, place):
    """Where the timer falls among the events decides nothing once a final receipt is known."""
    late = state_of(events)
    early = state_of(events[:place])
    early.expired_at = NOON_MS + 3 * DAY_MS
    for event in events[place:]:
        join_event(early, event)
    decide(early)
    seen, expected = row_of(b"acme/m1", early), row_of(b"acme/m1", late)
    if expected.status in ("submitted", "queued") and expected.kind == "message":
        assert (seen.status, seen.bounce, seen.scope) == ("undelivered", "soft", "time")
        assert seen.finalized_at == early.expired_at
    else:
        assert seen == expected


@given(events_of_one_message, st.data())
def test_what_timers_and_people_left_on_a_state_is_joined_too(events, data):
    """Expiry: the earliest; a decided retry: the highest; what was noted: of the later version."""
    one, two = MessageState(version=(1 << 32) + 9), MessageState(version=(2 << 32) + 1)
    for event in events:
        join_event(data.draw(st.sampled_from([one, two])), event)
    one.expired_at, two.expired_at = data.draw(EXPIRIES), data.draw(EXPIRIES)
    one.retry_decided, two.retry_decided = data.draw(st.tuples(DECIDED, DECIDED))
    one.to_suppressed = data.draw(st.booleans())
    one.fail_reason, two.fail_reason = "busy", "blocked"
    whole = joined(one, two)
    assert whole == joined(two, one) == joined(whole, one) == joined(two, whole)
    assert whole.expired_at == min(filter(None, (one.expired_at, two.expired_at)), default=0)
    assert whole.retry_decided == max(one.retry_decided, two.retry_decided)
    assert whole.to_suppressed == one.to_suppressed
    assert whole.fail_reason == "blocked"


def test_superseded_sort_keys_are_bounded_and_still_obey_the_join():
    events: list[Heard] = [
        (
            Send(
                account="acme",
                message_id="m1",
                channel="sms",
                recipient="+447911123456",
                sent_at=NOON_MS + place,
            ),
            0,
        )
        for place in range(3 * MAX_SORT_KEYS)
    ]
    state = state_of(events)
    assert len(state.sort_keys) == MAX_SORT_KEYS
    assert state == state_of(events[::-1])
    assert state == joined(state_of(events[100:]), state_of(events[:120]))
