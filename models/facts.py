"""Facts: the content of one event, in the form in which states keep it (docs/design.md)."""

from decimal import Decimal
from typing import Final

import msgspec

from models.accounts import AccountSettings
from models.codes import code_of, reason_of_phrase
from models.codes.reasons import UNEXPLAINED
from models.contract import Receipt, Send
from models.countries import country_of
from models.failures import (
    BOUNCING,
    MAY_STRIKE,
    OPT_OUT,
    code_in,
    failure_of,
    may_opt_out,
    may_strike,
)
from models.vocabulary import FAILURES, STATUS_OF_WORD, Bounce, ReadWord, Status


class SendFact(msgspec.Struct, array_like=True, frozen=True, gc=False):
    """One send without its text. Times in epoch ms, credits in 10^-6; "" and a validity of 0: not
    given.
    """

    attempt: int
    sent_at: int
    first_sent_at: int
    channel: str
    direction: str
    source: str
    recipient: str
    country: str
    sender_id: str = ""
    sent_by: str = ""
    campaign_id: str = ""
    message_type: str = ""
    segments: int = 1
    credits: int = 0
    provider: str = ""
    platform: str = ""
    external_id: str = ""
    email: str = ""
    validity_s: int = 0
    provider_message_id: str = ""
    template: str = ""
    category: str = ""
    reference: str = ""


#: A flag of an `Outcome`: its receipt named no attempt. models/failures.py has the others.
NO_ATTEMPT: Final = 1


class Outcome(msgspec.Struct, array_like=True, frozen=True, gc=False):
    """One receipt about its attempt. `occurred_at` in epoch ms; "" and part 0: not given.

    attempt: 1 where the receipt names none and the sends have not decided
    flags: NO_ATTEMPT, OPT_OUT, NEVER_RETRIED
    part, parts: of a long message. A whole that its parts have made has parts and no part.
    """

    attempt: int
    status: int
    bounce: int
    occurred_at: int
    scope: str = ""
    error_code: str = ""
    reason: str = ""
    provider: str = ""
    provider_message_id: str = ""
    recipient: str = ""
    flags: int = 0
    part: int = 0
    parts: int = 0


class Price(msgspec.Struct, array_like=True, frozen=True, gc=False):
    """The price that one receipt gave its attempt, or its part. attempt 0: not named.

    micro: in 10^-6 of the currency. `occurred_at` in epoch ms.
    """

    attempt: int
    part: int
    occurred_at: int
    micro: int
    currency: str


class OptOut(msgspec.Struct, array_like=True, frozen=True, gc=False, order=True):
    """A receipt that is an opt-out, or may be one. at: epoch ms. attempt 0: not named.

    code: "": it is one; else it is one if this is an opt-out at the provider of its send
    """

    at: int
    provider: str
    code: str
    attempt: int


class Click(msgspec.Struct, array_like=True, frozen=True, gc=False, order=True):
    """One click on a link of a message. at: epoch ms. automated: as its publisher gave it."""

    at: int
    link: str = ""
    automated: bool = False


canonical: Final = msgspec.msgpack.Encoder().encode
"""Canonical bytes of a fact: they order facts that are equal in all that counts."""


def send_fact(send: Send) -> SendFact:
    """The fact of a send; a country that is not given is derived from the number.

    By position: there are many sends, and by name the fields cost two thirds more time.
    """
    attempt, sent_at, recipient = send.attempt, send.sent_at, send.recipient
    return SendFact(
        attempt,
        sent_at,
        (send.first_sent_at or sent_at) if attempt > 1 else sent_at,
        send.channel,
        send.direction,
        send.source,
        recipient,
        send.country or country_of(recipient),
        send.sender_id or "",
        send.sent_by or "",
        send.campaign_id or "",
        send.message_type or "",
        send.segments,
        int(send.credits.scaleb(6)),
        send.provider or "",
        send.platform or "",
        send.external_id or "",
        send.email or "",
        send.validity_s or 0,
        send.provider_message_id or "",
        send.template or "",
        send.category or "",
        send.reference or "",
    )


#: Status and bounce of the words of receipts that have no bounce.
_NO_BOUNCE: Final = {
    word: (status.value, Bounce.NONE.value)
    for word, status in STATUS_OF_WORD.items()
    if word not in BOUNCING
}


def outcome_of(receipt: Receipt, settings: AccountSettings | None = None) -> Outcome:
    """The outcome of a receipt whose status is a word of ours, by the meaning of its code.

    A failure with a code and without a provider keeps what it gives: the provider of its send will
    explain it (`is_unexplained`).
    settings: of its account; None: it has no meanings of its own
    """
    word, flags = receipt.status, 0
    provider, code, words = (
        receipt.provider or "",
        receipt.error_code or "",
        receipt.reason or "",
    )
    scope: str = receipt.scope or ""
    attempt, part, parts = receipt.attempt, 0, 0
    if word not in BOUNCING:
        status, bounce = _NO_BOUNCE[word]
    else:
        words = words or _words_of_status(word, provider)
        given, named = receipt.bounce or _bounce_of_status(word), code or code_in(words)
        if named and not provider:
            status, bounce = STATUS_OF_WORD[word].value, _BOUNCE_OF_WORD[given]
            flags = MAY_STRIKE if settings is not None and settings.codes else 0
        else:
            status, bounce, scope, flags = failure_of(
                word, given, scope, provider, named, words, settings
            )
    if receipt.part is not None and receipt.parts is not None and receipt.parts > 1:
        part, parts = receipt.part, receipt.parts
    return Outcome(
        attempt or 1,
        status,
        bounce,
        receipt.occurred_at,
        scope,
        code,
        words,
        provider,
        "" if part else receipt.provider_message_id or "",  # of one part only
        receipt.recipient or "",
        flags if attempt else flags | NO_ATTEMPT,
        part,
        parts,
    )


