"""The state of one message: the join of the facts seen so far (docs/design.md).

Merging is commutative, associative and idempotent: any order, any duplicates and any replay of the
same events end in the same state. Only `version`, `orphaned` and the fields for people
(`fail_reason`, `no_retry`, `next_attempt_at`) record what was published.

A state is stored as a msgpack array. New fields go to the end of a struct, with a default, so that
older records can still be read (ADR 0005).
"""

from typing import Final

import msgspec

from models.clicks import first_clicks
from models.facts import Click, OptOut, Outcome, Price, SendFact
from models.outcomes import all_parts_at, wholes_of
from models.time import DAY_MS
from models.versions import check_version
from models.vocabulary import BOUNCES, FINAL_STATUSES, STATUSES, SUCCESSES, Status


class MessageState(msgspec.Struct, array_like=True, gc=False):
    """All that is known of one message. Times in epoch ms, 0: not seen.

    sends: the winning send of each attempt known, by attempt
    outcome: the receipt that decides, placed in its attempt and explained (`decide`)
    last_event_day: UTC day (days since 1970) of the last record with a receipt or engagement
    expired_at: the deadline at which our own timer found it pending
    conflict: two different sends of one attempt were seen
    orphaned: a row of the orphans table was published
    sort_keys: when there were several, all values `sent_at` may have been published with
    to_suppressed: a send of it went to a number that was suppressed before
    retry_decided: attempt up to which it was decided whether to request a retry
    fail_reason, no_retry, next_attempt_at: as published with this version
    had_hard_bounce: some receipt, winning or not, was a hard bounce of the recipient
    last_delivered_at: the latest time of a delivered or read receipt of the whole message
    last_unsubscribed_at: the latest unsubscribe, where `unsubscribed_at` is the first
    candidates: the receipts of the whole message that may win, as received; (): only `outcome`
    part_receipts: receipts of parts of a long message, as received
    prices: of each attempt or part the latest
    mccmnc_at, mccmnc: of the latest receipt with one
    opt_outs: receipts that are, or may be, an opt-out: the latest MAX_OPT_OUTS of both
    opted_out_at, opted_out_by, opted_out_attempt: the latest that is one, its provider and attempt
    converted_at: when the goal was reached first
    clicks: the earliest MAX_CLICKS, by time
    repaired: names of fields of its events that were wrong, sorted
    unsubscribes, resubscribes: the latest, by the channel that its event names; "": it names none.
        None: there is none
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
    candidates: tuple[Outcome, ...] = ()
    part_receipts: tuple[Outcome, ...] = ()
    prices: tuple[Price, ...] = ()
    mccmnc_at: int = 0
    mccmnc: str = ""
    opt_outs: tuple[OptOut, ...] = ()
    opted_out_at: int = 0
    opted_out_by: str = ""
    opted_out_attempt: int = 0
    converted_at: int = 0
    clicks: tuple[Click, ...] = ()
    repaired: tuple[str, ...] = ()
    unsubscribes: dict[str, int] | None = None
    resubscribes: dict[str, int] | None = None

    @property
    def first_send(self) -> SendFact | None:
        """The send of the lowest attempt known; recipient, source and campaign come from it."""
        return self.sends[0] if self.sends else None


class Versioned(msgspec.Struct, array_like=True, gc=False):
    """The beginning of a stored state; what follows is skipped."""

    version: int


_READ: Final = frozenset({Status.READ.value})
_encoder: Final = msgspec.msgpack.Encoder()
encode: Final = _encoder.encode
decode: Final = msgspec.msgpack.Decoder(MessageState).decode


_decode_version: Final = msgspec.msgpack.Decoder(Versioned).decode


def check_record(key: bytes, value: bytes) -> None:
    """Raises DecodeError or ValueError unless a record of `message-states` can be one of ours.

    Looks at its shape only, at a tenth of the cost of decoding it.
    """
    check_version(_decode_version(value).version)


def delivered_at_of(state: MessageState) -> int:
    """When the message was first delivered, in epoch ms; in parts: the last of them. 0: not yet."""
    if not state.part_receipts:
        return state.delivered_at
    in_parts = all_parts_at(state.part_receipts, state.sends, SUCCESSES)
    return earliest(state.delivered_at, in_parts)


def read_at_of(state: MessageState) -> int:
    """When the message was first read, in epoch ms; in parts: the last of them. 0: not yet."""
    if not state.part_receipts:
        return state.read_at
    return earliest(state.read_at, all_parts_at(state.part_receipts, state.sends, _READ))


def last_delivered_at_of(state: MessageState) -> int:
    """The latest delivery of the message, whole or in all of its parts, in epoch ms; 0: none."""
    latest = state.last_delivered_at
    for whole in wholes_of(state.part_receipts, state.sends, None):
        if whole.status in SUCCESSES:
            latest = max(latest, whole.occurred_at)
    return latest


def first_clicks_of(state: MessageState) -> tuple[int, int]:
    """When a person and when a program clicked first, in epoch ms; 0: never.

    A state of 0.1.0 has the time of the first click only.
    """
    clicks, first = state.clicks, state.clicked_at
    if not first:
        return 0, 0
    if not clicks or clicks[0].at > first:
        clicks = (Click(first), *clicks)
    return first_clicks(clicks, delivered_at_of(state))


def unsubscribes_of(state: MessageState) -> dict[str, int]:
    """The latest unsubscribe by the channel that its event names. A state of 0.1.0 has only the
    latest time of all."""
    if state.unsubscribes or not state.last_unsubscribed_at:
        return state.unsubscribes or {}
    return {"": state.last_unsubscribed_at}


def earliest(one: int, other: int) -> int:
    """The earlier of two instants in epoch ms, where 0 is none."""
    return min(one, other) if one and other else one or other


def deadline_ms(state: MessageState, validity_s: int) -> int:
    """When a pending message expires: first sent + validity, in epoch ms. 0: no timer runs for it.

    validity_s: the account's, for a send without one
    """
    sends = state.sends
    if not sends or state.expired_at:
        return 0
    first = sends[0]
    if first.direction == "inbound" or not is_pending(state) or has_unknown_status(state):
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


def has_final_receipt(state: MessageState) -> bool:
    """Whether a final receipt of any attempt decides; the latest attempt may be pending."""
    return state.outcome is not None and state.outcome.status in FINAL_STATUSES


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
