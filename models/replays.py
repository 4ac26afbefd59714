"""What it changes when a callback is read again: its readings of today and of then, compared.

The state of a message is a join of facts, so an earlier reading is never taken back: the later one
counts where it is the greater of both (docs/semantics.md, callbacks that are read again).
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from enum import StrEnum
from typing import Any, Final, NamedTuple

import msgspec

from models.accounts import AccountSettings
from models.contract import Receipt
from models.facts import HARD_RANK, SOFT_RANK, Outcome, outcome_of, outcome_order
from models.joining import add_receipt, decide
from models.parsing import parse_receipt
from models.refusal import Refusal
from models.state import MessageState
from models.vocabulary import COUNTS, FAILURES, SUCCESSES, UNKNOWN_WORD

#: What a receipt says, apart from whom it is about.
_SAYS: Final = (
    "status", "bounce", "scope", "error_code", "reason", "provider", "recipient", "occurred_at",
    "part", "parts", "mccmnc", "price", "currency",
)  # fmt: skip


class Effect(StrEnum):
    """What another reading of a receipt does to its message.

    SAME: nothing, it was read so before. NEW: nothing was read from it before, or its message is
    not known. WINS: it counts instead of the earlier one. STAYS: the earlier one remains in force.
    ELSEWHERE: another message has the earlier one, and keeps it. REFUSED: it is no valid event
    """

    SAME = "same"
    NEW = "new"
    WINS = "wins"
    STAYS = "stays"
    ELSEWHERE = "elsewhere"
    REFUSED = "refused"


class Change(NamedTuple):
    """An effect. before, now: outcomes in a word; "": none"""

    effect: Effect
    before: str
    now: str


def receipt_of(event: Mapping[str, Any]) -> Receipt | None:
    """The receipt of an event; fields that are "" or None are not given. None: it is none."""
    given = {name: value for name, value in event.items() if value not in ("", None)}
    read = parse_receipt(msgspec.json.encode(given), -1)
    return None if isinstance(read, Refusal) else read


def compared(
    now: Receipt, before: Sequence[Receipt], settings: AccountSettings | None = None
) -> Change:
    """What it changes to read a receipt so.

    before: what the same receipt of the same callback was read as, once or more. settings: of the
    account; None: it has no meanings of codes
    """
    word = counted_as(_outcome(now, settings))
    of_message = [each for each in before if each.message_id == now.message_id]
    if not before:
        return Change(Effect.NEW, "", word)
    if not of_message:
        return Change(Effect.ELSEWHERE, counted_as(_outcome(before[0], settings)), word)
    if any(_says(each) == _says(now) for each in of_message):
        return Change(Effect.SAME, word, word)
    was = _joined(of_message, settings)
    both, alone = _joined([*of_message, now], settings), _joined([now], settings)
    is_other = _meaning(was) != _meaning(alone)
    shows = _meaning if is_other else _times
    effect = Effect.WINS if shows(both) == shows(alone) else Effect.STAYS
    return Change(effect, counted_as(was.outcome), word)


def compared_meaning(now: Receipt, outcome: str, settings: AccountSettings | None) -> Change:
    """What it changes to join an equal receipt again: its code may mean something else today.

    now: a failure with a code. outcome: as which its message is counted, by a failure with the same
    code; "": it has another outcome
    """
    found = _outcome(now, settings)
    word = counted_as(found)
    known = _RANK_OF.get(outcome)
    if known is None or outcome == word or found is None:
        return Change(Effect.SAME, word, word)
    effect = Effect.WINS if outcome_order(found)[2] > known else Effect.STAYS
    return Change(effect, outcome, word)


_RANK_OF: Final = {
    count.name: SOFT_RANK if count.name == "undelivered_soft" else HARD_RANK
    for count in COUNTS
    if count.status.is_failure and count.name != "expired"
}
_NAMES: Final = {
    (count.status.value, count.bounce.value): count.name
    for count in COUNTS
    if count.name != "expired"
}


def counted_as(outcome: Outcome | None) -> str:
    """The word that a message with this outcome is counted under; "unknown": it has none."""
    if outcome is None:
        return UNKNOWN_WORD
    bounces = (outcome.bounce, 0)
    names = [_NAMES.get((outcome.status, bounce), "") for bounce in bounces]
    return next(filter(None, names), UNKNOWN_WORD)


def _outcome(receipt: Receipt, settings: AccountSettings | None) -> Outcome | None:
    return None if receipt.status == UNKNOWN_WORD else outcome_of(receipt, settings)


def _says(receipt: Receipt) -> tuple[object, ...]:
    return tuple(getattr(receipt, name) for name in _SAYS)


def _joined(receipts: Iterable[Receipt], settings: AccountSettings | None) -> MessageState:
    state = MessageState()
    for each in receipts:
        add_receipt(state, each, _outcome(each, settings), 0)
    decide(state, settings)
    return state


def _meaning(state: MessageState) -> tuple[object, ...]:
    outcome = state.outcome
    if outcome is None:
        return ()
    return outcome.status, outcome.bounce, outcome.scope, outcome.error_code, outcome.reason


def _times(state: MessageState) -> tuple[object, ...]:
    """When, and what does not decide: the price and the network."""
    outcome = state.outcome
    at = outcome.occurred_at if outcome is not None else 0
    if outcome is not None and outcome.status in SUCCESSES:
        at = state.delivered_at
    return at, state.prices, state.mccmnc


def has_code(receipt: Receipt) -> bool:
    """Whether a receipt is a failure that a table of codes explains."""
    found = _outcome(receipt, None)
    return found is not None and found.status in FAILURES and bool(receipt.error_code)


def earlier_of(
    receipts: Collection[Receipt], provider_message_id: str, message_id: str
) -> list[Receipt]:
    """Those of one callback's time that are about the same receipt.

    provider_message_id: of the receipt; "": it has none, and names its message
    """
    if provider_message_id:
        return [each for each in receipts if each.provider_message_id == provider_message_id]
    return [each for each in receipts if each.message_id == message_id]
