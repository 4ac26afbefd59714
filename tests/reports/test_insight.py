"""Delivered insight against the truth: every dimension, alone and with others."""

from collections.abc import Callable
from datetime import datetime
from decimal import Decimal
from typing import Any

from deploy.simulator.oracle.messages import Message
from reports.catalogue.insight import INSIGHT
from reports.query.query import ReportQuery
from tests.reports.counting import grouped, hour_of, is_delivered, share
from tests.reports.queries import Messages, queries, query_of, rows_of
from tests.reports.truth import Row
from tests.reports.world import World, every_world_and_zone

#: column -> the value of `by` that shows it, its value for (id, message, zone)
DIMENSIONS: dict[str, tuple[str, Callable[[str, Message, str], Any]]] = {
    "external_id": ("external_id", lambda _, message, zone: message.external_id),
    "recipient": ("number", lambda _, message, zone: message.person),
    "message_id": ("message_id", lambda name, _, zone: name),
    "campaign_id": ("campaign", lambda _, message, zone: message.campaign_id),
    "platform": ("platform", lambda _, message, zone: message.platform),
    "country": ("country", lambda _, message, zone: message.country),
    "provider": ("provider", lambda _, message, zone: message.provider),
    "hour": ("hour", lambda _, message, zone: hour_of(message.delivered_at, zone)),
}
EACH = [[word] for word, _ in DIMENSIONS.values()]
SOME = [
    ["country", "provider"],
    ["platform", "hour", "campaign"],
    [w for w, _ in DIMENSIONS.values()],
]


def broken_down(messages: Messages, by: list[str], zone: str) -> list[Row]:
    """Delivered messages by some dimensions, the most frequent first."""
    delivered = {name: one for name, one in messages.items() if is_delivered(one)}

    def key(name: str, message: Message) -> tuple[Any, ...]:
        return tuple(
            value(name, message, zone) if word in by else (None if column == "hour" else "")
            for column, (word, value) in DIMENSIONS.items()
        )

    rows = []
    for place, group in grouped(delivered, key).items():
        rows.append(
            {
                **dict(zip(DIMENSIONS, place, strict=True)),
                "delivered": len(group),
                "share": share(len(group), len(delivered)),
                "read": sum(one.status == "read" for one in group.values()),
                "clicked": sum(one.clicked_at > 0 for one in group.values()),
                "segments": sum(one.segments for one in group.values()),
                "credits": Decimal(sum(one.credits for one in group.values())) / 1_000_000,
            }
        )
    return sorted(rows, key=in_order)


def in_order(row: Row) -> tuple[Any, ...]:
    """The order of the report: most deliveries first, then by the dimensions."""
    hour = row["hour"] or datetime.max
    return (-row["delivered"], *(row[one] for one in DIMENSIONS if one != "hour"), hour)


@every_world_and_zone
def test_deliveries_are_those_of_the_truth(world: World, zone: str) -> None:
    turn = world.turn(zone)
    for by in (EACH + SOME)[turn::2]:
        for query, messages in list(queries(world, INSIGHT, zone, by=by))[turn::3]:
            assert rows_of(world, query) == broken_down(messages, by, zone)


def test_nothing_chosen_is_by_country(world: World) -> None:
    query = query_of(world, INSIGHT, world.accounts[0], {})
    assert [one.name for one in query.columns(query.report.section(""))][:2] == [
        "country",
        "delivered",
    ]
    assert query == query_of(world, INSIGHT, world.accounts[0], {"by": "country"})


def test_filters_narrow_and_a_filter_by_country_does_not_need_its_dimension(world: World) -> None:
    for query, messages in queries(world, INSIGHT, "UTC", by="provider"):
        country = max(
            (one.country for one in messages.values()),
            key=[one.country for one in messages.values()].count,
            default="",
        )
        if country:
            narrowed = {n: one for n, one in messages.items() if one.country == country}
            same = narrower(world, query, country=country)
            assert rows_of(world, same) == broken_down(narrowed, ["provider"], "UTC")


def narrower(world: World, query: ReportQuery, **more: str) -> ReportQuery:
    """The same query with another filter."""
    return query_of(
        world, query.report, query.account, {**query.raw_params(), **more}, query.period.zone
    )


def test_pages_are_parts_of_the_whole(world: World) -> None:
    (section,) = INSIGHT.sections
    query = query_of(world, INSIGHT, world.accounts[0], {"by": ["number", "hour"]})
    whole = rows_of(world, query)
    pages = [
        world.database.rows(section.sql, query.parameters(section, 100, first)).records()
        for first in range(0, len(whole) + 100, 100)
    ]
    assert [row for page in pages for row in page] == whole
    assert len(whole) > 100
