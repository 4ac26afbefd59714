"""The event contract: what upstream services publish, checked field by field.

JSON values; unknown fields are ignored so that producers can move first. Times come as RFC 3339
with a zone or as epoch milliseconds and leave as integer epoch milliseconds, UTC. A refusal
is a value (`Refusal`), never an exception.
"""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Annotated, ClassVar, Final, TypeVar

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    StringConstraints,
    ValidationError,
    WithJsonSchema,
)
from pydantic_core import ErrorDetails

from models.refusal import Reason, Refusal
from models.time import DAY_MS
from models.vocabulary import (
    BounceWord,
    Channel,
    Direction,
    EngagementType,
    ReceiptWord,
    Scope,
    Source,
)

YEAR_2000_MS: Final = 946_684_800_000
MAX_EVENT_BYTES: Final = 65_536
MAX_ATTEMPT: Final = 100
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND: Final = timedelta(milliseconds=1)
_RFC_3339: Final = r"^\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d:\d\d(\.\d{1,9})?([Zz]|[+-]\d\d:\d\d)$"


def _epoch_ms(instant: str) -> int:
    if instant[-1] == "z" or instant[10] == "t":
        instant = instant.upper()
    return (datetime.fromisoformat(instant) - _EPOCH) // _MILLISECOND


if TYPE_CHECKING:
    Instant = int  # once validated
else:
    # Digits in a string are refused: they may be seconds or milliseconds.
    Instant = Annotated[
        Annotated[int, Field(ge=0, le=253_402_300_799_999)]
        | Annotated[str, StringConstraints(pattern=_RFC_3339), AfterValidator(_epoch_ms)],
        Field(union_mode="left_to_right"),
        WithJsonSchema(
            {
                "anyOf": [
                    {"type": "string", "format": "date-time"},
                    {"type": "integer", "minimum": 946_684_800_000},
                ],
                "description": "RFC 3339 with a zone, or epoch milliseconds",
            }
        ),
    ]
Account = Annotated[
    str, StringConstraints(min_length=1, max_length=64, pattern=r"^[A-Za-z0-9._-]+$")
]
#: Printable, and no slash: the slash separates account and message in the record key.
Identifier = Annotated[
    str, StringConstraints(min_length=1, max_length=128, pattern=r"^[^/\p{C}\p{Zl}\p{Zp}]+$")
]
E164 = Annotated[str, StringConstraints(max_length=16, pattern=r"^\+[1-9][0-9]{4,14}$")]
Country = Annotated[str, StringConstraints(pattern=r"^[A-Z]{2}$")]
ShortText = Annotated[str, StringConstraints(max_length=64)]
Name = Annotated[str, StringConstraints(max_length=256)]
Sentence = Annotated[str, StringConstraints(max_length=1_024)]
Body = Annotated[str, StringConstraints(max_length=4_096)]
Credits = Annotated[Decimal, Field(ge=0, max_digits=15, decimal_places=6)]
Price = Annotated[Decimal, Field(max_digits=15, decimal_places=6)]
Attempt = Annotated[int, Field(ge=1, le=MAX_ATTEMPT)]


class Event(BaseModel):
    """Base of all events: strict types, unknown fields ignored, immutable."""

    model_config = ConfigDict(strict=True, extra="ignore", frozen=True)

    repaired: ClassVar[tuple[str, ...]] = ()


