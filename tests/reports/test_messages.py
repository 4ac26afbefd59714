"""Message details against the truth, message by message."""

import itertools
from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime

import pytest

from deploy.simulator.oracle.messages import Message
from reports.catalogue.messages import MESSAGES
from reports.query.fetch import count_of
from reports.query.lookups import text_of
from reports.query.query import parse_query
from tests.reports.queries import query_of, rows_of
from tests.reports.truth import Row, Truth, message_row, only, truth_of
from tests.reports.world import WORLDS, World, every_world_and_zone

COLUMNS = [column.name for column in MESSAGES.sections[0].columns]


def wanted(truth: Truth, sent: list[tuple[str, Message]], *, content: bool = False) -> list[Row]:
    """Rows of the outbound ones."""
    return [
        only(message_row(name, one, truth.texts.get(name, "") if content else ""), COLUMNS)
        for name, one in sent
        if one.direction == "outbound"
    ]


@every_world_and_zone
def test_every_message_of_the_period_is_shown_as_it_stands(world: World, zone: str) -> None:
    for account in world.accounts:
        truth = truth_of(world, account)
        query = query_of(world, MESSAGES, account, {"last": "2"}, zone)
        rows = truth.shown(rows_of(world, query))
        sent = truth.sent(zone, query.period.first, query.period.last)
        assert rows == truth.shown(wanted(truth, sent))


def test_content_is_that_of_the_latest_attempt(world: World) -> None:
    attempts: Counter[int] = Counter()
    for account in world.accounts:
        truth = truth_of(world, account)
        query = query_of(world, MESSAGES, account, {"content": "yes"})
        rows = truth.shown(rows_of(world, query))
        sent = truth.sent("UTC", query.period.first, query.period.last)
        assert rows == truth.shown(wanted(truth, sent, content=True))
        attempts.update(row["attempts"] for row in rows if row["content"])
        for row in rows[:5]:
            text = text_of(world.database, account, row["message_id"])
            assert (text or "") == row["content"]
    assert attempts[1] > 100 and attempts[2] > 5
    assert text_of(world.database, world.accounts[0], "nobody") is None


FILTERS: dict[str, Callable[[Message], str]] = {
    "channel": lambda one: one.channel,
    "sent_by": lambda one: one.sent_by,
    "source": lambda one: one.source,
    "status": lambda one: one.platform_status,
    "carrier_status": lambda one: one.carrier_status,
    "sender": lambda one: one.sender_id,
    "recipient": lambda one: one.recipient,
    "provider": lambda one: one.provider,
    "country": lambda one: one.country,
}


@pytest.mark.parametrize(
    ("world", "name"),
    [(place % len(WORLDS), name) for place, name in enumerate(FILTERS)],
    indirect=["world"],
)
def test_a_filter_leaves_exactly_its_messages(world: World, name: str) -> None:
    account = world.accounts[-1]
    truth, of = truth_of(world, account), FILTERS[name]
    query = query_of(world, MESSAGES, account, {})
    sent = truth.sent("UTC", query.period.first, query.period.last)
    values = Counter(of(one) for _, one in sent if one.direction == "outbound" and of(one))
    assert values
    several = next(one.several for one in MESSAGES.filters if one.name == name)
    for value, _ in values.most_common(2):
        rows = truth.shown(rows_of(world, query_of(world, MESSAGES, account, {name: value})))
        matching = [(key, one) for key, one in sent if of(one) == value]
        assert rows == truth.shown(wanted(truth, matching))
    if several and len(values) > 1:
        two = sorted(values)[:2]
        rows = truth.shown(rows_of(world, query_of(world, MESSAGES, account, {name: two})))
        matching = [(key, one) for key, one in sent if of(one) in two]
        assert rows == truth.shown(wanted(truth, matching))


SECTION = MESSAGES.sections[0]
SOME = ({}, {"channel": "sms"}, {"source": "campaign"}, {"provider": "twilio", "country": "IN"})
STATUSES = ((), ("submitted",), ("rejected",), ("submitted", "rejected"))
CARRIER_STATUSES = ((), ("queued",), ("delivered",), ("undelivered",), ("queued", "undelivered"))


#: Each combination of filters in one world.
COUNTED = [
    (number % len(WORLDS), *filters)
    for number, filters in enumerate(itertools.product(SOME, STATUSES, CARRIER_STATUSES))
]


@pytest.mark.parametrize(
    ("world", "some", "status", "carrier_status"), COUNTED, indirect=["world"], ids=str
)
def test_the_counters_know_how_many_rows_there_are(
    world: World, some: dict[str, str], status: tuple[str, ...], carrier_status: tuple[str, ...]
) -> None:
    account = world.accounts[-1]
    params = {**some, "status": [*status], "carrier_status": [*carrier_status]}
    query = query_of(world, MESSAGES, account, params)
    assert "reported_counts" in query.count_sql(SECTION)
    (messages,) = world.database.rows(SECTION.count_sql, query.parameters(SECTION)).rows[0]
    assert count_of(world.database, SECTION, query) == messages


@pytest.mark.parametrize(
    ("zone", "params"),
    [
        ("Asia/Kolkata", {}),
        ("UTC", {"sender": ["acme"]}),
        ("UTC", {"sent_by": ["eva"]}),
        ("UTC", {"recipient": ["+46701234567"]}),
    ],
)
def test_what_the_counters_do_not_know_is_counted_among_the_messages(
    zone: str, params: dict[str, list[str]]
) -> None:
    query = parse_query(MESSAGES, "acme", zone, params, datetime(2026, 11, 20, tzinfo=UTC))
    assert query.count_sql(SECTION) == SECTION.count_sql


def test_filters_hold_together(world: World) -> None:
    account = world.accounts[-1]
    truth = truth_of(world, account)
    params = {
        "channel": "sms",
        "carrier_status": "undelivered",
        "source": ["campaign", "direct"],
    }
    query = query_of(world, MESSAGES, account, params)
    matching = [
        (name, one)
        for name, one in truth.sent("UTC", query.period.first, query.period.last)
        if one.channel == "sms"
        and one.carrier_status == "undelivered"
        and one.source in ("campaign", "direct")
    ]
    assert truth.shown(rows_of(world, query)) == truth.shown(wanted(truth, matching))


def test_every_filter_of_the_report_is_tried_here() -> None:
    tried = {*FILTERS, "account", "since", "until", "content"}
    assert {one.name for one in MESSAGES.filters} == tried
