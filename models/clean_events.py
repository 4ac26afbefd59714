"""Events without a flaw, read at a third of the cost of the contract's models.

Where an event might have a flaw, the answer is None, and the models of models/contract.py judge it.
A clean event is a struct with the attributes of its model, not an instance of it: the topic
decides whether it is a send or a receipt, `isinstance` cannot. The structs are made from the
models. A field with a limit that a struct cannot check is read where a function below checks it;
elsewhere an event that gives it is left to the models. tests/properties/test_clean_events.py holds
that both read the same.
"""

import re
from collections.abc import Callable, Mapping
from decimal import Decimal
from types import NoneType, UnionType
from typing import Annotated, Any, Final, Literal, TypeVar, Union, cast, get_args, get_origin

import msgspec
from annotated_types import Ge, Le
from msgspec import Meta
from pydantic import StringConstraints, WithJsonSchema
from pydantic.fields import FieldInfo

from models.codes.tables import STATUS_WORDS
from models.contract import (
    LAST_INSTANT_MS,
    OUR_STATUS,
    RFC_3339,
    Engagement,
    Event,
    Receipt,
    Send,
    epoch_ms,
)
from models.numbers import is_person

#: Longer values are left to the models, which refuse numbers of thousands of digits.
_MAX_BYTES: Final = 4_096
#: Values that open more objects and lists than this too: the models read them only so deep.
_MAX_DEPTH: Final = 100

E = TypeVar("E", bound=Event)


# --- structs from models ------------------------------------------------------------------------

_Instant: Final = Annotated[int, Meta(ge=0, le=LAST_INSTANT_MS)] | str

#: The types of fields whose values are checked below.
_CHECKED: Final[Mapping[type[Event], Mapping[str, Any]]] = {
    Send: {
        "account": str,
        "message_id": str,
        "recipient": str,
        "sent_at": _Instant,
        "first_sent_at": _Instant | None,
        "campaign_id": str | None,
        "credits": Decimal,
    },
    Receipt: {
        "account": str,
        "message_id": str,
        "status": str,
        "occurred_at": _Instant,
        "recipient": str | None,
        "received_at": _Instant | None,
        "part": Annotated[int, Meta(ge=1, le=255)] | None,
        "mccmnc": str | None,
        "currency": str | None,
        "price": Decimal | None,
    },
    Engagement: {
        "account": str,
        "event_id": str,
        "occurred_at": _Instant,
        "message_id": str | None,
        "recipient": str | None,
        "campaign_id": str | None,
    },
}


def _decoder_of(event: type[E]) -> Callable[[bytes], E]:
    """Decodes JSON into a struct with the fields of an event and the defaults of its model."""
    fields: list[tuple[str, Any] | tuple[str, Any, Any]] = []
    for name, field in event.model_fields.items():
        kind = _CHECKED[event].get(name) or _kind_of(field.annotation, field.metadata)
        fields.append((name, kind) if field.is_required() else (name, kind, field.default))
    struct = msgspec.defstruct(
        event.__name__, fields, namespace={"repaired": ()}, gc=False, kw_only=True
    )
    return cast(Callable[[bytes], E], msgspec.json.Decoder(struct).decode)


def _kind_of(annotation: Any, limits: list[Any]) -> Any:
    """The type of a model's field, for a struct; None, which takes null only, if there is none."""
    origin = get_origin(annotation)
    if origin is Literal:
        return annotation
    if origin is Annotated:
        inner, *outer = get_args(annotation)
        return _kind_of(inner, [*outer, *limits])
    if origin in (Union, UnionType):
        kinds = [_kind_of(one, limits) for one in get_args(annotation) if one is not NoneType]
        return kinds[0] | None if len(kinds) == 1 and kinds[0] is not None else None
    found = _limits_of(limits)
    return None if found is None else Annotated[annotation, Meta(**found)] if found else annotation


def _limits_of(limits: list[Any]) -> dict[str, Any] | None:
    """What a model limits a field by, as a struct checks it; None if it cannot."""
    found: dict[str, Any] = {}
    for limit in limits:
        match limit:
            case FieldInfo():
                inner = _limits_of(limit.metadata)
                if inner is None:
                    return None
                found |= inner
            case StringConstraints(pattern=None):
                lengths = {"min_length": limit.min_length, "max_length": limit.max_length}
                found |= {name: length for name, length in lengths.items() if length is not None}
            case Ge():
                found["ge"] = limit.ge
            case Le():
                found["le"] = limit.le
            case WithJsonSchema():
                pass
            case _:
                return None
    return found


_decode_send: Final = _decoder_of(Send)
_decode_receipt: Final = _decoder_of(Receipt)
_decode_engagement: Final = _decoder_of(Engagement)


# --- events -------------------------------------------------------------------------------------


def clean_send(value: bytes | None, limit: int) -> Send | None:
    """A struct with the fields of a send; None: the contract judges it. limit: of its bytes."""
    send = _decoded(_decode_send, value, limit)
    if send is None:
        return None
    fits = (
        _is_account(send.account)
        and _is_message_id(send.message_id)
        and is_person(send.recipient)
        and (send.campaign_id is None or _is_identifier(send.campaign_id))
        and _are_credits(str(send.credits))
    )
    return send if fits and _has_times(send, "sent_at", "first_sent_at") else None


