"""Laws of the join where receipts name no attempt, are about parts, or leave their code to the
provider of the send."""

from decimal import Decimal
from itertools import permutations

from hypothesis import given, settings
from hypothesis import strategies as st

from models.contract import Engagement, Receipt, Send
from models.facts import is_unexplained, outcome_of, send_fact
from models.joining import (
    add_engagement,
    add_receipt,
    add_repaired,
    add_send,
    decide,
    is_undecided,
    joined,
)
from models.outcomes import MAX_UNEXPLAINED, candidates_of, compared
from models.state import MessageState, decode, encode
from models.vocabulary import UNKNOWN_WORD, Status

NOON = 1_795_176_000_000
MINUTES = st.integers(0, 9).map(lambda minute: NOON + minute * 60_000)
CODES = st.sampled_from([None, "21610", "30005", "30003", "30004", "1", "no such code"])
PROVIDERS = st.sampled_from([None, "twilio", "north"])

sends = st.builds(
    Send,
    account=st.just("acme"),
    message_id=st.just("m1"),
    channel=st.just("sms"),
    recipient=st.just("+447700900123"),
    sent_at=MINUTES,
    attempt=st.integers(1, 4),
    first_sent_at=st.just(NOON),
    provider=PROVIDERS,
)
receipts = st.builds(
    Receipt.model_construct,
    account=st.just("acme"),
    message_id=st.just("m1"),
    status=st.sampled_from([*(status.word for status in Status), UNKNOWN_WORD]),
    occurred_at=MINUTES,
    attempt=st.sampled_from([None, None, 1, 2]),
    bounce=st.sampled_from([None, None, "soft", "hard"]),
    scope=st.sampled_from([None, None, "recipient", "network"]),
    error_code=CODES,
    provider=PROVIDERS,
    part=st.sampled_from([None, None, 1, 2]),
    parts=st.sampled_from([2, 3]),
    mccmnc=st.sampled_from([None, "23415", "310260"]),
    price=st.sampled_from([None, Decimal("0.0075"), Decimal("-1.5")]),
    currency=st.sampled_from(["EUR", "USD"]),
    reason=st.none(),
    provider_message_id=st.none(),
    recipient=st.none(),
)
engagements = st.builds(
    Engagement,
    account=st.just("acme"),
    event_id=st.just("e1"),
    message_id=st.just("m1"),
    type=st.sampled_from(["click", "unsubscribe", "conversion", "resubscribe"]),
    occurred_at=MINUTES,
    link_id=st.sampled_from([None, "a", "b", "c" * 40]),
    automated=st.booleans(),
)
repairs = st.lists(st.sampled_from(["text", "country", "email"]), max_size=2).map(tuple)
#: Failures of providers that only the sends name.
unexplained = st.builds(
    Receipt.model_construct,
    account=st.just("acme"),
    message_id=st.just("m1"),
    status=st.sampled_from(["undelivered", "rejected"]),
    occurred_at=MINUTES,
    attempt=st.sampled_from([None, 1, 2]),
    bounce=st.sampled_from([None, "soft", "hard"]),
    scope=st.sampled_from([None, "recipient", "network"]),
    error_code=CODES,
    reason=st.sampled_from([None, "Phone number is opted out", "Recipient has opted out"]),
    **dict.fromkeys(
        (
            "provider",
            "part",
            "parts",
            "mccmnc",
            "price",
            "currency",
            "provider_message_id",
            "recipient",
        ),
        st.none(),
    ),
)
facts = st.one_of(
    st.lists(st.one_of(sends, receipts, receipts, engagements, repairs), max_size=12),
    st.lists(st.one_of(sends, unexplained, unexplained), max_size=6),
)


def state_of(events: list) -> MessageState:
    state = MessageState()
    for event in events:
        join(state, event)
    decide(state)
    return state


def join(state: MessageState, event) -> bool:
    if isinstance(event, tuple):
        return add_repaired(state, event)
    if isinstance(event, Send):
        return add_send(state, send_fact(event))
    if isinstance(event, Engagement):
        return add_engagement(state, event, 1)
    outcome = outcome_of(event) if event.status != UNKNOWN_WORD else None
    return add_receipt(state, event, outcome, 1)


@given(facts, st.randoms(use_true_random=False), st.integers(0, 6), st.data())
@settings(max_examples=400)
def test_any_order_with_duplicates_and_decisions_in_between_ends_in_the_same_state(
    events, random, extra, data
):
    shuffled = events + [random.choice(events) for _ in range(extra if events else 0)]
    random.shuffle(shuffled)
    state = MessageState()
    for event in shuffled:
        join(state, event)
        if data.draw(st.booleans()):
            if is_undecided(state):
                decide(state)
            state = decode(encode(state))
    if is_undecided(state):
        decide(state)
    assert state == state_of(events)


@given(st.lists(st.one_of(receipts, unexplained, unexplained), min_size=3, max_size=8))
@settings(max_examples=400)
def test_whatever_beats_a_receipt_beats_what_it_beats(events):
    """Else which receipts are kept would depend on the order in which they are read."""
    outcomes = [outcome_of(event) for event in events if event.status != UNKNOWN_WORD]
    for one, two, three in permutations(outcomes, 3):
        if compared(one, two) > 0 and compared(two, three) > 0:
            assert compared(one, three) > 0


@given(facts, facts, facts)
@settings(max_examples=400)
def test_states_are_joined_like_their_events(one, two, three):
    whole = state_of([*one, *two, *three])
    first, second, third = state_of(one), state_of(two), state_of(three)
    assert joined(joined(first, second), third) == whole
    assert joined(first, joined(second, third)) == whole
    assert joined(third, joined(second, first)) == whole
    assert joined(whole, whole) == whole


@given(facts)
def test_what_changes_a_state_reports_a_change(events):
    state = MessageState()
    for event in events:
        before = encode(state)
        changed = join(state, event)
        assert changed or encode(state) == before


@given(st.lists(receipts.filter(lambda receipt: receipt.status != UNKNOWN_WORD), max_size=30))
def test_of_receipts_without_an_attempt_at_most_one_a_rank_is_kept(events):
    """Apart from those that only the provider of their send explains: any of these may win."""
    found = candidates_of(outcome_of(event.model_copy(update={"part": None})) for event in events)
    kept = [one for one in found if not is_unexplained(one)]
    assert len(found) - len(kept) <= MAX_UNEXPLAINED
    assert len([one for one in kept if one.flags & 1]) <= 6
    assert len([one for one in kept if not one.flags & 1]) <= 1
