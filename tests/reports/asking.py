"""Questions to ask a world: the busiest account, campaign and person of it have answers."""

from collections import Counter
from collections.abc import Iterable

from reports.definition.report import Report
from reports.query.query import ReportQuery, parse_query
from tests.reports.world import World

ZONE = "Asia/Kolkata"


def most(values: Iterable[str]) -> str:
    """The most frequent value that is not empty; of several the first by name."""
    counted = Counter(filter(None, values))
    return min(counted, key=lambda value: (-counted[value], value))


def account_of(world: World) -> str:
    """The account with the most messages."""
    return most(account for account, _ in world.expected.messages)


def words_for(world: World, report: Report) -> dict[str, list[str]]:
    """What must be said to ask a report."""
    account = account_of(world)
    messages = [m for (owner, _), m in world.expected.messages.items() if owner == account]
    there_is = {
        "campaign": most(m.campaign_id for m in messages),
        "person": most(m.recipient for m in messages),
    }
    return {one.name: [there_is[one.name]] for one in report.own_filters if one.required}


def question(world: World, report: Report) -> ReportQuery:
    """A question with an answer, in a time zone with a half-hour offset."""
    return parse_query(report, account_of(world), ZONE, words_for(world, report), world.now)
