"""What charts are made of: places on axes, steps of a map, words that stay words."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from itertools import pairwise
from xml.etree import ElementTree

import pytest

from reports.catalogue import BY_NAME
from reports.formatting import format_seconds
from reports.pages.charts.choose import charts_of
from reports.pages.charts.svg import draw
from reports.pages.charts.time_axis import of_period, of_times
from reports.pages.charts.worldmap import limits_of, not_on_map
from reports.query.query import Period
from tests.pages.conftest import Served

DAY = date(2026, 11, 20)


@pytest.mark.parametrize(
    ("zone", "day", "hours"),
    [
        ("Europe/Helsinki", date(2026, 10, 25), 25),
        ("Europe/Helsinki", date(2027, 3, 28), 23),
        ("Asia/Kathmandu", DAY, 24),
    ],
)
def test_every_hour_of_a_day_has_its_own_place(zone: str, day: date, hours: int) -> None:
    slots = of_period(Period(day, day, zone))
    assert len(slots.names) == len(set(slots.names.values())) == hours
    assert all(later - start == timedelta(hours=1) for start, later in pairwise(slots.names))
    assert min(slots.names.values()).endswith("T00:00:00")


def test_days_begin_at_local_midnight_across_a_change_of_the_clock() -> None:
    slots = of_period(Period(date(2026, 10, 20), date(2026, 10, 29), "Europe/Helsinki"))
    assert [word[8:] for word in slots.names.values()] == [
        f"{day}T00:00:00" for day in range(20, 30)
    ]


@pytest.mark.parametrize(
    ("first", "hours"),
    [(date(2026, 4, 4), 24 + 25), (date(2026, 4, 5), 25 + 24),
     (date(2026, 10, 3), 24 + 24), (date(2026, 10, 4), 24 + 24)],
)  # fmt: skip
def test_hours_are_those_of_the_database_where_the_clock_changes_by_half_an_hour(
    served: Served, first: date, hours: int
) -> None:
    period = Period(first, first + timedelta(days=1), "Australia/Lord_Howe")
    sql = """SELECT DISTINCT toDateTime(toStartOfHour(at, {zone:String}), 'UTC') AS slot
             FROM (SELECT {since:DateTime('UTC')} + INTERVAL number * 5 MINUTE AS at
                   FROM numbers({fives:UInt32})) ORDER BY slot"""
    query = {"zone": period.zone, "since": period.since,
             "fives": (period.until - period.since) // timedelta(minutes=5)}  # fmt: skip
    recorded = [slot for (slot,) in served.world.database.rows(sql, query).rows]
    slots = of_period(period)
    assert list(slots.names) == recorded
    assert len(slots.names) == len(set(slots.names.values())) == hours


def test_a_time_between_two_places_gets_its_own() -> None:
    begin = datetime(2026, 11, 18, tzinfo=UTC)
    odd = begin + timedelta(minutes=65)
    assert odd in of_times([begin, odd], "UTC").names
    assert odd in of_period(Period(begin.date(), begin.date(), "UTC"), [odd]).names


@pytest.mark.parametrize(
    ("step", "apart"),
    [
        (timedelta(minutes=5), (0, 1, 4, 7)),
        (timedelta(hours=1), (0, 2, 3, 30)),
        (timedelta(days=1), (0, 1, 5)),
    ],
)
def test_times_without_deliveries_have_places_too(step: timedelta, apart: tuple[int, ...]) -> None:
    begin = datetime(2026, 11, 18, tzinfo=UTC)
    slots = of_times([begin + step * place for place in apart], "UTC")
    assert slots.step == step
    assert list(slots.names) == [begin + step * place for place in range(apart[-1] + 1)]


@pytest.mark.parametrize("most", [0, 1, 2, 3, 7, 50, 999, 1_000, 123_456, 30_000_000])
def test_steps_of_a_map_are_four_and_rise(most: int) -> None:
    limits = limits_of(most)
    assert len(limits) == 4
    assert all(low < high for low, high in pairwise([1, *limits]))


def test_countries_a_map_cannot_show_are_named() -> None:
    assert not_on_map(["FI", "SG", "US", ""]) == ["SG", ""]


@pytest.mark.parametrize(
    ("value", "words"),
    [(0.04, "0.0 s"), (99.9, "99.9 s"), (120, "2.0 min"), (7200, "2.0 h"), (259_200, "3.0 days")],
)
def test_spans_are_in_the_unit_people_would_choose(value: float, words: str) -> None:
    assert format_seconds(value) == words


def test_labels_of_charts_stay_text() -> None:
    section = BY_NAME["campaign"].section("reasons")
    hostile = "</svg><script>alert(1)</script>'];\"\\"
    records = [{"fail_reason": hostile, "failed": 3, "share": 1.0}]
    ((title, spec),) = charts_of(section, section.columns, records, Period(DAY, DAY, "UTC"), 900)
    drawn = draw(spec, title)
    ElementTree.fromstring(str(drawn))
    assert "<script" not in drawn
    assert "&lt;script&gt;" in drawn


def test_bars_of_errors_differ_by_what_is_chosen() -> None:
    section = BY_NAME["speed"].section("errors")
    columns = [one for one in section.columns if one.dimension in ("", "provider")]
    records = [
        {"error_code": "", "fail_reason": "expired", "bounce": "soft", "provider": provider,
         "failed": 3, "share": 0.5}
        for provider in ("alpha", "beta")
    ]  # fmt: skip
    ((_, spec),) = charts_of(section, columns, records, Period(DAY, DAY, "UTC"), 900)
    labels = [value["label"] for value in spec["data"]["values"]]
    assert labels == ["alpha · Expired", "beta · Expired"]


def test_the_same_chart_is_drawn_once() -> None:
    section = BY_NAME["campaign"].section("reasons")
    records = [{"fail_reason": "absent", "failed": 3, "share": 1.0}]
    drawn = []
    for _ in range(2):
        ((title, spec),) = charts_of(
            section, section.columns, records, Period(DAY, DAY, "UTC"), 900
        )
        drawn.append(draw(spec, title))
    assert drawn[0] is drawn[1]
