"""Joining events into the state of a message, and joining two states (docs/design.md).

Facts are joined as they come; `decide` derives the outcome from them (ADR 0013).
"""

from collections.abc import Iterable
from typing import Final

from models.accounts import AccountSettings
from models.clicks import MAX_CLICKS, click_of
from models.codes import code_of
from models.contract import Engagement, Receipt
from models.facts import (
    NO_ATTEMPT,
    Click,
    OptOut,
    Outcome,
    SendFact,
    canonical,
    code_of_failure,
    is_unexplained,
    may_be_strike,
    price_of,
)
from models.failures import OPT_OUT, may_opt_out
from models.outcomes import (
    as_received,
    attempt_at,
    candidates_of,
    compared,
    greatest,
    part_receipts_of,
    placed,
    prices_of,
    provider_at,
    wholes_of,
    winner_of,
)
from models.state import MessageState, decode, earliest, encode, unsubscribes_of
from models.vocabulary import FAILURES, SUCCESSES, Status

_READ: Final = Status.READ.value
_QUEUED: Final = Status.QUEUED.value

#: Sort keys remembered for deletion: the smallest ones, so that forgetting obeys the join as well.
MAX_SORT_KEYS: Final = 64
#: Opt-outs and names of repaired fields that are kept of one message.
MAX_OPT_OUTS: Final = 8
MAX_REPAIRED: Final = 32


# --- events: each returns whether the state changed ---------------------------------------------


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


def add_receipt(
    state: MessageState, receipt: Receipt, outcome: Outcome | None, last_event_day: int
) -> bool:
    """Join one receipt into the state; `decide` follows before the state is used.

    outcome: of the receipt; None: its status is unknown and decides nothing
    last_event_day: UTC day of its Kafka record
    """
    changed = outcome is not None and _add_outcome(state, outcome)
    if receipt.price is not None or receipt.mccmnc is not None:
        changed = _add_charge(state, receipt) or changed
    return _note_day(state, last_event_day) or changed


def _add_outcome(state: MessageState, outcome: Outcome) -> bool:
    is_part = outcome.part
    changed = _add_part(state, outcome) if is_part else _add_candidate(state, outcome)
    status, at = outcome.status, outcome.occurred_at
    if status in SUCCESSES:
        if not is_part:
            changed = _note_delivery(state, status, at) or changed
    elif status == _QUEUED:
        if not state.queued_at or at < state.queued_at:
            state.queued_at = at
            changed = True
    elif status in FAILURES:
        changed = _note_failure(state, outcome) or changed
    return changed


def _add_charge(state: MessageState, receipt: Receipt) -> bool:
    """Join the price and the network that a receipt gives."""
    prices, network = state.prices, (state.mccmnc_at, state.mccmnc)
    price = price_of(receipt)
    if price is not None:
        state.prices = prices_of((*prices, price))
    if receipt.mccmnc is not None:
        state.mccmnc_at, state.mccmnc = max(network, (receipt.occurred_at, receipt.mccmnc))
    return prices != state.prices or network != (state.mccmnc_at, state.mccmnc)


def _note_delivery(state: MessageState, status: int, at: int) -> bool:
    changed = at > state.last_delivered_at
    if changed:
        state.last_delivered_at = at
    if not state.delivered_at or at < state.delivered_at:
        state.delivered_at = at
        changed = True
    if status == _READ and (not state.read_at or at < state.read_at):
        state.read_at = at
        changed = True
    return changed


def _note_failure(state: MessageState, outcome: Outcome) -> bool:
    """Note whether it may be a strike or an opt-out, whatever receipt wins."""
    changed = not state.had_hard_bounce and may_be_strike(outcome)
    state.had_hard_bounce = state.had_hard_bounce or changed
    is_one, code = outcome.flags & OPT_OUT, "" if outcome.provider else code_of_failure(outcome)
    if not is_one and not may_opt_out(code):
        return changed
    attempt = 0 if outcome.flags & NO_ATTEMPT else outcome.attempt
    opt_out = OptOut(outcome.occurred_at, outcome.provider, "" if is_one else code, attempt)
    known, state.opt_outs = state.opt_outs, _opt_outs_of((*state.opt_outs, opt_out))
    return changed or known != state.opt_outs


