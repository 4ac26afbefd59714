"""Mending a flawed event: only fields that identify and decide can cost it.

Any other field that is wrong is read as it was meant where that is certain, cut where it is too
long, and else left out. What is not text becomes U+FFFD. Nothing here runs for an event without a
flaw.
"""

import json
import re
from collections.abc import Callable, Mapping
from decimal import Decimal, InvalidOperation
from typing import Any, ClassVar, Final, TypeVar

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails, to_json

from models.codes import listed_status
from models.countries import COUNTRIES
from models.numbers import person_from
from models.refusal import Reason, Refusal

#: Kind of the error of a field without the other one that it needs.
HALF: Final = "half"
#: What a mender returns for a value without a certain meaning.
LEFT_OUT: Final = object()
#: (value as it came, all fields) → the value as it was meant, or LEFT_OUT
Reader = Callable[[Any, Mapping[str, Any]], object]


class Mendable(BaseModel):
    """An event that can be mended.

    repaired: names of the fields that were wrong, sorted; "value": the JSON around them was. Never
        read from JSON. () costs nothing: only a mended event has its own.
    decides: fields that are never cut or left out; None: every field, nothing is mended
    readers: how to read fields that have a way of their own
    """

    repaired: ClassVar[tuple[str, ...]] = ()
    decides: ClassVar[frozenset[str] | None] = None
    readers: ClassVar[Mapping[str, Reader]] = {}

    @classmethod
    def variant(cls, _: Mapping[str, Any]) -> type["Mendable"]:
        """The class that validates an event with these fields."""
        return cls


M = TypeVar("M", bound=Mendable)


def without(event: M, *fields: str) -> M:
    """The event with optional fields left out, and named in `repaired`."""
    copy = event.model_copy(update=dict.fromkeys(fields))
    _mark(copy, {*event.repaired, *fields})
    return copy


def _mark(event: Mendable, repaired: set[str]) -> None:
    # Not a field: it would cost every event, and a publisher could set it.
    event.__dict__["repaired"] = tuple(sorted(repaired))


# --- reading ------------------------------------------------------------------------------------

_BYTE_ORDER_MARK: Final = b"\xef\xbb\xbf"
#: Half a surrogate pair, a byte that is not UTF-8 (as `surrogateescape` gives it), NUL.
_NOT_TEXT: Final = re.compile("[\ud800-\udfff\x00]")
_WHOLE: Final = "value"
#: Another spelling of these is read without a repair.
_READ_ONLY: Final = frozenset({"status"})


def mended(event: type[M], value: bytes, error: ValidationError | None) -> M | Refusal:
    """The event of a value in which something is wrong.

    error: why it is refused as it is; None: it is valid, with a NUL somewhere
    """
    first = error.errors(include_url=False, include_input=False)[0] if error else None
    broken = first is not None and first["type"] == "json_invalid"
    found = _decoded(value)
    if not isinstance(found, dict):
        return refusal_of(first) if first else Refusal(Reason.NOT_JSON, "value: cannot be read")
    work = _Work(event, value.startswith(_BYTE_ORDER_MARK))
    refusal = work.take(found, broken)
    if refusal is None and error is not None and not broken and not work.repaired:
        refusal = work.mend(error)
    return refusal or work.finish(broken)


def _whole(digits: str) -> int | float:
    return int(digits) if len(digits) <= _LONGEST_NUMBER else float(digits)


#: Python reads numbers of up to 4,300 digits.
_LONGEST_NUMBER: Final = 1_000
_lenient: Final = json.JSONDecoder(strict=False, parse_int=_whole)


def _decoded(value: bytes) -> object:
    text = value.removeprefix(_BYTE_ORDER_MARK).decode("utf-8", "surrogateescape")
    try:
        return _lenient.decode(text)
    except (ValueError, RecursionError):
        return None


