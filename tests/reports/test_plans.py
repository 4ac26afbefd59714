"""How ClickHouse reads: reports of a period and of a campaign go by the primary key of messages."""

import re

import pytest

from reports.catalogue import REPORTS
from reports.report import Report, Section
from tests.reports.asking import question
from tests.reports.world import World

READ = re.compile(r"ReadFromMergeTree \(\w+\.messages\)(.*?)(?=ReadFromMergeTree|\Z)", re.DOTALL)
KEY = re.compile(r"PrimaryKey.*?Condition: ([^\n]*)", re.DOTALL)
SECTIONS = [
    pytest.param(report, section, id=section.view)
    for report in REPORTS
    for section in report.sections
    if "_messages" in section.sql
]


@pytest.mark.parametrize(("report", "section"), SECTIONS)
def test_account_and_time_reach_the_primary_key(
    worlds: list[World], report: Report, section: Section
) -> None:
    asked = question(worlds[0], report)
    told = worlds[0].database.rows(f"EXPLAIN indexes = 1 {section.sql}", asked.parameters(section))
    reads = READ.findall("\n".join(line for (line,) in told.rows))
    assert reads
    for read in reads:
        key = KEY.search(read)
        assert key, read
        assert "account in" in key[1]
        assert "sent_at" in key[1]
