"""The state of one message: the join of the facts seen so far (docs/design.md).

Merging is commutative, associative and idempotent: any order, any duplicates and any replay of the
same events end in the same state. Only `version`, `orphaned` and the fields for people
(`fail_reason`, `no_retry`, `next_attempt_at`) record what was published.

A state is stored as a msgpack array. New fields go to the end of a struct, with a default, so that
older records can still be read (ADR 0005).
"""

from collections.abc import Iterable
from typing import Final

import msgspec

from models.contract import Engagement
from models.facts import Click, Outcome, Price, SendFact, canonical, greater_outcome, strikes
from models.time import DAY_MS
from models.versions import check_version
from models.vocabulary import BOUNCES, FINAL_STATUSES, STATUSES, SUCCESSES, Status

_READ: Final = Status.READ.value
_QUEUED: Final = Status.QUEUED.value

#: Sort keys remembered for deletion: the smallest ones, so that forgetting obeys the join as well.
MAX_SORT_KEYS: Final = 64


class MessageState(msgspec.Struct, array_like=True, gc=False):
    """All that is known of one message. Times in epoch ms, 0: not seen.

    sends: the winning send of each attempt known, by attempt
    outcome: the greatest receipt seen, in the order of `outcome_order`
    last_event_day: UTC day (days since 1970) of the last record with a receipt or engagement
    expired_at: the deadline at which our own timer found it pending
    conflict: two different sends of one attempt were seen
    orphaned: a row of the orphans table was published
    sort_keys: when there were several, all values `sent_at` may have been published with
    to_suppressed: a send of it went to a number that was suppressed before
    retry_decided: attempt up to which it was decided whether to request a retry
    fail_reason, no_retry, next_attempt_at: as published with this version
    had_hard_bounce: some receipt, winning or not, was a hard bounce of the recipient
    last_delivered_at: the latest time of a delivered or read receipt
    last_unsubscribed_at: the latest unsubscribe, where `unsubscribed_at` is the first
    others: receipts that lose to `outcome` and may win when further sends are known
    part_receipts: receipts of parts of a long message
    prices: of each attempt or part the latest
    mccmnc_at, mccmnc: of the latest receipt with one
    opted_out_at, opted_out_by: the latest receipt whose code is an opt-out, and its provider
    converted_at: when the goal was reached first
    clicks: the earliest ones
    repaired: names of fields of its events that were wrong, sorted
    unsubscribes, resubscribes: the latest, by the channel that its event names; "": it names none
    """

    version: int = 0
    sends: list[SendFact] = []
    outcome: Outcome | None = None
    queued_at: int = 0
    delivered_at: int = 0
    read_at: int = 0
    clicked_at: int = 0
    unsubscribed_at: int = 0
    last_event_day: int = 0
    expired_at: int = 0
    conflict: bool = False
    orphaned: bool = False
    sort_keys: list[int] = []
    to_suppressed: bool = False
    retry_decided: int = 0
    fail_reason: str = ""
    no_retry: str = ""
    next_attempt_at: int = 0
    had_hard_bounce: bool = False
    last_delivered_at: int = 0
    last_unsubscribed_at: int = 0
    others: list[Outcome] = []
    part_receipts: list[Outcome] = []
    prices: list[Price] = []
    mccmnc_at: int = 0
    mccmnc: str = ""
    opted_out_at: int = 0
    opted_out_by: str = ""
    converted_at: int = 0
    clicks: list[Click] = []
    repaired: list[str] = []
    unsubscribes: dict[str, int] = {}
    resubscribes: dict[str, int] = {}

    @property
    def first_send(self) -> SendFact | None:
        """The send of the lowest attempt known; recipient, source and campaign come from it."""
        return self.sends[0] if self.sends else None


class Versioned(msgspec.Struct, array_like=True, gc=False):
    """The beginning of a stored state; what follows is skipped."""

    version: int


_encoder: Final = msgspec.msgpack.Encoder()
encode: Final = _encoder.encode
decode: Final = msgspec.msgpack.Decoder(MessageState).decode


_decode_version: Final = msgspec.msgpack.Decoder(Versioned).decode


def check_record(key: bytes, value: bytes) -> None:
    """Raises DecodeError or ValueError unless a record of `message-states` can be one of ours.

    Looks at its shape only, at a tenth of the cost of decoding it.
    """
    check_version(_decode_version(value).version)


# --- joining: each returns whether the state changed -------------------------------------------


def add_send(state: MessageState, fact: SendFact) -> bool:
    """Join one send into the state."""
    sends = state.sends
    if not sends:
        state.sends = [fact]
        return True
    for place, known in enumerate(sends):
        if known.attempt == fact.attempt:
            return known != fact and _settle_conflict(state, place, fact)
        if known.attempt > fact.attempt:
            return _insert_send(state, place, fact)
    return _insert_send(state, len(sends), fact)


