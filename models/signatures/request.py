"""A request to be verified, and what a scheme may find wrong with it."""

import base64
import binascii
import hmac
from collections.abc import Callable, Mapping
from enum import StrEnum
from typing import NamedTuple


class Fault(StrEnum):
    """Why a request is not believed; a label of metrics."""

    MISSING = "missing"
    """It carries no signature."""
    WRONG = "wrong"
    STALE = "stale"
    """It is signed, and too old or of the future: it may be a copy from an attacker."""


class SignedRequest(NamedTuple):
    """A request as its signature covers it.

    url: as the provider sees it: the public address of the endpoint, with path and query as they
        came, never with the name that the request's `Host` gives
    headers: by lower-case names. now: epoch seconds
    """

    method: str
    url: str
    headers: Mapping[str, str]
    body: bytes
    now: int


class Details(NamedTuple):
    """What else a scheme needs to know.

    window: seconds that a signed time may differ. header, algorithm, encoding, prefix: of a plain
        HMAC; algorithm also of Vonage's `sig`
    """

    window: int = 300
    header: str = ""
    algorithm: str = ""
    encoding: str = "hex"
    prefix: str = ""


#: (request, one secret, details) → None when it is authentic
Scheme = Callable[[SignedRequest, str, Details], Fault | None]


def is_same(given: str, computed: str) -> bool:
    """Compare in a time that does not depend on where they differ."""
    return hmac.compare_digest(given.encode(errors="surrogatepass"), computed.encode())


def judged(given: str, computed: str) -> Fault | None:
    """The fault of a signature, compared in constant time."""
    if not given:
        return Fault.MISSING
    return None if is_same(given, computed) else Fault.WRONG


def stale(timestamp: str, now: int, window: int) -> bool:
    """Whether a signed time, epoch seconds or milliseconds, is outside the window."""
    digits = timestamp.strip()
    if not digits.isascii() or not digits.isdigit() or len(digits) > 13:
        return True
    seconds = int(digits) // (1000 if len(digits) > 11 else 1)
    return abs(now - seconds) > window


def base64_of(data: bytes) -> str:
    """As text."""
    return base64.b64encode(data).decode()


def from_base64(written: str) -> bytes:
    """The bytes; b"" for what is not base64."""
    try:
        return base64.b64decode(written, validate=True)
    except (binascii.Error, ValueError):
        return b""
