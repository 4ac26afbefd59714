"""What groups of messages must be counted into: plain Python over the truth, for every report."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime, time
from decimal import Decimal
from functools import cache
from typing import Any, TypeVar
from zoneinfo import ZoneInfo

import pytest

from deploy.simulator.oracle.messages import Message
from reports.query.query import ReportQuery
from tests.reports.queries import Messages
from tests.reports.truth import Engagement, Row

Key = TypeVar("Key")


def counted(messages: Iterable[Message]) -> Row:
    """The counts of a group of messages."""
    all_of_them = list(messages)
    row: Row = {name: sum(map(count, all_of_them)) for name, count in _COUNTS.items()}
    row["credits"] = Decimal(sum(message.credits for message in all_of_them)) / 1_000_000
    row["delivery_rate"] = share(row["delivered"], row["sent"])
    return row


def is_delivered(message: Message) -> bool:
    return message.status in ("delivered", "read")


def is_failed(message: Message) -> bool:
    return message.status in ("undelivered", "deleted", "rejected")


def is_undelivered(message: Message) -> bool:
    return message.status in ("undelivered", "deleted")


def is_soft(message: Message) -> bool:
    return message.status == "undelivered" and message.bounce == "soft"


def is_expired(message: Message) -> bool:
    reported = message.error_code or message.error_text
    return message.status == "undelivered" and message.fail_reason == "expired" and not reported


_COUNTS: Mapping[str, Callable[[Message], int]] = {
    "sent": lambda _: 1,
    "submitted": lambda message: message.status != "rejected",
    "queued": lambda message: message.status in ("submitted", "queued"),
    "delivered": is_delivered,
    "read": lambda message: message.status == "read",
    "undelivered": is_undelivered,
    "soft": is_soft,
    "hard": lambda message: message.status == "undelivered" and message.bounce == "hard",
    "expired": is_expired,
    "deleted": lambda message: message.status == "deleted",
    "rejected": lambda message: message.status == "rejected",
    "failed": is_failed,
    "segments": lambda message: message.segments,
}


def share(part: int, whole: int) -> Any:
    """A part of a whole; None of nothing."""
    return pytest.approx(part / whole, rel=1e-12) if whole else None


def slot_of(ms: int, query: ReportQuery) -> datetime:
    """Start of the local hour (periods up to two days) or day of a time."""
    if query.period.days <= 2:
        return hour_of(ms, query.period.zone)
    at = datetime.fromtimestamp(ms / 1000, ZoneInfo(query.period.zone))
    return datetime.combine(at.date(), time(), at.tzinfo).astimezone(UTC)


@cache
def hour_of(ms: int, zone: str) -> datetime:
    """Start of the local hour of a time."""
    at = datetime.fromtimestamp(ms / 1000, ZoneInfo(zone))
    return at.replace(minute=0, second=0, microsecond=0).astimezone(UTC)


def by_slot(messages: Messages, query: ReportQuery) -> list[tuple[datetime, Messages]]:
    """Messages by the slot they were sent in, in order."""
    slots = grouped(messages, lambda _, message: slot_of(message.sent_at, query))
    return sorted(slots.items())


def grouped(messages: Messages, key: Callable[[str, Message], Key]) -> Mapping[Key, Messages]:
    """Messages by what they have in common."""
    groups: dict[Key, Messages] = {}
    for name, message in messages.items():
        groups.setdefault(key(name, message), {})[name] = message
    return groups


def people(events: Iterable[Engagement]) -> int:
    """Number of people who did it; unknown ones are left out."""
    return len({event.person for event in events} - {""})


def ranked(rows: Iterable[Row], by: str, *names: str) -> list[Row]:
    """Rows with the largest count first, then by their names."""
    return sorted(rows, key=lambda row: (-row[by], *(row[name] for name in names)))
