"""The SQL face: every view says what its report says, and what its columns mean."""

import re
from datetime import UTC, datetime

import pytest

from deploy.docs.reports import example, reports_page
from reports.catalogue import REPORTS
from reports.definition.report import SQL, Report, Section
from reports.query.query import parse_query
from reports.query.render_sql import render_sql
from tests.reports.queries import example_query
from tests.reports.world import World

SECTIONS = [(report, section) for report in REPORTS for section in report.sections]
BASE = sorted(path.stem for path in (SQL / "base").glob("*.sql"))
LIMIT = 500


@pytest.fixture
def world(worlds: list[World]) -> World:
    """One is enough: what reports say is the business of other tests."""
    return worlds[0]


every_section = pytest.mark.parametrize(
    ("report", "section"), SECTIONS, ids=[section.view for _, section in SECTIONS]
)


@every_section
def test_a_view_called_with_literals_says_what_the_report_says(
    world: World, report: Report, section: Section
) -> None:
    query = example_query(world, report)
    parameters = query.parameters(section, LIMIT)
    expected = world.database.rows(section.sql, parameters)
    found = world.database.rows(render_sql(section, parameters), {})
    assert found == expected
    assert set(found.names) <= {column.name for column in section.columns}


def test_the_example_queries_have_rows(world: World) -> None:
    """So that the test before compares something."""
    empty = set()
    for report, section in SECTIONS:
        parameters = example_query(world, report).parameters(section, 1)
        if not world.database.rows(section.sql, parameters).rows:
            empty.add(section.view)
    assert empty <= {
        "report_suppressions_numbers", "report_suppressions_strikes", "report_person_suppressions",
    }  # fmt: skip


@every_section
def test_a_view_has_the_columns_of_its_report_and_their_meanings(
    world: World, report: Report, section: Section
) -> None:
    database = world.database
    described = database.rows(f"DESCRIBE TABLE {call(report, section)}", {}).records()
    assert {one["name"]: plain(one["type"]) for one in described} == {
        column.name: plain(column.type) for column in section.view_columns
    }
    ((created,),) = database.rows(f"SHOW CREATE VIEW {section.view}", {}).rows
    created = created.replace("\\'", "'")
    for column in section.view_columns:
        line = rf"^    `{column.name}` [^`]* COMMENT '{re.escape(column.meaning)}',?$"
        assert re.search(line, created, re.MULTILINE), column.name
    assert f"COMMENT '{section.meaning}'" in created


def plain(kind: str) -> str:
    """A type without what does not change its values: how they are stored, or may be absent."""
    return re.sub(r"(?:LowCardinality|Nullable)\(((?:[^()]|\([^()]*\))*)\)", r"\1", kind)


def test_messages_current_and_what_reports_read_of_it_agree(world: World) -> None:
    """Both say how a stored message is read."""
    described = world.database.rows("DESCRIBE TABLE messages_current", {}).records()
    names = ", ".join(one["name"] for one in described)
    whole, read = (
        world.database.rows(f"SELECT {names} FROM {view} ORDER BY account, message_id", {}).rows
        for view in ("messages_current", "reported_messages")
    )
    assert whole == read
    assert len(whole) > LIMIT


def call(report: Report, section: Section) -> str:
    """The view, called as docs/reports.md shows."""
    return example(report, section).partition("FROM ")[2]


@every_section
def test_the_examples_of_the_documentation_run(
    world: World, report: Report, section: Section
) -> None:
    assert world.database.rows(example(report, section), {}).rows is not None


@pytest.mark.parametrize("view", BASE)
def test_a_view_that_reports_read_explains_every_column(world: World, view: str) -> None:
    ((created,),) = world.database.rows(f"SHOW CREATE VIEW {view}", {}).rows
    head = created[: created.index("\n)\n")]
    columns = re.findall(r"^    `(\w+)`", head, re.MULTILINE)
    assert columns
    assert head.count(" COMMENT '") == len(columns)
    assert created.count("COMMENT '") > len(columns)  # one of the view itself
    documented = reports_page().partition(f"\n### {view}\n")[2].partition("\n### ")[0]
    assert re.findall(r"^\| `(\w+)`", documented, re.MULTILINE) == columns


HOSTILE = (
    "o'neil", "back\\slash", "\\' OR 1=1 --", "x') UNION ALL SELECT * FROM messages --",
    "{x:String}", "new\nline", "%s", "",
)  # fmt: skip


@pytest.mark.parametrize("text", HOSTILE)
def test_a_pasted_text_is_a_text(world: World, text: str) -> None:
    ((report, section),) = [one for one in SECTIONS if one[1].view == "report_messages"]
    now = datetime(2026, 11, 20, 12, tzinfo=UTC)
    query = parse_query(report, text, "UTC", {"source": ["direct"], "sender": [text or "x"]}, now)
    parameters = query.parameters(section, LIMIT)
    assert world.database.rows(render_sql(section, parameters), {}).rows == []
    echoed = world.database.rows(f"SELECT {pasted_text(section, text)} AS text", {}).rows
    assert echoed == [(text,)]


def pasted_text(section: Section, text: str) -> str:
    """A text as it is pasted."""
    (literal,) = re.findall(
        r"account = (.*)\n\)", render_sql(section, {"account": text}), re.DOTALL
    )
    return str(literal)