def _insert_send(state: MessageState, place: int, fact: SendFact) -> bool:
    sort_keys = _sort_keys(state) | {fact.first_sent_at}
    state.sends = [*state.sends[:place], fact, *state.sends[place:]]
    _keep_sort_keys(state, sort_keys)
    return True


def _settle_conflict(state: MessageState, place: int, fact: SendFact) -> bool:
    """Two different sends of one attempt: the smaller `sent_at` wins, then canonical bytes."""
    before = (state.sends[place], state.conflict, state.sort_keys)
    known = state.sends[place]
    sort_keys = _sort_keys(state) | {fact.first_sent_at}
    winner = min(known, fact, key=lambda send: (send.sent_at, canonical(send)))
    state.sends = [*state.sends[:place], winner, *state.sends[place + 1 :]]
    state.conflict = True
    _keep_sort_keys(state, sort_keys)
    return before != (winner, True, state.sort_keys)


def _sort_keys(state: MessageState) -> set[int]:
    """All `sent_at` values a row of this message may have been written with."""
    return set(state.sort_keys) or {send.first_sent_at for send in state.sends}


def _keep_sort_keys(state: MessageState, sort_keys: Iterable[int]) -> None:
    kept = sorted(sort_keys)[:MAX_SORT_KEYS]
    state.sort_keys = kept if len(kept) > 1 else []


def add_outcome(state: MessageState, outcome: Outcome, last_event_day: int) -> bool:
    """Join one receipt into the state; `last_event_day` is the UTC day of its Kafka record."""
    known = state.outcome
    winner = outcome if known is None else greater_outcome(known, outcome)
    changed = winner != known
    state.outcome = winner
    status, at = outcome.status, outcome.occurred_at
    if strikes(outcome) and not state.had_hard_bounce:
        state.had_hard_bounce = changed = True
    if status in SUCCESSES:
        if at > state.last_delivered_at:
            state.last_delivered_at = at
            changed = True
        if not state.delivered_at or at < state.delivered_at:
            state.delivered_at = at
            changed = True
        if status == _READ and (not state.read_at or at < state.read_at):
            state.read_at = at
            changed = True
    elif status == _QUEUED and (not state.queued_at or at < state.queued_at):
        state.queued_at = at
        changed = True
    return _note_day(state, last_event_day) or changed


def add_engagement(state: MessageState, engagement: Engagement, last_event_day: int) -> bool:
    """Join a click (the first counts), an unsubscribe or a resubscribe into the state."""
    at = engagement.occurred_at
    changed = _note_day(state, last_event_day)
    if engagement.type == "click":
        first = earliest(state.clicked_at, at)
        changed, state.clicked_at = changed or first != state.clicked_at, first
    elif engagement.type == "unsubscribe":
        before = state.unsubscribed_at, state.unsubscribes
        state.unsubscribes = latest(unsubscribes_of(state), {engagement.channel or "": at})
        state.unsubscribed_at = earliest(state.unsubscribed_at, at)
        state.last_unsubscribed_at = max(state.last_unsubscribed_at, at)
        changed = changed or before != (state.unsubscribed_at, state.unsubscribes)
    elif engagement.type == "resubscribe":
        known = state.resubscribes
        state.resubscribes = latest(known, {engagement.channel or "": at})
        changed = changed or known != state.resubscribes
    return changed


def unsubscribes_of(state: MessageState) -> dict[str, int]:
    """The latest unsubscribe by the channel that its event names. A state of 0.1.0 has only the
    latest time of all."""
    if state.unsubscribes or not state.last_unsubscribed_at:
        return state.unsubscribes
    return {"": state.last_unsubscribed_at}


def latest(one: dict[str, int], other: dict[str, int]) -> dict[str, int]:
    """The later time of each channel, in the order of the channels."""
    channels = sorted(one.keys() | other.keys())
    return {channel: max(one.get(channel, 0), other.get(channel, 0)) for channel in channels}


def _note_day(state: MessageState, day: int) -> bool:
    if day <= state.last_event_day:
        return False
    state.last_event_day = day
    return True


def earliest(one: int, other: int) -> int:
    """The earlier of two instants in epoch ms, where 0 is none."""
    return min(one, other) if one and other else one or other


