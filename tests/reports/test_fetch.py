"""Few and small reads return the same rows as one read for each section."""

from datetime import UTC, datetime, timedelta

import msgspec
import pytest

from reports.catalogue import REPORTS
from reports.definition.report import Report, Section
from reports.query.database import Database, Rows
from reports.query.fetch import fetch, group_reads
from reports.query.query import Period, ReportQuery, parse_query
from tests.reports.queries import biggest, example_query
from tests.reports.world import ZONES, World

PASSES = [report for report in REPORTS if any(one.shared_query for one in report.sections)]
NEWEST = [
    (report, section) for report in REPORTS for section in report.sections if section.newest_first
]
SIZE = 5


class Counting:
    """A database that remembers how many rows each of its reads gave."""

    def __init__(self, database: Database) -> None:
        self.database = database
        self.given: list[int] = []

    def rows(self, sql: str, parameters: dict[str, object]) -> Rows:
        found = self.database.rows(sql, parameters)
        self.given.append(len(found.rows))
        return found


def alone(
    world: World, query: ReportQuery, section: Section, limit: int = 0, offset: int = 0
) -> Rows:
    return world.database.rows(section.sql, query.parameters(section, limit, offset))


@pytest.mark.parametrize("report", PASSES, ids=[report.name for report in PASSES])
def test_a_pass_says_what_its_sections_say(worlds: list[World], report: Report) -> None:
    together = [one for one in group_reads(report.sections) if len(one) > 1]
    assert together
    for world in worlds:
        query = example_query(world, report)
        for sections in together:
            for section, found in zip(
                sections, fetch(world.database, query, sections), strict=True
            ):
                assert found == alone(world, query, section)
                assert found.rows


def test_every_section_is_read_once_and_in_its_place() -> None:
    for report in REPORTS:
        assert tuple(one for together in group_reads(report.sections) for one in together) == (
            report.sections
        )


def test_who_sent_nothing_reads_zeroes(worlds: list[World]) -> None:
    report = next(one for one in REPORTS if one.name == "overview")
    world = worlds[0]
    query = parse_query(report, "nobody", "UTC", {}, world.now)
    (together,) = group_reads(report.sections)
    for section, found in zip(together, fetch(world.database, query, together), strict=True):
        assert found.rows == alone(world, query, section).rows
        assert [row["sent"] for row in found.records()] == (
            [0] if section.shape == "figures" else []
        )


@pytest.mark.parametrize(("report", "section"), NEWEST, ids=[one.view for _, one in NEWEST])
@pytest.mark.parametrize("zone", ZONES)
def test_the_newest_rows_are_those_of_the_whole_period(
    worlds: list[World], report: Report, section: Section, zone: str
) -> None:
    world = worlds[0]
    query = parse_query(report, biggest(world), zone, {}, world.now)
    whole = alone(world, query, section)
    assert len(whole.rows) > 4 * SIZE
    last = len(whole.rows) - SIZE // 2
    for offset in (0, SIZE, last, last + SIZE):
        (found,) = fetch(world.database, query, (section,), SIZE, offset)
        assert found.rows == whole.rows[offset : offset + SIZE]


def test_the_newest_rows_are_looked_for_in_the_newest_part_first(worlds: list[World]) -> None:
    report, section = NEWEST[0]
    world = worlds[0]
    known = parse_query(report, biggest(world), "UTC", {}, world.now)
    (newest,) = alone(world, known, section, 1).records()
    query = msgspec.structs.replace(known, now=newest["sent_at"])
    counting = Counting(world.database)
    fetch(counting, query, (section,), 1)  # type: ignore[arg-type]
    assert counting.given == [1]
    counting = Counting(world.database)
    fetch(counting, query, (section,), 1, 10**6)  # type: ignore[arg-type]
    assert counting.given == [0, 0]


def test_messages_of_the_future_are_among_the_newest(worlds: list[World]) -> None:
    """Clocks differ: `now` bounds where the newest part begins, not where it ends."""
    report, section = NEWEST[0]
    world = worlds[0]
    late = parse_query(report, biggest(world), "UTC", {}, world.now)
    query = msgspec.structs.replace(late, now=late.now - timedelta(days=2))
    whole = alone(world, query, section)
    (found,) = fetch(world.database, query, (section,), SIZE)
    assert found.rows == whole.rows[:SIZE]


DAY = datetime(2026, 11, 16, tzinfo=UTC)
WEEK = Period(DAY.date(), (DAY + timedelta(days=6)).date(), "UTC")


def test_the_newest_part_ends_now() -> None:
    assert WEEK.newest_since(DAY + timedelta(days=4)) == DAY + timedelta(days=4 - 4 / 16)


def test_the_newest_part_of_a_period_of_the_past_ends_with_it() -> None:
    assert WEEK.newest_since(DAY + timedelta(days=40)) == DAY + timedelta(days=7 - 7 / 16)


def test_a_period_that_has_not_begun_has_no_newest_part() -> None:
    assert WEEK.newest_since(DAY) is None
    assert WEEK.newest_since(DAY - timedelta(days=1)) is None
