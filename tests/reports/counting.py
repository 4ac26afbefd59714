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
from reports.definition.report import Report
from reports.query.query import ReportQuery
from tests.reports.truth import Truth, day_of, question
from tests.reports.world import ZONES, World

Row = dict[str, Any]
Messages = dict[str, Message]
Key = TypeVar("Key")
#: The truth of an account is made once for all tests.
truth_of = cache(Truth)


def some_accounts(world: World, zone: str) -> list[str]:
    """Two accounts; over all zones every account has its turn."""
    names, turn = world.accounts, 2 * ZONES.index(zone)
    return [names[turn % len(names)], names[(turn + 1) % len(names)]]


def found(world: World, query: ReportQuery, section: str = "") -> list[Row]:
    """Rows of a section."""
    wanted = query.report.section(section)
    return world.database.rows(wanted.sql, query.parameters(wanted)).records()


def questions(
    world: World, report: Report, zone: str, **more: str | list[str]
) -> Iterable[tuple[ReportQuery, Messages]]:
    """Questions about some accounts and days, each with the outbound messages it is about."""
    for place, account in enumerate(some_accounts(world, zone)):
        for days in ("1", "2", "7")[place:]:
            query = question(world, report, account, {"last": days, **more}, zone)
            yield query, sent(world, query)


def sent(world: World, query: ReportQuery) -> Messages:
    """Outbound messages of the period, by id."""
    truth, period = truth_of(world, query.account), query.period
    return {
        name: message
        for name, message in truth.messages.items()
        if message.direction == "outbound"
        and period.first <= day_of(message.sent_at, period.zone) <= period.last
    }


def counted(messages: Iterable[Message]) -> Row:
    """What a group of messages must be counted into, by the words of the issue."""
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
    raw_params = message.error_code or message.error_text
    return message.status == "undelivered" and message.fail_reason == "expired" and not raw_params


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