def clean_receipt(value: bytes | None, limit: int) -> Receipt | None:
    """A struct with the fields of a receipt; None: the contract judges it. limit: of its bytes."""
    receipt = _decoded(_decode_receipt, value, limit)
    if receipt is None:
        return None
    if receipt.status not in _STATUS_WORDS:
        if (status := OUR_STATUS.get(receipt.status)) is None:
            return None
        _set(receipt, "status", status)
    fits = (
        _is_account(receipt.account)
        and _is_message_id(receipt.message_id)
        and (receipt.recipient is None or is_person(receipt.recipient))
        and (receipt.part is None or (receipt.parts is not None and receipt.part <= receipt.parts))
        and (receipt.mccmnc is None or _is_mccmnc(receipt.mccmnc))
        and (receipt.currency is None or _is_currency(receipt.currency))
        and (receipt.price is None or (receipt.currency and _is_price(str(receipt.price))))
    )
    return receipt if fits and _has_times(receipt, "occurred_at", "received_at") else None


def clean_engagement(value: bytes | None, limit: int) -> Engagement | None:
    """A struct with the fields of an engagement; None: the contract judges it. limit: of its
    bytes."""
    engagement = _decoded(_decode_engagement, value, limit)
    if engagement is None:
        return None
    message_id, recipient = engagement.message_id, engagement.recipient
    fits = (
        _is_account(engagement.account)
        and _is_identifier(engagement.event_id)
        and (message_id is None or _is_message_id(message_id))
        and (recipient is None or is_person(recipient))
        and (engagement.campaign_id is None or _is_identifier(engagement.campaign_id))
    )
    return engagement if fits and _has_times(engagement, "occurred_at") else None


_BACKSLASH: Final = ord("\\")
_BRACE: Final = ord("{")
_BRACKET: Final = ord("[")


def _decoded(decode: Callable[[bytes], E], value: bytes | None, limit: int) -> E | None:
    if not value or len(value) > limit or len(value) > _MAX_BYTES:
        return None
    # One byte is found in a tenth of the time of several.
    if _BACKSLASH in value and b"\\u0000" in value:
        return None
    if (_BRACE in value[1:] or _BRACKET in value) and _is_deep(value):
        return None
    try:
        if not value.isascii():
            value.decode()  # the decoder does not read the bytes of fields that it does not know
        return decode(value)
    except ValueError:  # not UTF-8; not JSON; not the types and limits of the fields
        return None


def _is_deep(value: bytes) -> bool:
    return value.count(b"{") + value.count(b"[") > _MAX_DEPTH


#: A struct can be changed, unlike the model that it looks like.
_set: Final[Callable[[Event, str, object], None]] = setattr


# --- values -------------------------------------------------------------------------------------

_STATUS_WORDS: Final = frozenset(STATUS_WORDS)
#: What is printable beyond ASCII depends on the version of Unicode: such ids the models judge.
_is_message_id: Final = re.compile(r"[ -.0-~]{1,128}").fullmatch
_is_identifier: Final = re.compile(r"[ -~]{1,128}").fullmatch
_is_new_account: Final = re.compile(r"[A-Za-z0-9._-]{1,64}").fullmatch
_is_mccmnc: Final = re.compile(r"[0-9]{5,6}").fullmatch
_is_currency: Final = re.compile(r"[A-Z]{3}").fullmatch
_is_instant: Final = re.compile(RFC_3339).fullmatch

#: What was read before, to be found instead of read again; emptied when it has so many entries.
_MAX_KNOWN: Final = 4_096
_accounts: Final[set[str]] = set()
#: Minute and zone, as in 2026-11-23T04:23:Z → epoch ms.
_minutes: Final[dict[str, int]] = {}

_SECONDS: Final = {f"{second:02}": 1_000 * second for second in range(60)}
_FRACTIONS: Final = {"": 0, **{f".{millisecond:03}": millisecond for millisecond in range(1_000)}}
#: Amounts of up to 15 digits: so many a JSON number always holds.
_are_credits: Final = re.compile(r"[0-9]{1,9}(\.[0-9]{1,6})?").fullmatch
_is_price: Final = re.compile(r"-?[0-9]{1,3}(\.[0-9]{1,12})?").fullmatch


def _is_account(name: str) -> bool:
    if name in _accounts:
        return True
    if _is_new_account(name) is None:
        return False
    if len(_accounts) >= _MAX_KNOWN:
        _accounts.clear()
    _accounts.add(name)
    return True


def _has_times(event: Event, first: str, second: str = "") -> bool:
    """Read its times, in place; False: one of them is none."""
    written: int | str | None = getattr(event, first)
    if isinstance(written, str):
        if (at := _epoch_ms(written)) is None:
            return False
        _set(event, first, at)
    return not second or getattr(event, second) is None or _has_times(event, second)


def _epoch_ms(written: str) -> int | None:
    """Epoch ms of an RFC 3339 time with a zone; None: it is none."""
    end = 23 if written[19:20] == "." else 19
    minute = _minutes.get(written[:17] + written[end:])
    second, fraction = _SECONDS.get(written[17:19]), _FRACTIONS.get(written[19:end])
    if minute is not None and second is not None and fraction is not None:
        return minute + second + fraction
    if _is_instant(written) is None:
        return None
    try:
        at = epoch_ms(written)
    except ValueError:
        return None
    if second is not None and fraction is not None and not written[end].isdigit():
        if len(_minutes) >= _MAX_KNOWN:
            _minutes.clear()
        _minutes[written[:17] + written[end:]] = at - second - fraction
    return at
