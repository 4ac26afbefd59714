"""Facts: the content of one event, in the form in which states keep it (docs/design.md)."""

from typing import Final

import msgspec

from models.contract import Receipt, Send
from models.countries import country_of
from models.vocabulary import FAILURES, STATUS_OF_WORD, Bounce, Status


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


#: Flags of an `Outcome`: what its receipt did not give, and what the table of codes adds.
NO_ATTEMPT: Final = 1
NO_BOUNCE: Final = 2
NO_SCOPE: Final = 4
OPT_OUT: Final = 8
NEVER_RETRIED: Final = 16


class Outcome(msgspec.Struct, array_like=True, frozen=True, gc=False):
    """One receipt about its attempt. `occurred_at` in epoch ms; "" and part 0: not given.

    flags: of NO_ATTEMPT … NEVER_RETRIED
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


class Click(msgspec.Struct, array_like=True, frozen=True, gc=False, order=True):
    """One click on a link of a message. at: epoch ms. automated: as its publisher gave it."""

    at: int
    link: str = ""
    automated: bool = False


canonical: Final = msgspec.msgpack.Encoder().encode
"""Canonical bytes of a fact: they order facts that are equal in all that counts."""


def send_fact(send: Send) -> SendFact:
    """The fact of a send; a country that is not given is derived from the number.

    By position: there are many, and by name the fields cost two thirds more time.
    """
    return SendFact(
        send.attempt,
        send.sent_at,
        send.first_sent_at if send.attempt > 1 and send.first_sent_at else send.sent_at,
        send.channel,
        send.direction,
        send.source,
        send.recipient,
        send.country or country_of(send.recipient),
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


#: A failure's (word, bounce) → status, bounce and scope in force (docs/semantics.md).
_FAILURES: Final[dict[tuple[str, str | None], tuple[Status, Bounce, str]]] = {
    ("undelivered", None): (Status.UNDELIVERED, Bounce.SOFT, ""),
    ("undelivered", "soft"): (Status.UNDELIVERED, Bounce.SOFT, ""),
    ("undelivered", "hard"): (Status.UNDELIVERED, Bounce.HARD, "recipient"),
    ("rejected", None): (Status.REJECTED, Bounce.HARD, ""),
    ("rejected", "soft"): (Status.UNDELIVERED, Bounce.SOFT, ""),  # a temporary refusal
    ("rejected", "hard"): (Status.REJECTED, Bounce.HARD, ""),
}
#: The same for every word, as plain numbers; only failures have a bounce.
_IN_FORCE: Final = {
    (word, bounce): (int(status), int(kind), scope)
    for word, meant in STATUS_OF_WORD.items()
    for bounce in (None, "soft", "hard")
    for status, kind, scope in [_FAILURES.get((word, bounce), (meant, Bounce.NONE, ""))]
}


def outcome_of(receipt: Receipt) -> Outcome:
    """The outcome of a receipt, with the defaults for bounce and scope in place."""
    status, bounce, default_scope = _IN_FORCE[receipt.status, receipt.bounce]
    return Outcome(
        attempt=receipt.attempt or 1,
        status=status,
        bounce=bounce,
        occurred_at=receipt.occurred_at,
        scope=receipt.scope or default_scope,
        error_code=receipt.error_code or "",
        reason=receipt.reason or "",
        provider=receipt.provider or "",
        provider_message_id=receipt.provider_message_id or "",
        recipient=receipt.recipient or "",
    )


# --- the order of outcomes --------------------------------------------------------------------

_HARD: Final = Bounce.HARD.value

#: Status → what precedes the attempt in the order, and the rank within the attempt.
_RANKS: Final[dict[int, tuple[float, float]]] = {
    status.value: (status.rank if status.is_success else 0, status.rank) for status in Status
}
#: Of a status that only a newer version knows: above every failure, so that only a success or a
#: later attempt replaces the fact, and it is still there after the upgrade.
_UNKNOWN: Final = (0, 3.5)
_SOFT_RANK: Final = Status.UNDELIVERED.rank
#: A hard undelivered ranks with the failures that are final.
_HARD_RANK: Final = Status.REJECTED.rank


def outcome_order(outcome: Outcome) -> tuple[float, int, float, int]:
    """Rank of a receipt in the total order, before the tie-break by canonical bytes.

    Delivered or read on any attempt beats every failure, and read beats delivered; otherwise the
    latest attempt decides, then rank, then `occurred_at`.
    """
    success, rank = _RANKS.get(outcome.status, _UNKNOWN)
    if rank == _SOFT_RANK and outcome.bounce == _HARD:
        rank = _HARD_RANK
    return (success, outcome.attempt, rank, outcome.occurred_at)


def greater_outcome(one: Outcome, other: Outcome) -> Outcome:
    """The greater of two outcomes; equal ones are the same fact."""
    left, right = outcome_order(one), outcome_order(other)
    if left != right:
        return one if left > right else other
    return one if canonical(one) >= canonical(other) else other


def strikes(outcome: Outcome) -> bool:
    """Whether a receipt is a hard bounce of its recipient: one that counts as a strike."""
    return outcome.bounce == _HARD and outcome.scope == "recipient" and outcome.status in FAILURES
