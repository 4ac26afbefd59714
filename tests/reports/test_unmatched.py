"""Unmatched receipts: those of the account, open ones unless others are chosen."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import product
from typing import Any

import pytest

from reports.catalogue.unmatched import UNMATCHED
from reports.query.database import Database
from reports.query.fetch import count_of
from reports.query.query import ReportQuery, parse_query
from reports.views import statements
from sinks.client import connect
from sinks.migrate import migrate
from tests.support.front import Front
from tests.support.unmatched_records import NUMBER, unmatched_record
from tests.support.written import WrittenDatabase

#: In the future: the time to live of none has ended.
NOW = datetime(2100, 6, 10, 12, tzinfo=UTC)
ZONE = "Asia/Kolkata"

ENDPOINTS = (("twilio-eu", "twilio"), ("twilio-us", "twilio"), ("meta", "whatsapp"))


def ms(at: datetime) -> int:
    return int(at.timestamp() * 1000)


def everything() -> list[dict[str, Any]]:
    """Receipts of five days, of three endpoints and two accounts, every third found."""
    days = [NOW - timedelta(days=back, hours=back) for back in range(5)]
    found = []
    for place, (day, (endpoint, provider), account) in enumerate(
        product(days, ENDPOINTS, ("acme", "other"))
    ):
        at = day - timedelta(minutes=place)
        found.append({
            "account": account, "id": f"r{place:02}", "received_at": ms(at), "at": ms(at) + 9,
            "endpoint": endpoint, "provider": provider, "occurred_at": ms(at) - 5000,
            "message_id": f"m{place}" if place % 3 == 0 else "",
        })  # fmt: skip
    return found


@pytest.fixture(scope="module")
def database(reports_front: Front) -> Iterator[Database]:
    url = reports_front.url("unmatched_receipts_of_five_days")
    clickhouse = connect(url)
    migrate(clickhouse, 90, views=statements())
    written = WrittenDatabase(clickhouse)
    for one in everything():
        if one["message_id"]:  # it was reported without its message before
            written.write("unmatched-receipts", unmatched_record(**{**one, "message_id": ""}))
        written.write("unmatched-receipts", unmatched_record(**one))
    clickhouse.close()
    made = Database(url)
    yield made
    made.close()


def query(**params: list[str]) -> ReportQuery:
    return parse_query(UNMATCHED, "acme", ZONE, params, NOW)


def ids(database: Database, asked: ReportQuery) -> list[str]:
    """Of the rows in their order; the count of the page is that of the rows."""
    (section,) = UNMATCHED.sections
    rows = database.rows(section.sql, asked.parameters(section)).records()
    assert count_of(database, section, asked) == len(rows)
    return [row["id"] for row in rows]


def wanted(**given: Any) -> list[str]:
    """Ids of what the account must see, the latest first."""
    found = sorted(
        (one for one in everything() if one["account"] == "acme"),
        key=lambda one: -int(one["received_at"]),
    )
    return [
        one["id"]
        for one in found
        if ("found" if one["message_id"] else "open") in given.get("state", ("open",))
        and one["endpoint"] in given.get("endpoint", (one["endpoint"],))
        and one["provider"] in given.get("provider", (one["provider"],))
    ]


def test_a_receipt_as_people_see_it(database: Database) -> None:
    (section,) = UNMATCHED.sections
    asked = query(state=["found"])
    rows = database.rows(section.sql, asked.parameters(section)).records()
    first = next(one for one in everything() if one["id"] == rows[0]["id"])
    at = datetime.fromtimestamp(first["received_at"] / 1000, UTC)
    assert rows[0] == {
        "received_at": at, "endpoint": first["endpoint"], "provider": first["provider"],
        "provider_message_id": "SM1", "reference": "order 7", "recipient": NUMBER,
        "status": "undelivered", "provider_status": "failed", "error_code": "30003",
        "message_id": first["message_id"], "error_text": "unreachable",
        "occurred_at": at - timedelta(seconds=5), "at": at + timedelta(milliseconds=9),
        "id": first["id"],
    }  # fmt: skip


def test_open_ones_unless_others_are_chosen(database: Database) -> None:
    assert ids(database, query()) == wanted() != []
    for state in (["found"], ["open", "found"]):
        assert ids(database, query(state=state)) == wanted(state=state) != []


def test_filters_leave_exactly_their_receipts(database: Database) -> None:
    both = ["open", "found"]
    for given in (
        {"endpoint": ["twilio-us"]},
        {"endpoint": ["twilio-us", "meta"]},
        {"provider": ["twilio"]},
        {"provider": ["twilio"], "endpoint": ["meta"]},
    ):
        assert ids(database, query(state=both, **given)) == wanted(state=both, **given)
    assert ids(database, query(endpoint=["no such"])) == []


def test_days_are_those_of_the_account_s_zone(database: Database) -> None:
    day = "2100-06-09"
    begin = datetime(2100, 6, 8, 18, 30, tzinfo=UTC)
    inside = [
        one["id"]
        for one in everything()
        if begin <= datetime.fromtimestamp(one["received_at"] / 1000, UTC) < begin + timedelta(1)
    ]
    found = ids(database, query(since=[day], until=[day]))
    assert found == [one for one in wanted() if one in inside] != []
