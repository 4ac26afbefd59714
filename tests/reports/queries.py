"""Queries to run against a world; the biggest account, campaign and person have results."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

from deploy.simulator.oracle.messages import Message
from reports.definition.report import Report
from reports.query.query import ReportQuery, parse_query
from tests.reports.truth import Row, Truth, day_of, truth_of
from tests.reports.world import World

Messages = dict[str, Message]
#: A zone with a half-hour offset.
ZONE = "Asia/Kolkata"


def biggest(world: World) -> str:
    """The account with the most messages."""
    owners = [account for account, _ in world.expected.messages]
    return max(world.accounts, key=owners.count)


def required_params(truth: Truth, report: Report) -> dict[str, str]:
    """Values for the required filters of a report: the biggest campaign, one of its messages and
    its recipient."""
    names = [one.name for one in report.own_filters if one.required]
    if not names:
        return {}
    campaign = truth.campaigns[0]
    name, message = truth.of_campaign(campaign)[0]
    known = {"campaign": campaign, "person": message.recipient, "message_id": name}
    return {one: known[one] for one in names}


def query_of(
    world: World,
    report: Report,
    account: str,
    params: Mapping[str, Any],
    zone: str = "UTC",
    now: datetime | None = None,
) -> ReportQuery:
    """A query. params: one value or several by filter. now: None for that of the world."""
    texts = {name: [one] if isinstance(one, str) else one for name, one in params.items()}
    return parse_query(report, account, zone, texts, now or world.now)


def example_query(world: World, report: Report) -> ReportQuery:
    """A query of the biggest account with results, in ZONE."""
    account = biggest(world)
    return query_of(world, report, account, required_params(truth_of(world, account), report), ZONE)


def rows_of(world: World, query: ReportQuery, section: str = "") -> list[Row]:
    """All rows of a section, as many as it counts, in the columns of its view."""
    wanted = query.report.section(section)
    parameters = query.parameters(wanted)
    rows = world.database.rows(wanted.sql, parameters).records()
    if wanted.shape == "rows":
        assert world.database.rows(wanted.count_sql, parameters).rows == [(len(rows),)]
    assert all(tuple(row) == tuple(one.name for one in wanted.view_columns) for row in rows[:1])
    return rows


def some_accounts(world: World, zone: str) -> list[str]:
    """Every other account; the two zones of a world share them out."""
    return world.accounts[world.turn(zone) :: 2]


def queries(
    world: World, report: Report, zone: str, **params: str | list[str]
) -> Iterable[tuple[ReportQuery, Messages]]:
    """Queries of some accounts and periods, each with its outbound messages."""
    for place, account in enumerate(some_accounts(world, zone)):
        for days in ("1", "2", "7")[min(place, 2) :]:
            query = query_of(world, report, account, {"last": days, **params}, zone)
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