class Send(Event):
    """One attempt to hand a message to a provider; `inbound` is a received message."""

    model_config = ConfigDict(
        json_schema_extra={
            "if": {"properties": {"attempt": {"minimum": 2}}, "required": ["attempt"]},
            "then": {"required": ["first_sent_at"]},
        }
    )

    account: Account
    message_id: Identifier
    channel: Channel
    recipient: E164
    sent_at: Instant
    attempt: Attempt = 1
    first_sent_at: Instant | None = Field(default=None, description="required when attempt > 1")
    direction: Direction = "outbound"
    source: Source = "direct"
    sender_id: Name | None = None
    sent_by: Name | None = None
    campaign_id: Identifier | None = None
    message_type: ShortText | None = None
    text: Body | None = None
    segments: Annotated[int, Field(ge=0, le=255)] = 1
    credits: Credits = Decimal(0)
    provider: ShortText | None = None
    platform: ShortText | None = None
    country: Country | None = None
    external_id: Name | None = None
    email: Name | None = None
    validity_s: Annotated[int, Field(ge=60, le=604_800)] | None = Field(
        default=None, description="else the account's, 259200 by default"
    )
    provider_message_id: Name | None = Field(
        default=None, description="the provider's id of this attempt"
    )
    template: Name | None = Field(default=None, description="name of the template it was made from")
    category: ShortText | None = Field(
        default=None, description="such as marketing, utility or service"
    )
    reference: Name | None = Field(default=None, description="the sender's own reference")


class Receipt(Event):
    """A provider's statement about one attempt of one message."""

    account: Account
    message_id: Identifier
    status: ReceiptWord
    occurred_at: Instant
    attempt: Attempt | None = Field(
        default=None, description="else the latest one sent before occurred_at"
    )
    bounce: BounceWord | None = Field(default=None, description="else as the provider's code means")
    scope: Scope | None = Field(default=None, description="else as the provider's code means")
    error_code: ShortText | None = None
    reason: Sentence | None = None
    provider: ShortText | None = None
    provider_message_id: Name | None = None
    recipient: E164 | None = None
    received_at: Instant | None = None
    part: Annotated[int, Field(ge=1, le=255)] | None = Field(
        default=None, description="the part of a long message that the receipt is about, from 1"
    )
    parts: Annotated[int, Field(ge=1, le=255)] | None = Field(
        default=None, description="how many parts the message has; required with part"
    )
    mccmnc: Annotated[str, StringConstraints(pattern=r"^[0-9]{5,6}$")] | None = Field(
        default=None, description="mobile country and network code"
    )
    price: Price | None = Field(
        default=None, description="of this attempt or part; its sign is ignored"
    )
    currency: Annotated[str, StringConstraints(pattern=r"^[A-Z]{3}$")] | None = Field(
        default=None, description="ISO 4217; required with price"
    )


class Engagement(Event):
    """What a person did: clicked, unsubscribed, subscribed again, or reached the goal.

    It is about a message, or about a recipient when no message is known.
    """

    model_config = ConfigDict(
        json_schema_extra={"anyOf": [{"required": ["message_id"]}, {"required": ["recipient"]}]}
    )

    account: Account
    event_id: Identifier
    type: EngagementType
    occurred_at: Instant
    message_id: Identifier | None = Field(default=None, description="this or recipient is required")
    recipient: E164 | None = Field(default=None, description="this or message_id is required")
    campaign_id: Identifier | None = None
    link_id: Name | None = None
    url: Annotated[str, StringConstraints(max_length=2_048)] | None = None
    channel: Channel | None = Field(
        default=None,
        description="that an unsubscribe or resubscribe binds; else that of its message",
    )
    user_agent: Sentence | None = Field(default=None, description="of a click")
    automated: bool = Field(default=False, description="a click of a link preview or a scanner")


class Campaign(Event):
    """Name, text and audience of a campaign; the newest `updated_at` wins."""

    account: Account
    campaign_id: Identifier
    name: Name
    updated_at: Instant
    message_type: ShortText | None = None
    text: Body | None = None
    creator: Name | None = None
    method: ShortText | None = None
    status: ShortText | None = None
    target_audience: Annotated[int, Field(ge=0, le=2**53)] | None = None
    audience: Body | None = Field(default=None, description="the segmentation in words")
    created_at: Instant | None = None
    started_at: Instant | None = None
    ended_at: Instant | None = None
    last_modified_by: Name | None = None


E = TypeVar("E", bound=Event)


def parse_send(value: bytes | None, record_ms: int, limit: int = MAX_EVENT_BYTES) -> Send | Refusal:
    """Read one record of `sends`; `record_ms` is its Kafka timestamp (-1: none)."""
    send = validated(Send, value, limit)
    if isinstance(send, Refusal):
        return send
    if send.attempt > 1 and send.first_sent_at is None:
        return Refusal(Reason.MISSING_FIELD, "first_sent_at: required when attempt > 1")
    return (
        out_of_time("sent_at", send.sent_at, record_ms)
        or out_of_time("first_sent_at", send.first_sent_at, record_ms)
        or send
    )


