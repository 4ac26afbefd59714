"""The facts about one message: its valid events, parsed in the simplest way.

Part of the oracle, so it shares no code with the models: otherwise one mistake could hide on both
sides.
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
    """One attempt. Times are epoch ms, credits micro-credits, absent texts "".

    validity_s: 0 when the send has none and that of the account applies.
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
    """One report about an attempt, with the defaults of docs/semantics.md.

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
        """Hard, with scope recipient."""
        return self.bounce == "hard" and self.scope == "recipient"


class Facts:
    """All valid published facts about one message, in any order."""

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
    """A JSON object with exact decimals. Raises ValueError for anything else."""
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
def country_of(recipient: str) -> str:
    """The country of an E.164 number; without a known range, that of its calling code."""
    parsed = phonenumbers.parse(recipient)
    region = phonenumbers.region_code_for_number(parsed)
    return region or phonenumbers.region_code_for_country_code(parsed.country_code or 0)


def _text_reader(fields: Mapping[str, Any]) -> Callable[[str], str]:
    """A function from a field's name to its text; "" for absent and null."""
    return lambda name: fields.get(name) or ""


def send_of(fields: Mapping[str, Any]) -> Send:
    """The send, with the defaults of docs/contract."""
    text = _text_reader(fields)
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
        sender_id=intern(text("sender_id")),
        sent_by=intern(text("sent_by")),
        campaign_id=intern(text("campaign_id")),
        message_type=intern(text("message_type")),
        recipient=recipient,
        country=intern(text("country") or country_of(recipient)),
        external_id=text("external_id"),
        email=text("email"),
        platform=intern(text("platform")),
        provider=intern(text("provider")),
        segments=fields.get("segments", 1),
        credits=int(Decimal(fields.get("credits", 0)) * 1_000_000),
    )


def receipt_of(fields: Mapping[str, Any]) -> Receipt:
    """The receipt, with rank, bounce and scope by docs/semantics.md."""
    text = _text_reader(fields)
    rank, status, bounce = _rank_status_bounce(fields["status"], text("bounce"))
    failed = rank in (2, 3)
    scope = text("scope")
    if status == "undelivered" and bounce == "hard" and not scope:
        scope = "recipient"
    return Receipt(
        rank=rank,
        attempt=fields.get("attempt", 1),
        occurred_at=moment(fields["occurred_at"]),
        status=status,
        bounce=bounce,
        scope=intern(scope) if failed else "",
        error_code=intern(text("error_code")) if failed else "",
        error_text=intern(text("reason")) if failed else "",
        provider=intern(text("provider")),
        provider_message_id=text("provider_message_id"),
        recipient=text("recipient"),
    )


def _rank_status_bounce(status: str, bounce: str) -> tuple[int, str, str]:
    """Status and bounce of a receipt -> rank, status and bounce of the message."""
    if status in ("queued", "sent"):
        return 1, "queued", ""
    if status == "undelivered":
        return (3, status, "hard") if bounce == "hard" else (2, status, "soft")
    if status == "rejected":
        return (2, "undelivered", "soft") if bounce == "soft" else (3, status, "hard")
    rank = {"submitted": 0, "deleted": 3, "delivered": 4, "read": 5}[status]
    return rank, intern(status), ""
