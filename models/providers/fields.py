"""Reading single fields of callbacks. Nothing here raises for what a provider sends."""

import json
import re
from collections.abc import Iterator, Mapping
from contextlib import suppress
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from functools import lru_cache
from typing import Any, Final, NamedTuple
from urllib.parse import parse_qsl
from zoneinfo import ZoneInfo

import msgspec

from models.numbers import is_person, read_number
from models.providers.callback import Callback

#: Parameters of a query or a form; more are an attack.
MAX_PARAMETERS: Final = 1_000
_FIRST_YEAR, _LAST_YEAR = 2000, 2100
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
#: Epoch times above it are milliseconds.
_MILLISECONDS_FROM: Final = 100_000_000_000
_DIGITS: Final = re.compile(r"[0-9]+")
_NULLS: Final = frozenset({"", "null", "none", "nil", "undefined", "n/a"})


class When(NamedTuple):
    """When something happened. at: epoch ms; local: the ISO time, where it has no zone"""

    at: int | None = None
    local: str | None = None


NEVER: Final = When()

# --- whole callbacks ----------------------------------------------------------------------------


class Malformed(ValueError):
    """A callback as a whole cannot be read; the text is the reason."""


def is_json(callback: Callback) -> bool:
    """Whether the body is JSON; many providers label it otherwise."""
    return callback.body.lstrip()[:1] in (b"{", b"[") or "json" in callback.content_type.lower()


def json_of(callback: Callback) -> Any:
    """The JSON value of the body. Raises Malformed."""
    if not callback.body.strip():
        raise Malformed("body: it is empty")
    try:
        return msgspec.json.decode(callback.body)
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError):
        pass
    try:  # what is not UTF-8, and control characters in texts
        return json.loads(callback.body.decode("utf-8-sig", "replace"), strict=False)
    except (ValueError, RecursionError) as error:
        raise Malformed(f"body: not JSON: {error}") from None


def parameters(callback: Callback) -> Mapping[str, Any]:
    """The fields of a flat callback: of a form or of a JSON object, and of the query.

    The body comes first, and the first of several values. Raises Malformed.
    """
    found = pairs(callback.query)
    if is_json(callback):
        body = json_of(callback)
        if not isinstance(body, dict):
            raise Malformed("body: an object is expected")
        return {**found, **body}
    return {**found, **pairs(callback.body.decode("utf-8", "replace").strip())}


def pairs(encoded: str) -> dict[str, str]:
    """The fields of a form or query, the first of several values. Raises Malformed."""
    try:
        found = parse_qsl(encoded, keep_blank_values=True, max_num_fields=MAX_PARAMETERS)
    except ValueError as error:
        raise Malformed(f"body: not a form: {error}") from None
    return dict(reversed(found))


def objects(value: Any) -> Iterator[Mapping[str, Any]]:
    """The objects in a list, or the value itself where it is one."""
    for each in value if isinstance(value, list) else (value,):
        if isinstance(each, dict):
            yield each


def object_of(value: Any) -> Mapping[str, Any]:
    """The value where it is an object, else an empty one."""
    return value if isinstance(value, dict) else {}


# --- texts and numbers --------------------------------------------------------------------------


def text(value: Any) -> str:
    """A text, or a number as one; "" for anything else, and for a literal null."""
    if isinstance(value, str):
        stripped = value.replace("\x00", "").strip()
        return "" if stripped.casefold() in _NULLS else stripped
    if isinstance(value, bool) or not isinstance(value, int | float | Decimal):
        return ""
    if isinstance(value, float) and value.is_integer() and abs(value) < 1e15:
        return str(int(value))
    return str(value)


def first(fields: Mapping[str, Any], *names: str) -> str:
    """The first of some fields that has a text."""
    for name in names:
        if found := text(fields.get(name)):
            return found
    return ""


def whole(value: Any) -> int:
    """A number of parts, from 1 to 255; 0: it is none."""
    digits = text(value)
    if not _DIGITS.fullmatch(digits) or len(digits) > 3:
        return 0
    number = int(digits)
    return number if number <= 255 else 0