def parse_receipt(
    value: bytes | None, record_ms: int, limit: int = MAX_EVENT_BYTES
) -> Receipt | Refusal:
    """Read one record of `receipts`; `received_at` is informational and may be absent."""
    receipt = validated(Receipt, value, limit)
    if isinstance(receipt, Refusal):
        return receipt
    return (
        out_of_time("occurred_at", receipt.occurred_at, record_ms)
        or out_of_time("received_at", receipt.received_at, record_ms)
        or receipt
    )


def parse_engagement(
    value: bytes | None, record_ms: int, limit: int = MAX_EVENT_BYTES
) -> Engagement | Refusal:
    """Read one record of `engagements`."""
    engagement = validated(Engagement, value, limit)
    if isinstance(engagement, Refusal):
        return engagement
    if engagement.message_id is None and engagement.recipient is None:
        return Refusal(Reason.MISSING_FIELD, "message_id: this or recipient is required")
    return out_of_time("occurred_at", engagement.occurred_at, record_ms) or engagement


def parse_campaign(
    value: bytes | None, record_ms: int, limit: int = MAX_EVENT_BYTES
) -> Campaign | Refusal:
    """Read one record of `campaigns`; planned starts and ends may lie in the future."""
    campaign = validated(Campaign, value, limit)
    if isinstance(campaign, Refusal):
        return campaign
    return (
        out_of_time("updated_at", campaign.updated_at, record_ms)
        or out_of_time("created_at", campaign.created_at, -1)
        or out_of_time("started_at", campaign.started_at, -1)
        or out_of_time("ended_at", campaign.ended_at, -1)
        or campaign
    )


def out_of_time(field: str, at: int | None, record_ms: int) -> Refusal | None:
    """Refuse a time before 2000 or over a day after the record's timestamp.

    record_ms: -1: the record has none. The wall clock plays no part: a replay must decide the same.
    """
    if at is None:
        return None
    if at < YEAR_2000_MS:
        return Refusal(Reason.BAD_TIME, f"{field}: before the year 2000 (epoch in seconds?)")
    if 0 <= record_ms < at - DAY_MS:
        return Refusal(Reason.BAD_TIME, f"{field}: more than a day after the record's timestamp")
    return None


def validated(event: type[E], value: bytes | None, limit: int) -> E | Refusal:
    """Read a value as an event of this type, checking each field alone."""
    if not value:
        return Refusal(Reason.EMPTY, "value: empty; expected a JSON object")
    if len(value) > limit:
        return Refusal(Reason.OVERSIZED, f"value: {len(value)} bytes; at most {limit} are read")
    try:
        read: E = event.__pydantic_validator__.validate_json(value)
        return read
    except ValidationError as refused:
        return _refusal(refused.errors(include_url=False, include_context=False)[0])


_REASON_OF_TYPE: Final = {
    "json_invalid": Reason.NOT_JSON,
    "model_type": Reason.NOT_OBJECT,
    "missing": Reason.MISSING_FIELD,
}


_TIME_EXPECTED: Final = "RFC 3339 with a zone, or epoch milliseconds, expected"


def _refusal(error: ErrorDetails) -> Refusal:
    field = str(error["loc"][0]) if error["loc"] else "value"
    reason = _REASON_OF_TYPE.get(error["type"]) or _reason_of_field(field, error["type"])
    problem = _TIME_EXPECTED if reason is Reason.BAD_TIME else error["msg"]
    return Refusal(reason, f"{field}: {problem}")


def _reason_of_field(field: str, kind: str) -> Reason:
    if field == "at" or field.endswith("_at"):
        return Reason.BAD_TIME
    if field == "recipient":
        return Reason.BAD_NUMBER
    return Reason.WRONG_TYPE if kind.endswith("_type") else Reason.BAD_VALUE
