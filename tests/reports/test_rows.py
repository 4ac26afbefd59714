"""What holds of every list of rows: its pages put together are the whole, in one order."""

import pytest

from reports.catalogue import REPORTS
from reports.definition.report import Report, Section
from tests.reports.queries import query_of, required_params, rows_of
from tests.reports.truth import Row, truth_of
from tests.reports.world import World

LISTS = [
    (report, section)
    for report in REPORTS
    for section in report.sections
    if section.shape == "rows"
]
SIZE, PAGES = 4, 4


@pytest.mark.parametrize(("report", "section"), LISTS, ids=[section.view for _, section in LISTS])
def test_pages_put_together_are_the_whole(
    worlds: list[World], report: Report, section: Section
) -> None:
    world = worlds[0]
    whole: list[Row] = []
    accounts = iter(world.accounts)
    while not whole:
        account = next(accounts)
        query = query_of(world, report, account, required_params(truth_of(world, account), report))
        whole = rows_of(world, query, section.name)
    pages = [
        world.database.rows(section.sql, query.parameters(section, SIZE, page * SIZE)).records()
        for page in range(PAGES)
    ]
    assert [row for page in pages for row in page] == whole[: SIZE * PAGES]