class _Work:
    """The fields of one event while they are mended.

    repaired: names of those that were wrong. tried: (field, kind of error) that was mended before.
    """

    def __init__(self, event: type[Mendable], has_mark: bool) -> None:
        self._event = event
        self._decides = event.decides or frozenset()
        self._fields: dict[str, Any] = {}
        self._tried: set[tuple[str, str]] = set()
        self.repaired = {_WHOLE} if has_mark else set[str]()

    def take(self, found: dict[str, Any], broken: bool) -> Refusal | None:
        """Take the event's own fields; null is absent, and what is not text becomes U+FFFD."""
        for name, field in self._event.model_fields.items():
            value = found.get(name)
            if name not in found or (value is None and not field.is_required()):
                continue
            if isinstance(value, dict | list):
                value = []  # no field has several values; what is in them does not matter
            elif isinstance(value, str) and _NOT_TEXT.search(value):
                if self._event.readers.get(name) is read_id:
                    self.repaired.add(name)
                    continue
                if name not in self._decides:
                    value = _NOT_TEXT.sub("\ufffd", value)
                    self.repaired.add(name)
                elif broken:
                    return Refusal(Reason.NOT_JSON, f"{name}: not text; send UTF-8 without NUL")
            self._fields[name] = value
        return None

    def finish(self, broken: bool) -> Any:
        """The event, mended until it is valid; each error of a field is mended once."""
        while True:
            kind = self._event.variant(self._fields)
            try:
                event = kind.__pydantic_validator__.validate_json(to_json(self._fields))
                break
            except ValidationError as error:
                if refusal := self.mend(error):
                    return refusal
        if broken and not self.repaired:
            self.repaired.add(_WHOLE)
        if self.repaired:
            _mark(event, self.repaired)
        return event

    def mend(self, error: ValidationError) -> Refusal | None:
        """Mend every field that is wrong; a refusal where one that decides has no other reading."""
        wrong: dict[str, ErrorDetails] = {}
        for detail in error.errors(include_url=False, include_input=False):
            wrong.setdefault(_field_of(detail), detail)
        for name, detail in wrong.items():
            if name not in self._fields and detail["type"] != "missing":
                continue  # it was null
            meant = self._meant(name, detail)
            if meant is LEFT_OUT:
                if not self._is_optional(name):
                    return refusal_of(detail)
                del self._fields[name]
            elif meant != self._fields[name]:
                self._fields[name] = meant
            else:
                continue
            if name not in _READ_ONLY:
                self.repaired.add(name)
        return None

    def _is_optional(self, name: str) -> bool:
        known = self._event.model_fields.get(name)
        return known is not None and not known.is_required() and name not in self._decides

    def _meant(self, name: str, detail: ErrorDetails) -> object:
        error = (name, detail["type"])
        if name not in self._fields or error in self._tried or is_time(name):
            return LEFT_OUT
        self._tried.add(error)
        value = self._fields[name]
        if reader := self._event.readers.get(name):
            return reader(value, self._fields)
        mender = _READINGS.get(detail["type"])
        if mender is None and name not in self._decides:
            mender = _MENDERS.get(detail["type"])
        return mender(value, detail.get("ctx", {})) if mender else LEFT_OUT


def _field_of(error: ErrorDetails) -> str:
    return str(error["loc"][0]) if error["loc"] else _WHOLE


# --- what a wrong value means ---------------------------------------------------------------------

_SCALE: Final = Decimal("0.000001")
#: Above it, a JSON number with a fraction has lost digits.
_EXACT: Final = 2**53
_DIGITS: Final = re.compile(r"[0-9]{1,15}")


def as_text(value: object) -> str | None:
    """A text, or the digits of a whole number; None for anything else."""
    if isinstance(value, str):
        return value
    whole = as_whole(value, {})
    return str(whole) if whole is not LEFT_OUT else None


def _as_digits(value: object, _: Mapping[str, Any]) -> object:
    text = as_text(value)
    return LEFT_OUT if text is None else text


def _as_word(value: object, _: Mapping[str, Any]) -> object:
    """A word of ours in other letters: all of ours are in lower case."""
    word = value.strip().lower() if isinstance(value, str) else value
    return LEFT_OUT if word == value else word


def _cut(value: str, limits: Mapping[str, Any]) -> object:
    return value[: limits["max_length"]]


def as_whole(value: object, _: Mapping[str, Any]) -> object:
    """A whole number, also one written as text; LEFT_OUT for anything else."""
    if isinstance(value, str) and _DIGITS.fullmatch(value.strip()):
        return int(value)
    if isinstance(value, float) and value.is_integer() and abs(value) < _EXACT:
        return int(value)
    return value if isinstance(value, int) and not isinstance(value, bool) else LEFT_OUT


