"""The traffic overview against a computation of its own over the truth."""

from collections import Counter
from datetime import timedelta

import pytest

from reports.catalogue.overview import OVERVIEW
from tests.reports.counting import by_slot, counted
from tests.reports.queries import Messages, queries, query_of, rows_of, sent
from tests.reports.truth import Row
from tests.reports.world import World, every_world_and_zone


def whatsapp(messages: Messages) -> Row:
    """The words of WhatsApp pages."""
    states = Counter(m.status for m in messages.values() if m.channel == "whatsapp")
    return {
        "sent": states.total(),
        "delivered": states["delivered"] + states["read"],
        "read": states["read"],
        "pending": states["submitted"] + states["queued"],
        "failed": states["undelivered"] + states["deleted"] + states["rejected"],
    }


@every_world_and_zone
def test_totals_and_slots_are_those_of_the_truth(world: World, zone: str) -> None:
    for query, messages in queries(world, OVERVIEW, zone):
        (totals,) = rows_of(world, query, "totals")
        assert totals == counted(messages.values())
        assert totals["submitted"] == sum(
            totals[part] for part in ("queued", "delivered", "undelivered")
        )
        assert rows_of(world, query, "slots") == [
            {"slot": slot, **counted(share.values())} for slot, share in by_slot(messages, query)
        ]


@every_world_and_zone
def test_whatsapp_has_its_own_words(world: World, zone: str) -> None:
    for query, messages in queries(world, OVERVIEW, zone):
        (totals,) = rows_of(world, query, "whatsapp")
        assert totals == whatsapp(messages)
        assert totals["sent"] == totals["delivered"] + totals["pending"] + totals["failed"]
        wanted = [{"slot": slot, **whatsapp(share)} for slot, share in by_slot(messages, query)]
        assert rows_of(world, query, "whatsapp_slots") == [row for row in wanted if row["sent"]]


def test_sources_and_channel_narrow_every_section(world: World) -> None:
    params = {"source": ["campaign", "direct"], "channel": "whatsapp"}
    for query, messages in queries(world, OVERVIEW, "Asia/Kolkata", **params):
        narrowed = {
            name: message
            for name, message in messages.items()
            if message.source in params["source"] and message.channel == "whatsapp"
        }
        (totals,) = rows_of(world, query, "totals")
        assert totals == counted(narrowed.values())
        assert sum(row["sent"] for row in rows_of(world, query, "slots")) == len(narrowed)
        assert rows_of(world, query, "whatsapp") == [whatsapp(narrowed)]


@pytest.mark.parametrize(
    ("place", "day", "hours"), [(1, "2026-10-25", 25), (2, "2027-03-28", 23)], ids=["end", "begin"]
)
def test_a_day_on_which_the_clock_changes_has_its_own_hours(
    worlds: list[World], place: int, day: str, hours: int
) -> None:
    """Every hour is there once: the repeated one twice in local time, the skipped one never."""
    world = worlds[place]
    params = {"since": day, "until": day}
    seen = set()
    for account in world.accounts:
        query = query_of(world, OVERVIEW, account, params, "Europe/Helsinki")
        wanted = {slot: len(share) for slot, share in by_slot(sent(world, query), query)}
        rows = rows_of(world, query, "slots")
        assert {row["slot"]: row["sent"] for row in rows} == wanted
        assert query.period.until - query.period.since == timedelta(hours=hours)
        seen |= set(wanted)
    assert len(seen) == hours
