"""Small flaws of events: which fields are mended or left out.

Part of the oracle: written from the rules as text, shares no code with the worker. A field is
refused only if it identifies or decides; the oracle never sees those events as valid.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Mapping
from decimal import Decimal
from typing import Any

from deploy.simulator.event import ENGAGEMENTS, RECEIPTS, REQUESTS, SENDS
from deploy.simulator.oracle.numbers import is_person, number_of

#: A value -> the value to use; None: left out.
Check = Callable[[Any], Any]
_NOT_TEXT = re.compile("[\x00\ud800-\udfff]")


def _text(limit: int) -> Check:
    """A text, cut where it is too long; halves of surrogate pairs and NUL become U+FFFD."""

    def check(value: Any) -> Any:
        return _NOT_TEXT.sub("\ufffd", value)[:limit] if isinstance(value, str) else None

    return check


def _code(limit: int) -> Check:
    """A code or an id: a text, or the digits of a whole number."""
    text = _text(limit)
    return lambda value: str(value) if _is_whole(value) else text(value)


def _is_whole(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _one_of(*words: str) -> Check:
    return lambda value: value if value in words else None


def _between(least: int, most: int) -> Check:
    return lambda value: value if _is_whole(value) and least <= value <= most else None


def _like(pattern: str) -> Check:
    matches = re.compile(pattern).fullmatch
    return lambda value: value if isinstance(value, str) and matches(value) else None


def _decimal(least: int | None) -> Check:
    def check(value: Any) -> Any:
        try:
            number = Decimal(value)
        except (ArithmeticError, TypeError, ValueError):
            return None
        return value if number.is_finite() and (least is None or number >= least) else None

    return check


def _number(value: Any) -> Any:
    """A recipient: as it is, or read as people write numbers."""
    if not isinstance(value, str):
        return None
    return value if is_person(value) else number_of(value) or None


def _truth(value: Any) -> Any:
    return value if isinstance(value, bool) else None


def _network(value: Any) -> Any:
    return _like("[0-9]{5,6}")(str(value) if _is_whole(value) else value)


_SCOPES = ("recipient", "content", "sender", "account", "route", "network", "policy", "time")
_SOURCES = ("direct", "verification", "open_api_direct", "open_api_verification", "campaign",
            "program")  # fmt: skip
_CHECKS: Mapping[str, Mapping[str, Check]] = {
    SENDS: {
        "direction": _one_of("outbound", "inbound"), "source": _one_of(*_SOURCES),
        "sender_id": _code(256), "sent_by": _text(256), "campaign_id": _code(128),
        "message_type": _text(64), "text": _text(32_768), "segments": _between(0, 255),
        "credits": _decimal(0), "provider": _text(64), "platform": _text(64),
        "country": _like("[A-Z]{2}"), "external_id": _code(256), "email": _text(256),
        "validity_s": _between(60, 604_800), "provider_message_id": _code(256),
        "template": _text(256), "category": _text(64), "reference": _code(256),
    },
    RECEIPTS: {
        "bounce": _one_of("soft", "hard"), "scope": _one_of(*_SCOPES), "error_code": _code(64),
        "reason": _text(1_024), "provider": _text(64), "provider_message_id": _code(256),
        "recipient": _number, "part": _between(1, 255), "parts": _between(1, 255),
        "mccmnc": _network, "price": _decimal(None), "currency": _like("[A-Z]{3}"),
        "provider_status": _text(64),
    },
    ENGAGEMENTS: {
        "recipient": _number, "campaign_id": _code(128), "link_id": _code(256),
        "url": _text(2_048), "user_agent": _text(1_024), "automated": _truth,
    },
    REQUESTS: {"recipient": _number, "who": _code(256), "why": _text(1_024)},
}  # fmt: skip


def mended(kind: str, fields: dict[str, Any]) -> Collection[str]:
    """Mends the fields of an event in place; the names of those that were wrong."""
    wrong: list[str] = []
    for name, check in _CHECKS.get(kind, {}).items():
        value = fields.get(name)
        if value is not None and (right := check(value)) is not value and right != value:
            wrong.append(name)
            fields[name] = right
    if kind == SENDS and fields.get("direction") != "inbound":
        _mend_recipient(fields, wrong)
    for name, other in (("part", "parts"), ("price", "currency")):
        if fields.get(name) is not None and fields.get(other) is None:
            wrong.append(name)
            fields[name] = None
    return wrong


def _mend_recipient(fields: dict[str, Any], wrong: list[str]) -> None:
    if not is_person(fields["recipient"]):
        wrong.append("recipient")
        fields["recipient"] = number_of(fields["recipient"])
