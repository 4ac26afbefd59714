"""One recipient's messages against the truth, by each identifier and in each range."""

from collections import Counter
from datetime import timedelta
from zoneinfo import ZoneInfo

import pytest

from deploy.simulator.oracle.messages import Message
from reports.catalogue.person import PERSON_REPORT, RANGES
from reports.query.query import InvalidQuery
from tests.reports.queries import biggest, query_of, rows_of
from tests.reports.truth import Row, Truth, message_row, newest_first, only, truth_of
from tests.reports.world import World, every_world_and_zone

COLUMNS = [column.name for column in PERSON_REPORT.sections[0].columns]
FIELDS = {"number": "recipient", "external_id": "external_id", "email": "email"}


def rows_where(truth: Truth, sent: list[tuple[str, Message]], field: str, value: str) -> list[Row]:
    return truth.shown(
        only(message_row(name, one, ""), COLUMNS)
        for name, one in sent
        if one.direction == "outbound" and getattr(one, field) == value
    )


@every_world_and_zone
def test_a_person_is_found_by_each_identifier(world: World, zone: str) -> None:
    today = world.now.astimezone(ZoneInfo(zone)).date()
    for account in world.accounts:
        truth = truth_of(world, account)
        sent = truth.sent(zone, today - timedelta(days=29), today)
        thorough = world.turn(zone) == 0
        tried = FIELDS if thorough else {"email": "email"}
        for identifier, field in tried.items():
            outbound = [one for _, one in sent if one.direction == "outbound"]
            counts = Counter(getattr(one, field) for one in outbound if getattr(one, field))
            for value, _ in counts.most_common(1):
                wanted = rows_where(truth, sent, field, value)
                for params in ({}, {"identifier": identifier}) if thorough else ({},):
                    query = query_of(
                        world, PERSON_REPORT, account, {"person": value, **params}, zone
                    )
                    assert truth.shown(rows_of(world, query)) == wanted


def test_an_identifier_that_looks_like_another_is_meant_as_said(world: World) -> None:
    account = world.accounts[-1]
    number = next(iter(truth_of(world, account).messages.values())).recipient
    params = {"person": number, "identifier": "external_id"}
    assert rows_of(world, query_of(world, PERSON_REPORT, account, params)) == []


def test_ranges_are_thirty_days_each_and_touch(world: World) -> None:
    """Seen from later, today's messages move from range to range and then leave."""
    account = biggest(world)
    truth = truth_of(world, account)
    outbound = [one for one in truth.messages.values() if one.direction == "outbound"]
    number = Counter(one.recipient for one in outbound).most_common(1)[0][0]
    sent = newest_first(truth.messages.items())
    everything = rows_where(truth, sent, "recipient", number)
    assert len(everything) > 1
    for later in (0, 27, 57, 149, 177, 178):
        now = world.now + timedelta(days=later)
        found: list[Row] = []
        for chosen in RANGES:
            params = {"person": number, "range": chosen}
            found += rows_of(world, query_of(world, PERSON_REPORT, account, params, now=now))
        oldest = now.date() - timedelta(days=179)
        assert truth.shown(found) == [row for row in everything if row["sent_at"].date() >= oldest]


@pytest.mark.parametrize(
    "params",
    [
        {},
        {"person": "x", "range": "6"},
        {"person": "x", "range": "11"},
        {"person": "x", "since": "2026-01-01"},
        {"person": "x", "identifier": "name"},
    ],
)
def test_invalid_queries_are_refused(world: World, params: dict[str, str]) -> None:
    with pytest.raises(InvalidQuery) as refused:
        query_of(world, PERSON_REPORT, "acme", params)
    (issue,) = refused.value.issues
    assert issue.where == (list(params)[-1] if params else "person")
    assert issue.fix


def test_raw_params_make_the_same_query_again(world: World) -> None:
    query = query_of(world, PERSON_REPORT, "acme", {"person": "crm-1", "range": "2"})
    assert query_of(world, PERSON_REPORT, "acme", query.raw_params()) == query
