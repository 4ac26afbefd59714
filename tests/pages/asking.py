"""Queries of the pages' tests, and the rows that the database has for them."""

from __future__ import annotations

from typing import Any

from reports.catalogue import BY_NAME
from reports.query.lookups import zone_of
from reports.query.query import ReportQuery, parse_query
from tests.pages.conftest import ACCOUNT
from tests.reports.counting import counted
from tests.reports.queries import sent
from tests.reports.truth import Row
from tests.reports.world import World


def query_of(world: World, report: str, account: str = ACCOUNT, **params: list[str]) -> ReportQuery:
    """A query of an account, in its own zone."""
    zone = zone_of(world.database, account)
    return parse_query(BY_NAME[report], account, zone, params, world.now)


def totals(world: World, **params: Any) -> Row:
    """The counts of the overview, computed from the truth."""
    narrowed = params.pop("narrowed", [])
    messages = sent(world, query_of(world, "overview", **params)).values()
    return counted(one for one in messages if not narrowed or one.channel in narrowed)


def rows(world: World, query: ReportQuery, section: str = "") -> list[dict[str, Any]]:
    """All rows of a section."""
    wanted = query.report.section(section)
    return world.database.rows(wanted.sql, query.parameters(wanted)).records()


def campaign(world: World, account: str = ACCOUNT) -> str:
    """The campaign of an account with most messages."""
    sql = """SELECT campaign_id FROM reported_messages
             WHERE account = {account:String} AND source = 'campaign'
             GROUP BY campaign_id ORDER BY count() DESC, campaign_id LIMIT 1"""
    return str(world.database.rows(sql, {"account": account}).rows[0][0])


def struck_account(world: World) -> str:
    """An account with numbers that are suppressed for their strikes."""
    return next(
        account
        for (account, _), status in sorted(world.expected.recipients.items())
        if status.suppressed and status.strikes
    )


def paths(world: World) -> list[str]:
    """A page of every report, with something to see on most."""
    own = f"campaign={campaign(world)}"
    number = rows(world, query_of(world, "singles"))[0]["recipient"]
    message = rows(world, query_of(world, "messages"))[0]["message_id"]
    query = {"campaign": own, "recipients": own, "failed": own, "message": f"message_id={message}",
             "person": f"person=%2B{number.lstrip('+')}"}  # fmt: skip
    return [f"/{name}?{query[name]}" if name in query else f"/{name}" for name in BY_NAME]
