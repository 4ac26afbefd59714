"""Queries: whole days of a zone, all issues at once, limits."""

from datetime import UTC, datetime

import pytest

from reports.catalogue import BY_NAME
from reports.query.query import InvalidQuery, Period, ReportQuery, parse_query

NOW = datetime(2026, 11, 22, 23, 30, tzinfo=UTC)


def query(zone: str = "UTC", **params: list[str]) -> ReportQuery:
    return parse_query(BY_NAME["overview"], "acme", zone, params, NOW)


def test_the_default_is_the_last_seven_days_of_the_zone() -> None:
    period = query("Asia/Kolkata").period  # there it is the 23rd already
    assert (period.first.isoformat(), period.last.isoformat()) == ("2026-11-17", "2026-11-23")
    assert period.since == datetime(2026, 11, 16, 18, 30, tzinfo=UTC)
    assert period.until == datetime(2026, 11, 23, 18, 30, tzinfo=UTC)


@pytest.mark.parametrize(
    ("zone", "day", "whole"),
    [
        ("UTC", "2026-11-20", True),
        ("Europe/Helsinki", "2026-10-25", True),
        ("Asia/Kolkata", "2026-11-20", False),
        ("Asia/Kathmandu", "2026-11-20", False),
        ("Australia/Lord_Howe", "2026-10-04", False),  # half an hour forward on that day
        ("Australia/Lord_Howe", "2026-11-20", True),
    ],
)
def test_periods_of_whole_hours(zone: str, day: str, whole: bool) -> None:
    assert query(zone, since=[day], until=[day]).period.whole_hours is whole


def test_all_issues_are_reported_at_once_with_their_fixes() -> None:
    with pytest.raises(InvalidQuery) as bad:
        query(since=["yesterday"], channel=["fax"], colour=["red"])
    assert {(one.where, one.problem) for one in bad.value.issues} == {
        ("since", "'yesterday' is not a date"),
        ("channel", "fax is not known"),
        ("colour", "is not a filter of this report"),
    }
    assert all(one.fix for one in bad.value.issues)


@pytest.mark.parametrize(
    ("params", "problem"),
    [
        ({"last": ["9" * 5000]}, "last: '99999999999999999999' is not a number of days"),
        ({"last": ["0"]}, "last: '0' is not a number of days"),
        ({"last": ["٣"]}, "is not a number of days"),
        ({"since": ["2026-11-01"], "until": ["2026-10-01"]}, "since: 2026-11-01 is after"),
        ({"since": ["2024-01-01"]}, "since: the period has 1057 days"),
        ({"since": ["2026-11-01", "2026-11-02"]}, "since: is given more than once"),
        ({"last": ["7", "8"]}, "last: is given more than once"),
        ({"until": ["9999-12-31"]}, "until: '9999-12-31' is not a date"),
    ],
)
def test_invalid_queries_are_refused(params: dict[str, list[str]], problem: str) -> None:
    with pytest.raises(InvalidQuery, match=problem):
        query(**params)


def test_a_day_without_a_midnight_begins_with_its_first_moment() -> None:
    day = datetime(2026, 9, 6).date()  # Santiago: clocks go from 24:00 to 1:00
    period = Period(day, day, "America/Santiago")
    assert period.since == datetime(2026, 9, 6, 4, 0, tzinfo=UTC)
    assert (period.until - period.since).total_seconds() == 23 * 3600