def number(value: Any) -> str | None:
    """A phone number in E.164, or a user id of WhatsApp; None: a short code, masked, no number.

    With or without a +, its length must be one of its country's.
    """
    written = text(value)
    if not written:
        return None
    if "." in written and is_person(written):
        return written
    bare = written.removeprefix("whatsapp:").removeprefix("rcs:").lstrip("+ ")
    return read_number(bare) if bare[:1].isdigit() else None


def mccmnc(mcc: Any, mnc: Any = None) -> str:
    """Mobile country and network code as five or six digits; "": not known.

    mcc: both together, where there is no `mnc`. Leading zeroes that a number lost are put back.
    """
    country, network = text(mcc), text(mnc)
    if mnc is None:
        return country if _DIGITS.fullmatch(country) and len(country) in (5, 6) else ""
    if not (_DIGITS.fullmatch(country) and _DIGITS.fullmatch(network)) or len(country) != 3:
        return ""
    return country + network.zfill(2) if len(network) <= 3 else ""


def money(amount: Any, currency: Any) -> tuple[str, str]:
    """Price and currency, or two "" where one of them is missing."""
    code = text(currency).upper()
    if len(code) != 3 or not code.isascii() or not code.isalpha():
        return "", ""
    try:
        price = Decimal(text(amount))
    except InvalidOperation:
        return "", ""
    return (format(price, "f"), code) if price.is_finite() and abs(price) < 10**9 else ("", "")


# --- times --------------------------------------------------------------------------------------


def time_of(value: Any, zone: str = "") -> When:
    """An ISO 8601 time, with "T" or a space, with or without a zone."""
    written = text(value)
    if len(written) > 40 or len(written) < 10:
        return NEVER
    try:
        return _when(datetime.fromisoformat(written), zone)
    except (ValueError, OverflowError):
        return NEVER


def epoch(value: Any) -> When:
    """An epoch time in seconds or milliseconds, which its size tells apart."""
    written = text(value)
    if not 9 <= len(written.partition(".")[0]) <= 13:
        return NEVER
    try:
        seconds = Decimal(written)
    except InvalidOperation:
        return NEVER
    if not seconds.is_finite() or seconds <= 0:
        return NEVER
    return When(int(seconds if seconds >= _MILLISECONDS_FROM else seconds * 1000))


def digits_time(value: Any, zone: str = "") -> When:
    """A time of digits only: [CC]YYMMDDhhmm[ss], as SMPP receipts have it. Zeroes are none."""
    written = text(value)
    if not written.isascii() or not written.isdigit():
        return NEVER
    for year_digits in _YEAR_DIGITS.get(len(written), ()):
        with suppress(ValueError):
            return _when(_from_digits(written, year_digits), zone)
    return NEVER


#: By the number of digits. 12 have seconds or a century: whatever gives a valid time.
_YEAR_DIGITS: Final[Mapping[int, tuple[int, ...]]] = {10: (2,), 12: (2, 4), 14: (4,)}


def _from_digits(written: str, year_digits: int) -> datetime:
    year = int(written[:year_digits]) + (2000 if year_digits == 2 else 0)
    rest = [int(written[start : start + 2]) for start in range(year_digits, len(written), 2)]
    return datetime(year, *rest)  # type: ignore[arg-type]


def _when(found: datetime, zone: str) -> When:
    if not _FIRST_YEAR <= found.year < _LAST_YEAR:
        return NEVER
    if found.tzinfo is not None:
        return When((found - _EPOCH) // _MILLISECOND)
    local = found.isoformat(timespec="milliseconds" if found.microsecond else "seconds")
    if not zone:
        return When(None, local)
    return When((found.replace(tzinfo=_zone(zone)) - _EPOCH) // _MILLISECOND, local)


_MILLISECOND: Final = datetime.resolution * 1000


@lru_cache(maxsize=256)
def _zone(name: str) -> ZoneInfo:
    return ZoneInfo(name)
