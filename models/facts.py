"""Facts: what one event says, in the form in which states keep it (docs/design.md)."""

from typing import Final

import msgspec

from models.contract import Receipt, Send
from models.countries import country_of
from models.vocabulary import FAILURES, STATUS_OF_WORD, Bounce, Status


class SendFact(msgspec.Struct, array_like=True, frozen=True, gc=False):
    """What one send says, without its text. Times in epoch ms, credits in 10^-6.

    "" or, of the validity, 0: not given.
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


class Outcome(msgspec.Struct, array_like=True, frozen=True, gc=False):
    """What one receipt says of its attempt. `occurred_at` in epoch ms; "" = not given."""

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


canonical: Final = msgspec.msgpack.Encoder().encode
"""Canonical bytes of a fact: they order facts that nothing else tells apart."""


def send_fact(send: Send) -> SendFact:
    """The fact a send states; its country is derived from the number when it gives none."""
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
    )


#: A failure's (word, bounce) → status, bounce and scope in force: the defaults of docs/design.md.
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
    for word, said in STATUS_OF_WORD.items()
    for bounce in (None, "soft", "hard")
    for status, kind, scope in [_FAILURES.get((word, bounce), (said, Bounce.NONE, ""))]
}


def outcome_of(receipt: Receipt) -> Outcome:
    """The outcome a receipt states, with the defaults for bounce and scope in place."""
    status, bounce, default_scope = _IN_FORCE[receipt.status, receipt.bounce]
    return Outcome(
        receipt.attempt,
        status,
        bounce,
        receipt.occurred_at,
        receipt.scope or default_scope,
        receipt.error_code or "",
        receipt.reason or "",
        receipt.provider or "",
        receipt.provider_message_id or "",
        receipt.recipient or "",
    )


# --- the order of outcomes --------------------------------------------------------------------

_HARD: Final = Bounce.HARD.value

#: A hard undelivered ranks with rejected and deleted.
_RANK: Final = {
    Status.SUBMITTED.value: 0,
    Status.QUEUED.value: 1,
    Status.UNDELIVERED.value: 2,
    Status.REJECTED.value: 3,
    Status.DELETED.value: 3,
    Status.DELIVERED.value: 4,
    Status.READ.value: 5,
}
#: Of a status that only a newer version knows: above every failure, so that nothing but a success
#: or a later attempt replaces the fact, and it is still there after the upgrade.
_RANK_OF_UNKNOWN: Final = 3.5


def outcome_order(outcome: Outcome) -> tuple[float, int, float, int]:
    """Rank of a receipt in the total order, before the tie-break by canonical bytes.

    Delivered or read on any attempt beats every failure, and read beats delivered; otherwise the
    latest attempt decides, then rank, then `occurred_at`.
    """
    rank = _RANK.get(outcome.status, _RANK_OF_UNKNOWN)
    if rank == 2 and outcome.bounce == _HARD:
        rank = 3
    return (rank if rank >= 4 else 0, outcome.attempt, rank, outcome.occurred_at)


def greater_outcome(one: Outcome, other: Outcome) -> Outcome:
    """The greater of two outcomes; equal ones are the same fact."""
    left, right = outcome_order(one), outcome_order(other)
    if left != right:
        return one if left > right else other
    return one if canonical(one) >= canonical(other) else other


def strikes(outcome: Outcome) -> bool:
    """Whether a receipt says that its recipient is beyond reach: hard, and its own fault."""
    return outcome.bounce == _HARD and outcome.scope == "recipient" and outcome.status in FAILURES
