"""What the oracle knows of one message: the valid events that name it, parsed as plainly as can be.

Part of the oracle, so it shares no code with the worker's models: a mistake made twice in the
same way would go unnoticed.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from functools import lru_cache
from sys import intern
from typing import Any, NamedTuple

import phonenumbers

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND = timedelta(milliseconds=1)


class Send(NamedTuple):
    """One attempt. Times are epoch ms, credits micro-credits, absent words "".

    validity_s: 0 when the send names none, and the account's is in force.
    """

    sent_at: int
    attempt: int
    first_sent_at: int
    validity_s: int
    channel: str
    direction: str
    source: str
    sender_id: str
    sent_by: str
    campaign_id: str
    message_type: str
    recipient: str
    country: str
    external_id: str
    email: str
    platform: str
    provider: str
    segments: int
    credits: int


class Receipt(NamedTuple):
    """One statement about an attempt, with the defaults of docs/design.md, convergence filled in.

    rank: 0 submitted, 1 queued, 2 soft failure, 3 other failure, 4 delivered, 5 read.
    status: the status a message has when this receipt decides.
    """

    rank: int
    attempt: int
    occurred_at: int
    status: str
    bounce: str
    scope: str
    error_code: str
    error_text: str
    provider: str
    provider_message_id: str
    recipient: str

    @property
    def strikes(self) -> bool:
        """Hard, and the recipient's own fault."""
        return self.bounce == "hard" and self.scope == "recipient"


class Facts:
    """Everything valid that was published about one message, in no order."""

    __slots__ = ("clicked_at", "events", "receipts", "sends", "texts", "unsubscribes")

    def __init__(self) -> None:
        self.events = 0
        self.sends: list[Send] = []
        self.receipts: list[Receipt] = []
        self.texts = 0  # bit n is set when attempt n came with a text
        self.clicked_at = 0
        self.unsubscribes: tuple[int, ...] = ()

    def engage(self, kind: str, at: int) -> None:
        """A click (the first counts) or an unsubscribe."""
        if kind == "click":
            self.clicked_at = min(self.clicked_at or at, at)
        elif at not in self.unsubscribes:
            self.unsubscribes += (at,)


def parse(value: bytes) -> dict[str, Any]:
    """A JSON object; decimals stay exact. Raises ValueError when it is none."""
    fields = json.loads(value, parse_float=Decimal)
    if not isinstance(fields, dict):
        raise ValueError("not an object")
    return fields


def moment(value: object) -> int:
    """RFC 3339 with a zone, or epoch ms -> epoch ms."""
    if isinstance(value, int):
        return value
    return (datetime.fromisoformat(str(value)) - _EPOCH) // _MILLISECOND


@lru_cache(maxsize=200_000)
def country_of(number: str) -> str:
    """The country of an E.164 number; for one that fits no range, that of its calling code."""
    parsed = phonenumbers.parse(number)
    region = phonenumbers.region_code_for_number(parsed)
    return region or phonenumbers.region_code_for_country_code(parsed.country_code or 0)


def _words(fields: Mapping[str, Any]) -> Callable[[str], str]:
    """Reads a text field; absent and null are the same."""
    return lambda name: fields.get(name) or ""


def send_of(fields: Mapping[str, Any]) -> Send:
    """Defaults as in docs/contract."""
    word = _words(fields)
    sent_at = moment(fields["sent_at"])
    attempt = fields.get("attempt", 1)
    recipient = fields["recipient"]
    return Send(
        sent_at=sent_at,
        attempt=attempt,
        first_sent_at=sent_at if attempt == 1 else moment(fields["first_sent_at"]),
        validity_s=fields.get("validity_s") or 0,
        channel=intern(fields["channel"]),
        direction=intern(fields.get("direction", "outbound")),
        source=intern(fields.get("source", "direct")),
        sender_id=intern(word("sender_id")),
        sent_by=intern(word("sent_by")),
        campaign_id=intern(word("campaign_id")),
        message_type=intern(word("message_type")),
        recipient=recipient,
        country=intern(word("country") or country_of(recipient)),
        external_id=word("external_id"),
        email=word("email"),
        platform=intern(word("platform")),
        provider=intern(word("provider")),
        segments=fields.get("segments", 1),
        credits=int(Decimal(fields.get("credits", 0)) * 1_000_000),
    )


def receipt_of(fields: Mapping[str, Any]) -> Receipt:
    """The receipt with what docs/design.md, convergence says about rank, bounce and scope."""
    word = _words(fields)
    rank, status, bounce = _judge(fields["status"], word("bounce"))
    failed = rank in (2, 3)
    scope = word("scope")
    if status == "undelivered" and bounce == "hard" and not scope:
        scope = "recipient"
    return Receipt(
        rank=rank,
        attempt=fields.get("attempt", 1),
        occurred_at=moment(fields["occurred_at"]),
        status=status,
        bounce=bounce,
        scope=intern(scope) if failed else "",
        error_code=intern(word("error_code")) if failed else "",
        error_text=intern(word("reason")) if failed else "",
        provider=intern(word("provider")),
        provider_message_id=word("provider_message_id"),
        recipient=word("recipient"),
    )


def _judge(word: str, bounce: str) -> tuple[int, str, str]:
    """Status word and bounce of a receipt -> rank, status and bounce of the message."""
    if word in ("queued", "sent"):
        return 1, "queued", ""
    if word == "undelivered":
        return (3, word, "hard") if bounce == "hard" else (2, word, "soft")
    if word == "rejected":
        return (2, "undelivered", "soft") if bounce == "soft" else (3, word, "hard")
    rank = {"submitted": 0, "deleted": 3, "delivered": 4, "read": 5}[word]
    return rank, intern(word), ""
