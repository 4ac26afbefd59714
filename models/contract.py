"""The event contract: what upstream services publish, checked field by field.

JSON values; unknown fields are ignored so that producers can move first. Times come as RFC 3339
with a zone or as epoch milliseconds and leave as integer epoch milliseconds, UTC.
models/parsing.py reads records by these models.
"""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Final, Literal

from pydantic import (
    AfterValidator,
    ConfigDict,
    Field,
    StringConstraints,
    ValidationInfo,
    WithJsonSchema,
)
from pydantic.config import JsonDict
from pydantic_core import PydanticCustomError

from models.codes import STATUSES
from models.codes.tables import STATUS_WORDS
from models.countries import COUNTRIES
from models.numbers import E164_PATTERN, PERSON_PATTERN, person_from
from models.repair import (
    HALF,
    LEFT_OUT,
    Mendable,
    Reader,
    as_text,
    as_whole,
    leave_out,
    read_country,
    read_currency,
    read_id,
    read_recipient,
    read_status,
)
from models.vocabulary import (
    BounceWord,
    Channel,
    Direction,
    EngagementType,
    ReadWord,
    Scope,
    Source,
)

YEAR_2000_MS: Final = 946_684_800_000
#: The end of the year 9999.
LAST_INSTANT_MS: Final = 253_402_300_799_999
#: A text of `MAX_TEXT` characters fits even when each is two escapes (`\ud83d`) of six bytes.
MAX_EVENT_BYTES: Final = 524_288
#: The longest text of WhatsApp.
MAX_TEXT: Final = 32_768
MAX_ATTEMPT: Final = 100
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND: Final = timedelta(milliseconds=1)
RFC_3339: Final = r"^\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d:\d\d(\.\d{1,9})?([Zz]|[+-]\d\d:\d\d)$"


def epoch_ms(instant: str) -> int:
    """Epoch ms of a time of the pattern RFC_3339; ValueError for a day like 31 February."""
    if instant[-1] == "z" or instant[10] == "t":
        instant = instant.upper()
    return (datetime.fromisoformat(instant) - _EPOCH) // _MILLISECOND


if TYPE_CHECKING:
    Instant = int  # once validated