def _opt_outs_of(opt_outs: Iterable[OptOut]) -> tuple[OptOut, ...]:
    """The latest: of those that are one, and of those that may be one, apart."""
    distinct = sorted(set(opt_outs))
    sure = [one for one in distinct if not one.code][-MAX_OPT_OUTS:]
    perhaps = [one for one in distinct if one.code][-MAX_OPT_OUTS:]
    return tuple(sorted([*sure, *perhaps]))


def _add_part(state: MessageState, receipt: Outcome) -> bool:
    known, state.part_receipts = (
        state.part_receipts,
        part_receipts_of((*state.part_receipts, receipt)),
    )
    return known != state.part_receipts


def _add_candidate(state: MessageState, receipt: Outcome) -> bool:
    """Until `decide` the outcome is the winner among receipts as received."""
    known, candidates = state.outcome, state.candidates
    if not candidates:
        if known is None or known.parts:
            state.outcome = receipt
            if is_unexplained(receipt):
                state.candidates = (receipt,)
            return True
        known = as_received(known)
        order = compared(receipt, known)
        if order < 0 or receipt == known:
            return False
        if order and not is_unexplained(receipt):
            state.outcome = receipt
            return True
        candidates = (known,)
    state.candidates = candidates_of((*candidates, receipt))
    if state.candidates == candidates:
        return False
    state.outcome = winner_of(state.candidates, (), None)
    return True


# --- deciding -----------------------------------------------------------------------------------


def is_undecided(state: MessageState) -> bool:
    """Whether `decide` may have something to decide: rarely, since most messages are sent once."""
    if state.candidates or state.part_receipts or state.opt_outs:
        return True
    sends = state.sends
    return bool(sends) and sends[-1].attempt > 1


def decide(state: MessageState, settings: AccountSettings | None = None) -> None:
    """Decide the outcome by the sends that are known: the attempt of each receipt, the provider
    that explains its code, the parts of a long message.

    settings: of the account; None: it has no meanings of codes
    """
    outcome, sends = state.outcome, state.sends
    if state.candidates or state.part_receipts:
        _decide_among(state, settings)
    elif outcome is not None and outcome.flags & NO_ATTEMPT:
        state.outcome = placed(outcome, sends)
    if state.opt_outs:
        state.opted_out_at, state.opted_out_by, state.opted_out_attempt = _opted_out(state)


def _decide_among(state: MessageState, settings: AccountSettings | None) -> None:
    candidates = _candidates(state)
    whole = winner_of(candidates, state.sends, settings)
    in_parts = wholes_of(state.part_receipts, state.sends, settings)
    state.outcome = best = greatest(in_parts if whole is None else [whole, *in_parts])
    # One that is read back from the outcome is not kept twice.
    alone = len(candidates) == 1 and best is not None and as_received(best) == candidates[0]
    state.candidates = () if alone and not is_unexplained(candidates[0]) else candidates


def _candidates(state: MessageState) -> tuple[Outcome, ...]:
    """The receipts of the whole message that may win, as received."""
    if state.candidates:
        return state.candidates
    outcome = state.outcome
    return (as_received(outcome),) if outcome is not None and not outcome.parts else ()


def _opted_out(state: MessageState) -> tuple[int, str, int]:
    """(when, provider, attempt) of the latest opt-out; (0, "", 0): there is none."""
    sends, latest = state.sends, (0, "", 0)
    for opt_out in state.opt_outs:
        attempt = opt_out.attempt or attempt_at(sends, opt_out.at)
        provider = opt_out.provider or provider_at(sends, attempt)
        known = code_of(provider, opt_out.code) if opt_out.code else None
        if not opt_out.code or (known is not None and known.opt_out):
            latest = max(latest, (opt_out.at, provider, attempt))
    return latest


