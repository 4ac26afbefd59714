"""The traffic overview against a computation of its own over the truth."""

from collections import Counter
from collections.abc import Iterable
from datetime import datetime
from zoneinfo import ZoneInfo

import pytest

from deploy.simulator.messages import Message
from reports.asked import ask
from reports.catalogue.overview import OVERVIEW
from tests.reports.world import ZONES, World

Counts = dict[str, object]


def counted(messages: Iterable[Message]) -> Counter[str]:
    """What a group of messages must be counted into, by the words of the issue."""
    found: Counter[str] = Counter()
    for message in messages:
        undelivered = message.status in ("undelivered", "deleted")
        expired = message.fail_reason == "expired" and not (
            message.error_code or message.error_text
        )
        delivered = message.status in ("delivered", "read")
        rejected = message.status == "rejected"
        found.update({
            "sent": 1,
            "submitted": not rejected,
            "queued": message.status in ("submitted", "queued"),
            "delivered": delivered,
            "read": message.status == "read",
            "undelivered": undelivered,
            "soft": message.status == "undelivered" and message.bounce == "soft",
            "hard": message.status == "undelivered" and message.bounce == "hard",
            "expired": message.status == "undelivered" and expired,
            "deleted": message.status == "deleted",
            "rejected": rejected,
            "failed": undelivered or rejected,
            "segments": message.segments,
            "credits": message.credits,
        })  # fmt: skip
    return found


def figures(row: dict[str, object]) -> Counter[str]:
    """A row of the report in the same words; credits in micro-credits."""
    counts = {name: value for name, value in row.items() if name not in ("slot", "delivery_rate")}
    counts["credits"] = int(counts["credits"] * 1_000_000)  # type: ignore[operator]
    return Counter(counts)  # type: ignore[arg-type]


def asked_for(
    world: World, account: str, zone: str, since: datetime, until: datetime
) -> list[Message]:
    """Outbound messages of an account in a period of local days."""
    tz = ZoneInfo(zone)
    return [
        message
        for (owner, _), message in world.expected.messages.items()
        if owner == account
        and message.direction == "outbound"
        and since.date()
        <= datetime.fromtimestamp(message.sent_at / 1000, tz).date()
        <= until.date()
    ]


@pytest.mark.parametrize("zone", ZONES)
def test_totals_and_slots_are_those_of_the_truth(world: World, zone: str) -> None:
    tz = ZoneInfo(zone)
    today = world.now.astimezone(tz)
    for account in world.accounts:
        for days in (1, 2, 7):
            asked = ask(OVERVIEW, account, zone, {"last": [str(days)]}, world.now)
            first = datetime.combine(asked.period.first, today.time(), tz)
            truth = asked_for(world, account, zone, first, today)
            totals, slots = OVERVIEW.sections
            (row,) = world.database.rows(totals.sql, asked.parameters(totals)).records()
            assert figures(row) == counted(truth)
            assert row["submitted"] == row["queued"] + row["delivered"] + row["undelivered"]
            by_slot: dict[datetime, list[Message]] = {}
            for message in truth:
                at = datetime.fromtimestamp(message.sent_at / 1000, tz)
                start = at.replace(minute=0, second=0, microsecond=0)
                if days > 2:
                    start = datetime.combine(at.date(), datetime.min.time(), tz)
                by_slot.setdefault(start.astimezone(ZoneInfo("UTC")), []).append(message)
            found = world.database.rows(slots.sql, asked.parameters(slots)).records()
            assert [row["slot"] for row in found] == sorted(by_slot)
            assert [figures(row) for row in found] == [counted(by_slot[s]) for s in sorted(by_slot)]