else:
    # Digits in a string are refused: they may be seconds or milliseconds.
    Instant = Annotated[
        Annotated[int, Field(ge=0, le=LAST_INSTANT_MS)]
        | Annotated[str, StringConstraints(pattern=RFC_3339), AfterValidator(epoch_ms)],
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
_NOT_PRINTABLE: Final = r"\p{C}\p{Zl}\p{Zp}"
#: No slash: it separates account and message in the record key.
MessageId = Annotated[
    str, StringConstraints(min_length=1, max_length=128, pattern=rf"^[^/{_NOT_PRINTABLE}]+$")
]
Identifier = Annotated[
    str, StringConstraints(min_length=1, max_length=128, pattern=rf"^[^{_NOT_PRINTABLE}]+$")
]
E164 = Annotated[str, StringConstraints(max_length=16, pattern=f"^{E164_PATTERN}$")]
#: A number in E.164, or a user id of WhatsApp.
Person = Annotated[str, StringConstraints(pattern=PERSON_PATTERN)]
#: A short code or a name, of up to 32 printable characters.
_SENDER_PATTERN: Final = rf"^[^\p{{C}}\p{{Z}}][^{_NOT_PRINTABLE}]{{0,31}}$"
#: What an inbound message comes from.
Sender = Annotated[str, StringConstraints(pattern=f"{PERSON_PATTERN}|{_SENDER_PATTERN}")]
#: Spelling of a provider's status word → our word; each as written and in the usual letters.
OUR_STATUS: Final = {
    spelling: ReadWord.of(ours, word)
    for word, ours in STATUSES.items()
    for spelling in (word, word.lower(), word.upper(), word.capitalize())
    if spelling not in STATUS_WORDS
}
if TYPE_CHECKING:
    StatusWord = str  # one of models.codes.tables.STATUS_WORDS, once validated
else:
    # Our own words first: they need no call of Python.
    StatusWord = Annotated[
        Literal[STATUS_WORDS]
        | Annotated[Literal[tuple(OUR_STATUS)], AfterValidator(OUR_STATUS.__getitem__)],
        Field(union_mode="left_to_right"),
        WithJsonSchema(
            {
                "anyOf": [
                    {"enum": list(STATUS_WORDS)},
                    {
                        "type": "string",
                        "description": "a provider's word that docs/semantics.md lists; case, "
                        "spaces and punctuation do not count",
                    },
                ]
            }
        ),
    ]
if TYPE_CHECKING:
    Country = str
else:
    Country = Annotated[
        Literal[tuple(sorted(COUNTRIES))],
        WithJsonSchema({"type": "string", "pattern": "^[A-Z]{2}$", "description": "ISO 3166-1"}),
    ]
ShortText = Annotated[str, StringConstraints(max_length=64)]
Name = Annotated[str, StringConstraints(max_length=256)]
Sentence = Annotated[str, StringConstraints(max_length=1_024)]
Body = Annotated[str, StringConstraints(max_length=MAX_TEXT)]
Credits = Annotated[Decimal, Field(ge=0, max_digits=15, decimal_places=6)]
#: Kept to 10^-6; providers write more decimals, most of them 0.
Price = Annotated[Decimal, Field(max_digits=21, decimal_places=12)]
Attempt = Annotated[int, Field(ge=1, le=MAX_ATTEMPT)]


class Event(Mendable):
    """Base of all events: strict types, unknown fields ignored, immutable."""

    model_config = ConfigDict(strict=True, extra="ignore", frozen=True)


#: Words of providers for the directions.
_DIRECTIONS: Final = {
    "inbound": "inbound",
    "in": "inbound",
    "incoming": "inbound",
    "mo": "inbound",
    "received": "inbound",
    "outbound": "outbound",
    "out": "outbound",
    "outgoing": "outbound",
    "mt": "outbound",
    "sent": "outbound",
}


def _read_direction(value: object, _: Mapping[str, Any]) -> object:
    word = value.strip().lower() if isinstance(value, str) else ""
    return _DIRECTIONS.get(word, LEFT_OUT)


def _is_inbound(fields: Mapping[str, Any]) -> bool:
    return _read_direction(fields.get("direction"), fields) == "inbound"


def _read_part(value: object, fields: Mapping[str, Any]) -> object:
    """The number of a part; 0 is the last one, where a provider counts from 0."""
    part, parts = as_whole(value, {}), as_whole(fields.get("parts"), {})
    return parts if part == 0 else part


def _read_recipient_of_send(value: object, fields: Mapping[str, Any]) -> object:
    """A number as people write it; of an inbound message any sender."""
    written = (as_text(value) or "").strip()
    return person_from(written) or (written if _is_inbound(fields) else LEFT_OUT)


#: The recipient of a send, as its direction and channel allow.
_RECIPIENT_OF_SEND: Final[JsonDict] = {
    "if": {"properties": {"direction": {"const": "inbound"}}, "required": ["direction"]},
    "then": {"properties": {"recipient": {"pattern": f"{PERSON_PATTERN}|{_SENDER_PATTERN}"}}},
    "else": {
        "if": {"properties": {"channel": {"const": "whatsapp"}}, "required": ["channel"]},
        "then": {"properties": {"recipient": {"pattern": PERSON_PATTERN}}},
        "else": {"properties": {"recipient": {"pattern": f"^{E164_PATTERN}$"}}},
    },
}


class Send(Event):
    """One attempt to hand a message to a provider; `inbound` is a received message."""

    model_config = ConfigDict(
        json_schema_extra={
            "allOf": [
                {
                    "if": {"properties": {"attempt": {"minimum": 2}}, "required": ["attempt"]},
                    "then": {"required": ["first_sent_at"]},
                },
                _RECIPIENT_OF_SEND,
            ]
        }
    )
    decides = frozenset(
        {"account", "message_id", "channel", "recipient", "sent_at", "attempt", "first_sent_at"}
    )
    readers: ClassVar[Mapping[str, Reader]] = {
        "recipient": _read_recipient_of_send,
        "direction": _read_direction,
        "country": read_country,
        "email": leave_out,
    }

    account: Account
    message_id: MessageId
    channel: Channel
    recipient: Annotated[
        Person,
        WithJsonSchema(
            {
                "type": "string",
                "description": "a number in E.164; for WhatsApp also a user id such as "
                "US.13491208655302741918; of an inbound message any sender of up to 32 printable "
                "characters",
            }
        ),
    ]
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

    @classmethod
    def variant(cls, fields: Mapping[str, Any]) -> type["Send"]:
        return _Inbound if _is_inbound(fields) else Send


class _Inbound(Send):
    """A received message: its sender may be a short code or a name."""

    recipient: Sender


def _one_of_parts(part: int, info: ValidationInfo) -> int:
    parts = info.data.get("parts")
    if parts is None or part > parts:
        raise PydanticCustomError(HALF, "parts expected, not less than part")
    return part


def _in_a_currency(price: Decimal, info: ValidationInfo) -> Decimal:
    if info.data.get("currency") is None:
        raise PydanticCustomError(HALF, "currency expected")
    return price


class Receipt(Event):
    """A provider's statement about one attempt of one message."""

    model_config = ConfigDict(
        json_schema_extra={"dependentRequired": {"part": ["parts"], "price": ["currency"]}}
    )
    decides = frozenset({"account", "message_id", "status", "occurred_at", "attempt"})
    readers: ClassVar[Mapping[str, Reader]] = {
        "status": read_status,
        "recipient": read_recipient,
        "currency": read_currency,
        "part": _read_part,
    }

    account: Account
    message_id: MessageId
    status: StatusWord
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
    recipient: Person | None = None
    received_at: Instant | None = None
    parts: Annotated[int, Field(ge=1, le=255)] | None = Field(
        default=None, description="how many parts a long message has; required with part"
    )
    part: Annotated[int, Field(ge=1, le=255), AfterValidator(_one_of_parts)] | None = Field(
        default=None, description="the part that the receipt is about, from 1"
    )
    mccmnc: Annotated[str, StringConstraints(pattern=r"^[0-9]{5,6}$")] | None = Field(
        default=None, description="mobile country and network code"
    )
    currency: Annotated[str, StringConstraints(pattern=r"^[A-Z]{3}$")] | None = Field(
        default=None, description="ISO 4217; required with price"
    )
    price: Annotated[Price, AfterValidator(_in_a_currency)] | None = Field(
        default=None, description="of this attempt or part; its sign is ignored"
    )
    provider_status: ShortText | None = Field(
        default=None, description="the provider's own word for the status, for people"
    )


class Engagement(Event):
    """What a person did: clicked, unsubscribed, subscribed again, or reached the goal.

    It is about a message, or about a recipient when no message is known.
    """

    model_config = ConfigDict(
        json_schema_extra={"anyOf": [{"required": ["message_id"]}, {"required": ["recipient"]}]}
    )
    decides = frozenset({"account", "event_id", "type", "occurred_at"})
    readers: ClassVar[Mapping[str, Reader]] = {
        "message_id": read_id,
        "recipient": read_recipient,
    }

    account: Account
    event_id: Identifier
    type: EngagementType
    occurred_at: Instant
    message_id: MessageId | None = Field(default=None, description="this or recipient is required")
    recipient: Person | None = Field(default=None, description="this or message_id is required")
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

    decides = frozenset({"account", "campaign_id", "updated_at"})

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
