"""Reading single fields of callbacks. Nothing here raises for what a provider sends."""

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from datetime import UTC, datetime, timedelta
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
#: Bytes of a form. The receipt of one message has hundreds; to decode a megabyte takes 0.1 s.
MAX_FORM: Final = 128 * 1024
_FIRST_YEAR, _LAST_YEAR = 2000, 2100
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND: Final = timedelta(milliseconds=1)
#: The contract takes no time before.
_FIRST_MS: Final = (datetime(_FIRST_YEAR, 1, 1, tzinfo=UTC) - _EPOCH) // _MILLISECOND
_LAST_MS: Final = (datetime(_LAST_YEAR, 1, 1, tzinfo=UTC) - _EPOCH) // _MILLISECOND
#: Epoch times above it are milliseconds.
_MILLISECONDS_FROM: Final = 100_000_000_000
_DIGITS: Final = re.compile(r"[0-9]+")
#: Without an exponent: 1e99999999 is a number of so many digits.
_EPOCH_TIME: Final = re.compile(r"[0-9]{9,13}(?:\.[0-9]{0,12})?")
#: The contract takes no more decimals of a price.
_SMALLEST: Final = Decimal("1e-12")
_NULLS: Final = frozenset({"", "null", "none", "nil", "undefined", "n/a"})
#: Half a surrogate pair, which JSON can escape and UTF-8 cannot hold.
_SURROGATE: Final = re.compile("[\ud800-\udfff]")
_LONGEST_NULL: Final = max(map(len, _NULLS))
#: No id or code has more digits, and Python refuses to write those of very large numbers.
_LARGEST: Final = 10**256
#: Characters of a text that are looked at: more than any field may have that is not a whole text.
MAX_FIELD: Final = 2_048
#: Characters of a number, an amount or a time.
_MAX_NUMBER: Final = 160


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
    return _json(callback.body)


def object_in(body: bytes) -> Mapping[str, Any]:
    """The JSON object of a body, as adapters read it; an empty one where it has none."""
    try:
        return object_of(json_of(Callback(body)))
    except Malformed:
        return {}


def json_text(value: Any) -> Any:
    """The JSON value in a text of another one. Raises Malformed."""
    if not isinstance(value, str):
        raise Malformed("not JSON")
    return _json(value.encode("utf-8", "replace"))


def _json(written: bytes) -> Any:
    try:
        return msgspec.json.decode(written)
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError):
        pass
    try:  # what is not UTF-8, and control characters in texts
        return _lenient.decode(written.decode("utf-8-sig", "replace"))
    except (ValueError, RecursionError) as error:
        raise Malformed(f"body: not JSON: {error}") from None


def _whole(digits: str) -> int | float:
    return int(digits) if len(digits) <= _MAX_NUMBER else float(digits)


_lenient: Final = json.JSONDecoder(strict=False, parse_int=_whole)


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
    return {**found, **pairs(form_of(callback.body))}


def form_of(body: bytes) -> str:
    """A body as a form, still encoded. Raises Malformed where it is too large for one."""
    if len(body) > MAX_FORM:
        raise Malformed(f"body: a form of at most {MAX_FORM} bytes expected")
    return body.decode("utf-8", "replace").strip()


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


def picked(fields: Mapping[str, Any], names: Iterable[str]) -> dict[str, Any]:
    """Some of the fields, to be combined with others: an object may have very many."""
    return {name: fields[name] for name in names if name in fields}


# --- texts and numbers --------------------------------------------------------------------------


def text(value: Any, limit: int = MAX_FIELD) -> str:
    """A text, or a number as one; "" for anything else, and for a literal null.

    Of a longer text its first `limit` characters; what cannot be written as UTF-8 is U+FFFD.
    """
    if isinstance(value, str):
        if not value.isascii():
            value = _SURROGATE.sub("\ufffd", value[:limit])
        stripped = value[:limit].replace("\x00", "").strip()
        return "" if len(stripped) <= _LONGEST_NULL and stripped.casefold() in _NULLS else stripped
    if isinstance(value, bool) or not isinstance(value, int | float):
        return ""
    if isinstance(value, float) and value.is_integer() and abs(value) < 1e15:
        return str(int(value))
    return str(value) if isinstance(value, float) or abs(value) < _LARGEST else ""


def first(fields: Mapping[str, Any], *names: str) -> str:
    """The first of some fields that has a text."""
    for name in names:
        value = fields.get(name)
        if value is not None and (found := text(value)):
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
    if not written or len(written) > _MAX_NUMBER:
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
    written = text(amount)
    if len(written) > _MAX_NUMBER:
        return "", ""
    try:
        price = Decimal(written).quantize(_SMALLEST).normalize()
    except InvalidOperation:  # no number at all, an infinite one, or a very large one
        return "", ""
    if price.is_nan() or abs(price) >= 10**9:
        return "", ""
    return format(price, "f"), code


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
    if not _EPOCH_TIME.fullmatch(written):
        return NEVER
    number = Decimal(written)
    at = int(number if number >= _MILLISECONDS_FROM else number * 1000)
    return When(at) if _FIRST_MS <= at < _LAST_MS else NEVER


def digits_time(value: Any, zone: str = "") -> When:
    """A time of digits only: [CC]YYMMDDhhmm[ss], as SMPP receipts have it. Zeroes are none."""
    written = text(value)
    if len(written) not in _YEAR_DIGITS or not _DIGITS.fullmatch(written):
        return NEVER
    for year_digits in _YEAR_DIGITS[len(written)]:
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
    local = None
    if found.tzinfo is None:
        local = found.isoformat(timespec="milliseconds" if found.microsecond else "seconds")
        if not zone:
            return When(None, local)
        found = found.replace(tzinfo=_zone(zone))
    at = (found - _EPOCH) // _MILLISECOND
    return When(at, local) if _FIRST_MS <= at < _LAST_MS else NEVER


@lru_cache(maxsize=256)
def _zone(name: str) -> ZoneInfo:
    return ZoneInfo(name)