def _words_of_status(status: str, provider: str) -> str:
    """A provider's status word that names a cause, as EXPIRED does; "" for one that does not."""
    word = status.word if isinstance(status, ReadWord) else ""
    if not word or reason_of_phrase(word) not in (None, UNEXPLAINED):
        return word
    if not provider:
        return word if may_opt_out(word) else ""
    known = code_of(provider, word)
    return word if known is not None and known.reason != UNEXPLAINED else ""


def _bounce_of_status(status: str) -> str:
    """The bounce that a provider's status word names, as hard-bounce does; "": it names none."""
    word = status.word.lower() if isinstance(status, ReadWord) else ""
    return word[:4] if word in ("hard-bounce", "soft-bounce") else ""


def code_of_failure(outcome: Outcome) -> str:
    """The code of a failure, else its words where some table has them as a code; "": none."""
    return outcome.error_code or code_in(outcome.reason)


_BOUNCE_OF_WORD: Final = {"": 0, "soft": Bounce.SOFT.value, "hard": Bounce.HARD.value}
_WORD_OF_BOUNCE: Final = {number: word for word, number in _BOUNCE_OF_WORD.items()}
_EXPLAINABLE: Final = {
    Status.UNDELIVERED.value: Status.UNDELIVERED.word,
    Status.REJECTED.value: Status.REJECTED.word,
}


def is_unexplained(outcome: Outcome) -> bool:
    """Whether only the provider of its send can explain the code of a failure."""
    return (
        outcome.status in _EXPLAINABLE and not outcome.provider and bool(code_of_failure(outcome))
    )


def explained(outcome: Outcome, provider: str, settings: AccountSettings | None) -> Outcome:
    """An unexplained failure as the code of this provider means it."""
    status, bounce, scope, flags = failure_of(
        _EXPLAINABLE[outcome.status],
        _WORD_OF_BOUNCE[outcome.bounce],
        outcome.scope,
        provider,
        code_of_failure(outcome),
        outcome.reason,
        settings,
    )
    return msgspec.structs.replace(
        outcome, status=status, bounce=bounce, scope=scope, flags=outcome.flags | flags
    )


def price_of(receipt: Receipt) -> Price | None:
    """The price that a receipt gives; its sign does not count: some providers write charges as
    negative."""
    if receipt.price is None or receipt.currency is None:
        return None
    micro = abs(micro_of(receipt.price))
    return Price(
        receipt.attempt or 0, receipt.part or 0, receipt.occurred_at, micro, receipt.currency
    )


def micro_of(amount: Decimal) -> int:
    """An amount in 10^-6 of its unit, rounded."""
    return int(amount.scaleb(6).to_integral_value())


# --- the order of outcomes --------------------------------------------------------------------

_HARD: Final = Bounce.HARD.value
_SOFT: Final = Bounce.SOFT.value

#: Status → what precedes the attempt in the order, and the rank within the attempt.
_RANKS: Final[dict[int, tuple[float, float]]] = {
    status.value: (status.rank if status.is_success else 0, status.rank) for status in Status
}
#: Of a status that only a newer version knows: above every failure, so that only a success or a
#: later attempt replaces the fact, and it is still there after the upgrade.
_UNKNOWN: Final = (0, 3.5)
SOFT_RANK: Final = Status.UNDELIVERED.rank
#: A hard undelivered ranks with the failures that are final.
HARD_RANK: Final = Status.REJECTED.rank


def outcome_order(outcome: Outcome) -> tuple[float, int, float, int]:
    """Rank of a receipt in the total order, before the tie-break by canonical bytes.

    Delivered or read on any attempt beats every failure, and read beats delivered; otherwise the
    latest attempt decides, then rank, then `occurred_at`.
    """
    success, rank = _RANKS.get(outcome.status, _UNKNOWN)
    if rank == SOFT_RANK and outcome.bounce == _HARD:
        rank = HARD_RANK
    return (success, outcome.attempt, rank, outcome.occurred_at)


def greater_outcome(one: Outcome, other: Outcome) -> Outcome:
    """The greater of two outcomes; equal ones are the same fact."""
    left, right = outcome_order(one), outcome_order(other)
    if left != right:
        return one if left > right else other
    return one if canonical(one) >= canonical(other) else other


def strikes(outcome: Outcome) -> bool:
    """Whether a receipt is a hard bounce of its recipient: one that counts as a strike.

    An opt-out is none: the number can be reached.
    """
    return (
        outcome.bounce == _HARD
        and outcome.scope == "recipient"
        and outcome.status in FAILURES
        and not outcome.flags & OPT_OUT
    )


def may_be_strike(outcome: Outcome) -> bool:
    """Whether a failure strikes, or may once the provider of its send explains its code."""
    if not is_unexplained(outcome):
        return strikes(outcome)
    is_open = outcome.bounce != _SOFT and outcome.scope in ("", "recipient")
    may_be = outcome.bounce == _HARD or outcome.flags & MAY_STRIKE
    return is_open and (bool(may_be) or may_strike(code_of_failure(outcome)))