def add_repaired(state: MessageState, fields: tuple[str, ...]) -> bool:
    """Note fields of an event that were wrong."""
    known = state.repaired
    state.repaired = tuple(sorted({*known, *fields})[:MAX_REPAIRED])
    return known != state.repaired


def add_engagement(state: MessageState, engagement: Engagement, last_event_day: int) -> bool:
    """Join what a person did: clicks, unsubscribes and resubscribes, the first conversion."""
    at = engagement.occurred_at
    changed = _note_day(state, last_event_day)
    match engagement.type:
        case "click":
            changed = _add_click(state, engagement) or changed
        case "unsubscribe":
            before = state.unsubscribed_at, state.unsubscribes
            state.unsubscribes = latest(unsubscribes_of(state), {engagement.channel or "": at})
            state.unsubscribed_at = earliest(state.unsubscribed_at, at)
            state.last_unsubscribed_at = max(state.last_unsubscribed_at, at)
            changed |= before != (state.unsubscribed_at, state.unsubscribes)
        case "conversion":
            first = earliest(state.converted_at, at)
            changed |= first != state.converted_at
            state.converted_at = first
        case "resubscribe":
            known = state.resubscribes
            state.resubscribes = latest(known, {engagement.channel or "": at})
            changed |= known != state.resubscribes
    return changed


def _add_click(state: MessageState, engagement: Engagement) -> bool:
    first = earliest(state.clicked_at, engagement.occurred_at)
    changed, state.clicked_at = first != state.clicked_at, first
    click = click_of(
        engagement.occurred_at, engagement.link_id, engagement.url, engagement.automated
    )
    known, state.clicks = state.clicks, _clicks_of((*state.clicks, click))
    return changed or known != state.clicks


def _clicks_of(clicks: Iterable[Click]) -> tuple[Click, ...]:
    return tuple(sorted(set(clicks))[:MAX_CLICKS])


def latest(one: dict[str, int] | None, other: dict[str, int] | None) -> dict[str, int] | None:
    """The later time of each channel, in the order of the channels; None: none of any."""
    if not one or not other:
        return one or other or None
    channels = sorted(one.keys() | other.keys())
    return {channel: max(one.get(channel, 0), other.get(channel, 0)) for channel in channels}


def _note_day(state: MessageState, day: int) -> bool:
    if day <= state.last_event_day:
        return False
    state.last_event_day = day
    return True


# --- two states ---------------------------------------------------------------------------------


def joined(one: MessageState, other: MessageState) -> MessageState:
    """The join of two states of one message: all that either knows.

    Decided without the account's settings; the owner decides again before it writes.
    """
    sort_keys = _sort_keys(one) | _sort_keys(other)
    newest = one if one.version > other.version else other
    whole = MessageState(
        version=max(one.version, other.version),
        sends=list(one.sends),
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
        part_receipts=part_receipts_of((*one.part_receipts, *other.part_receipts)),
        prices=prices_of((*one.prices, *other.prices)),
        opt_outs=_opt_outs_of((*one.opt_outs, *other.opt_outs)),
        converted_at=earliest(one.converted_at, other.converted_at),
        clicks=_clicks_of((*one.clicks, *other.clicks)),
        unsubscribes=latest(unsubscribes_of(one), unsubscribes_of(other)),
        resubscribes=latest(one.resubscribes, other.resubscribes),
    )
    whole.mccmnc_at, whole.mccmnc = max(
        (one.mccmnc_at, one.mccmnc), (other.mccmnc_at, other.mccmnc)
    )
    add_repaired(whole, (*one.repaired, *other.repaired))
    for fact in other.sends:
        add_send(whole, fact)
    _keep_sort_keys(whole, sort_keys)
    whole.candidates = candidates_of((*_candidates(one), *_candidates(other)))
    decide(whole)
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
