"""The facts about one message: its valid events, parsed in the simplest way.

Part of the oracle, so it shares no code with the models: otherwise one mistake could hide on both
sides.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from sys import intern
from typing import Any, NamedTuple

from deploy.simulator.oracle.codes import UNEXPLAINED, meaning_of, status_of_word
from deploy.simulator.oracle.numbers import country_of

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
    provider_message_id: str
    template: str
    category: str
    reference: str


class Receipt(NamedTuple):
    """One report, as its provider gave it. What it does not give is "" or 0.

    status: in our words. attempt 0: not named. part 0: about the whole message. price: in 10^-6 of
    the currency, without its sign.
    """

    status: str
    attempt: int
    occurred_at: int
    bounce: str
    scope: str
    error_code: str
    error_text: str
    provider: str
    provider_message_id: str
    recipient: str
    part: int
    parts: int
    mccmnc: str
    price: int
    currency: str


class Click(NamedTuple):
    """A click: epoch ms, its link, and whether its publisher knows that a program clicked."""

    at: int
    link: str
    automated: bool


class Wish(NamedTuple):
    """An unsubscribe or a resubscribe. Channel and recipient "" when the event gives none."""

    action: str
    at: int
    channel: str
    recipient: str


class Facts:
    """All valid published facts about one message, in any order."""

    __slots__ = (
        "clicks", "converted_at", "events", "receipts", "repaired", "sends", "texts", "wishes",
    )  # fmt: skip

    def __init__(self) -> None:
        self.events = 0
        self.sends: list[Send] = []
        self.receipts: list[Receipt] = []
        self.texts = 0  # bit n is set when attempt n came with a text
        self.clicks: tuple[Click, ...] = ()
        self.wishes: tuple[Wish, ...] = ()
        self.converted_at = 0
        self.repaired: tuple[str, ...] = ()

    def repair(self, names: Iterable[str]) -> None:
        """Fields of an event that were wrong."""
        self.repaired = tuple(sorted({*self.repaired, *names}))

    def engage(self, kind: str, fields: Mapping[str, Any]) -> None:
        """A click, a conversion (the first counts), an unsubscribe or a resubscribe."""
        if kind == "click":
            click = click_of(fields)
            self.clicks += () if click in self.clicks else (click,)
        elif kind == "conversion":
            at = moment(fields["occurred_at"])
            self.converted_at = min(self.converted_at or at, at)
        else:
            wish = wish_of(fields)
            self.wishes += () if wish in self.wishes else (wish,)


#: Bytes before the JSON that are skipped; they are a flaw of the whole value.
BYTE_ORDER_MARK = b"\xef\xbb\xbf"
WHOLE = "value"


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


def _text_reader(fields: Mapping[str, Any]) -> Callable[[str], str]:
    """A function from a field's name to its text; "" for absent and null."""
    return lambda name: fields.get(name) or ""


def _given(fields: Mapping[str, Any], name: str, default: Any) -> Any:
    value = fields.get(name)
    return default if value is None else value


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
        direction=intern(text("direction") or "outbound"),
        source=intern(text("source") or "direct"),
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
        segments=_given(fields, "segments", 1),
        credits=int(Decimal(_given(fields, "credits", 0)) * 1_000_000),
        provider_message_id=text("provider_message_id"),
        template=intern(text("template")),
        category=intern(text("category")),
        reference=text("reference"),
    )


def receipt_of(fields: Mapping[str, Any]) -> Receipt:
    """The receipt as it came, its status in our words."""
    text = _text_reader(fields)
    part, parts = fields.get("part") or 0, fields.get("parts") or 0
    if parts < 2:
        part = 0  # about the whole message
    return Receipt(
        status=status_of_word(fields["status"]),
        attempt=fields.get("attempt") or 0,
        occurred_at=moment(fields["occurred_at"]),
        bounce=intern(text("bounce")),
        scope=intern(text("scope")),
        error_code=intern(text("error_code")),
        error_text=intern(text("reason") or _code_word(text("provider"), fields["status"])),
        provider=intern(text("provider")),
        provider_message_id="" if part else text("provider_message_id"),  # else of a part only
        recipient=text("recipient"),
        part=part,
        parts=parts if part else 0,
        mccmnc=intern(text("mccmnc")),
        price=abs(int(Decimal(_given(fields, "price", 0)) * 1_000_000)),
        currency=intern(text("currency")) if fields.get("price") is not None else "",
    )


def _code_word(provider: str, status: str) -> str:
    """A status word that is a code of its provider, and names a cause, is taken as its words."""
    meaning = meaning_of(provider, status) if provider else None
    return status if meaning and meaning.reason != UNEXPLAINED else ""


def click_of(fields: Mapping[str, Any]) -> Click:
    """The click; its link is that it names, else its address."""
    link = fields.get("link_id") or fields.get("url") or ""
    return Click(moment(fields["occurred_at"]), intern(link), bool(fields.get("automated")))


def wish_of(fields: Mapping[str, Any]) -> Wish:
    """The unsubscribe or resubscribe."""
    text = _text_reader(fields)
    at = moment(fields["occurred_at"])
    return Wish(intern(fields["type"]), at, intern(text("channel")), text("recipient"))