def _as_decimal(value: object, _: Mapping[str, Any]) -> object:
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return LEFT_OUT
    try:
        return format(Decimal(str(value)).quantize(_SCALE), "f")
    except InvalidOperation:
        return LEFT_OUT


_TRUTHS: Final = {"true": True, "1": True, "false": False, "0": False}


def _as_it_is(value: object, _: Mapping[str, Any]) -> object:
    """Of a field that means something only with another one, which may be mended."""
    return value


def _as_bool(value: object, _: Mapping[str, Any]) -> object:
    return _TRUTHS.get((as_text(value) or "").strip().lower(), LEFT_OUT)


Mender = Callable[[Any, Mapping[str, Any]], object]
#: Kind of error → the same value in the right form; also of fields that decide.
_READINGS: Final[Mapping[str, Mender]] = {
    "string_type": _as_digits,
    "literal_error": _as_word,
}
_MENDERS: Final[Mapping[str, Mender]] = {
    "string_too_long": _cut,
    "int_type": as_whole,
    "decimal_max_digits": _as_decimal,
    "decimal_max_places": _as_decimal,
    "bool_type": _as_bool,
    HALF: _as_it_is,
}


def read_status(value: object, _: Mapping[str, Any]) -> object:
    """A provider's status word as models/codes/statuses.toml spells it."""
    return (listed_status(value) if isinstance(value, str) else None) or LEFT_OUT


def read_recipient(value: object, _: Mapping[str, Any]) -> object:
    """A number as people write it, or a user id."""
    return person_from((as_text(value) or "").strip()) or LEFT_OUT


def read_country(value: object, _: Mapping[str, Any]) -> object:
    """A country's two letters in lower case; UK is Britain."""
    country = value.strip().upper() if isinstance(value, str) else ""
    country = "GB" if country == "UK" else country
    return country if country in COUNTRIES else LEFT_OUT


def read_currency(value: object, _: Mapping[str, Any]) -> object:
    """A currency's three letters in lower case."""
    currency = value.strip().upper() if isinstance(value, str) else ""
    return currency if len(currency) == 3 and currency != value else LEFT_OUT


def read_id(value: object, _: Mapping[str, Any]) -> object:
    """The digits of a whole number; an id that is changed would be another's."""
    return LEFT_OUT if isinstance(value, str) else _as_digits(value, {})


def leave_out(_: object, __: Mapping[str, Any]) -> object:
    """Of a field that has no other reading, and means something else when it is cut."""
    return LEFT_OUT


# --- refusals -------------------------------------------------------------------------------------

_REASON_OF_TYPE: Final = {
    "json_invalid": Reason.NOT_JSON,
    "model_type": Reason.NOT_OBJECT,
    "missing": Reason.MISSING_FIELD,
}
_TIME_EXPECTED: Final = "RFC 3339 with a zone, or epoch milliseconds, expected"
NUMBER_EXPECTED: Final = "a number with its country code expected, such as +447700900123"
_PRINTABLE_EXPECTED: Final = "1 to 128 printable characters expected"
#: What to send instead, where the validator's words are not enough.
_EXPECTED: Final = {
    "account": "1 to 64 of A-Z a-z 0-9 . _ - expected",
    "message_id": "1 to 128 printable characters without / expected",
    "event_id": _PRINTABLE_EXPECTED,
    "campaign_id": _PRINTABLE_EXPECTED,
    "recipient": NUMBER_EXPECTED,
    "status": "a status expected, such as delivered; docs/semantics.md lists the words",
}


def refusal_of(error: ErrorDetails) -> Refusal:
    """The refusal of a value because of this error."""
    field, kind = _field_of(error), error["type"]
    reason = _REASON_OF_TYPE.get(kind) or _reason_of_field(field, kind)
    if reason is Reason.BAD_TIME:
        return Refusal(reason, f"{field}: {_TIME_EXPECTED}")
    fix = None if reason is Reason.MISSING_FIELD else _EXPECTED.get(field)
    return Refusal(reason, f"{field}: {fix or error['msg']}")


def is_time(field: str) -> bool:
    """Whether a field is a time, by its name."""
    return field == "at" or field.endswith("_at")


def _reason_of_field(field: str, kind: str) -> Reason:
    if is_time(field):
        return Reason.BAD_TIME
    if field == "recipient":
        return Reason.BAD_NUMBER
    return Reason.WRONG_TYPE if kind.endswith("_type") else Reason.BAD_VALUE