def joined(one: MessageState, other: MessageState) -> MessageState:
    """The join of two states of one message: all that either knows."""
    sort_keys = _sort_keys(one) | _sort_keys(other)
    newest = one if one.version > other.version else other
    whole = MessageState(
        version=max(one.version, other.version),
        sends=list(one.sends),
        outcome=one.outcome,
        queued_at=earliest(one.queued_at, other.queued_at),
        delivered_at=earliest(one.delivered_at, other.delivered_at),
        read_at=earliest(one.read_at, other.read_at),
        clicked_at=earliest(one.clicked_at, other.clicked_at),
        unsubscribed_at=earliest(one.unsubscribed_at, other.unsubscribed_at),
        last_event_day=max(one.last_event_day, other.last_event_day),
        expired_at=earliest(one.expired_at, other.expired_at),
        conflict=one.conflict or other.conflict,
        orphaned=one.orphaned or other.orphaned,
        to_suppressed=one.to_suppressed or other.to_suppressed,
        retry_decided=max(one.retry_decided, other.retry_decided),
        fail_reason=newest.fail_reason,
        no_retry=newest.no_retry,
        next_attempt_at=newest.next_attempt_at,
        had_hard_bounce=one.had_hard_bounce or other.had_hard_bounce,
        last_delivered_at=max(one.last_delivered_at, other.last_delivered_at),
        last_unsubscribed_at=max(one.last_unsubscribed_at, other.last_unsubscribed_at),
        unsubscribes=latest(unsubscribes_of(one), unsubscribes_of(other)),
        resubscribes=latest(one.resubscribes, other.resubscribes),
    )
    for fact in other.sends:
        add_send(whole, fact)
    if other.outcome is not None:
        known = whole.outcome
        whole.outcome = other.outcome if known is None else greater_outcome(known, other.outcome)
    _keep_sort_keys(whole, sort_keys)
    return whole


def join_encoded(held: bytes, read: bytes) -> bytes:
    """Join two stored states. One owner's writes follow each other: its later one holds all.

    States of different owners (epochs) are really joined: a worker that lost its partition may
    have written after its successor had restored (docs/design.md).
    """
    one, other = decode(held), decode(read)
    later, earlier = (other, one) if other.version >= one.version else (one, other)
    if one.version >> 32 == other.version >> 32 and _holds(later, earlier):
        return read if later is other else held
    return encode(joined(one, other))


def _holds(later: MessageState, earlier: MessageState) -> bool:
    """Whether a later write of one owner knows what an earlier one was joined with meanwhile."""
    return (
        later.orphaned >= earlier.orphaned
        and later.conflict >= earlier.conflict
        and bool(later.expired_at) >= bool(earlier.expired_at)
        and len(later.sends) >= len(earlier.sends)
        and set(later.sort_keys) >= set(earlier.sort_keys)
    )


# --- what follows from a state ------------------------------------------------------------------


def deadline_ms(state: MessageState, validity_s: int) -> int:
    """When a pending message expires: first sent + validity, in epoch ms. 0: no timer runs for it.

    validity_s: the account's, for a send without one
    """
    first = state.first_send
    if first is None or first.direction == "inbound" or state.expired_at:
        return 0
    if not is_pending(state) or has_unknown_status(state):
        return 0
    return first.first_sent_at + (first.validity_s or validity_s) * 1000


def is_pending(state: MessageState) -> bool:
    """No final receipt decides: the latest attempt is submitted or queued (rank 0 or 1).

    A status that only a newer version knows counts as if its receipt had not come yet.
    """
    outcome = state.outcome
    if outcome is None or outcome.status not in FINAL_STATUSES:
        return True
    if outcome.status in SUCCESSES or not state.sends:
        return False
    return state.sends[-1].attempt > outcome.attempt


def has_unknown_status(state: MessageState) -> bool:
    """Whether a receipt decides whose status only a newer version knows."""
    return state.outcome is not None and state.outcome.status not in STATUSES


def unknown_values(state: MessageState) -> tuple[str, ...]:
    """Values that only a newer version understands, such as "status 7"; () as a rule."""
    outcome = state.outcome
    if outcome is None or (outcome.status in STATUSES and outcome.bounce in BOUNCES):
        return ()
    status = () if outcome.status in STATUSES else (f"status {outcome.status}",)
    bounce = () if outcome.bounce in BOUNCES else (f"bounce {outcome.bounce}",)
    return status + bounce


def retention_day(state: MessageState) -> int:
    """UTC day (days since 1970) whose retention applies: of sending, else of the last event."""
    return state.sends[0].first_sent_at // DAY_MS if state.sends else state.last_event_day


def provider_of(state: MessageState) -> str:
    """The provider of the latest attempt's send, else that of the winning receipt."""
    provider = state.sends[-1].provider if state.sends else ""
    if not provider and state.outcome is not None:
        return state.outcome.provider
    return provider


def attempts_of(state: MessageState) -> int:
    """The highest attempt known from the sends and from the winning receipt."""
    latest = state.sends[-1].attempt if state.sends else 0
    return max(latest, state.outcome.attempt) if state.outcome is not None else latest
