"""Every statement of docs/bi.md runs unchanged, and returns the figures of the reports."""

import re
from datetime import date, datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from reports.catalogue import BY_NAME
from reports.query.query import parse_query
from tests.reports.queries import biggest
from tests.reports.truth import truth_of
from tests.reports.world import World

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs/bi.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```sql\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
ZONE = "Europe/Helsinki"
FIRST, AFTER = datetime(2026, 11, 13, 22), datetime(2026, 11, 20, 22)
SECONDS = [int(at.replace(tzinfo=ZoneInfo("UTC")).timestamp()) for at in (FIRST, AFTER)]


@pytest.fixture
def world(worlds: list[World]) -> World:
    """The world whose present is the week of the page."""
    return worlds[0]


def filled(world: World, block: str) -> str:
    """A statement as the tool sends it: its variables and macros replaced, for this world."""
    campaign = truth_of(world, biggest(world)).campaigns[0]
    since, until = (f"toDateTime({at})" for at in SECONDS)
    replaced = {
        r"\{\{ from_dttm.*? \}\}": f"{FIRST:%Y-%m-%d %H:%M:%S}",
        r"\{\{ to_dttm.*? \}\}": f"{AFTER:%Y-%m-%d %H:%M:%S}",
        r"\{\{since\}\}": "toDate('2026-11-14')",
        r"\{\{until\}\}": "toDate('2026-11-20')",
        r"\{\{account\}\}": "'acme'",
        r"\$\{account\}": "acme",
        r"\$__timeFilter\((\w+)\)": rf"\1 >= {since} AND \1 < {until}",
        r"\$__timeInterval\((\w+)\)": r"toStartOfInterval(toDateTime(\1), INTERVAL 3600 second)",
        r"\$__fromTime": since,
        r"\$__toTime": until,
        "'acme'": f"'{biggest(world)}'",
        "spring-sale": campaign,
    }
    for pattern, words in replaced.items():
        block = re.sub(pattern, words, block)
    assert "{{" not in block and "$" not in block
    return block


def totals(world: World) -> dict[str, Any]:
    """The overview of the week of the page."""
    report = BY_NAME["overview"]
    days = {"since": [str(date(2026, 11, 14))], "until": [str(date(2026, 11, 20))]}
    query = parse_query(report, biggest(world), ZONE, days, world.now)
    section = report.section("totals")
    (row,) = world.database.rows(section.sql, query.parameters(section)).records()
    return row


def answers(world: World, word: str) -> list[dict[str, Any]]:
    """Rows of the only statement that has this word."""
    (block,) = [block for block in BLOCKS if word in block]
    return world.database.rows(filled(world, block), {}).records()


@pytest.mark.parametrize("block", BLOCKS, ids=range(len(BLOCKS)))
def test_every_statement_runs(world: World, block: str) -> None:
    assert world.database.rows(filled(world, block), {}).rows is not None


def test_the_page_has_statements_for_every_tool() -> None:
    for word in ("{{ from_dttm", "{{since}}", "$__timeFilter", "$__fromTime"):
        assert any(word in block for block in BLOCKS), word


@pytest.mark.parametrize(
    "word",
    ["AS day", "report_overview_slots", "report_locations", "AS time,\n    sum(is_sent)"],
)
def test_the_figures_are_those_of_the_overview(world: World, word: str) -> None:
    rows, expected = answers(world, word), totals(world)
    assert sum(row["sent"] for row in rows) == expected["sent"] > 0
    assert sum(row["delivered"] for row in rows) == expected["delivered"]


def test_failures_are_those_of_the_overview(world: World) -> None:
    assert (
        sum(row["failed"] for row in answers(world, "AS people\nFROM reported_messages"))
        == (totals(world)["failed"])
    )


def test_counters_of_a_year_are_all_messages(world: World) -> None:
    messages = world.expected.messages.items()
    account = biggest(world)
    sent = [m for (owner, _), m in messages if owner == account and m.direction == "outbound"]
    assert sum(row["sent"] for row in answers(world, "counters_day")) == len(sent)


def test_a_time_with_a_zone_must_be_given_in_utc(world: World) -> None:
    """What the page warns of: without toTimeZone the days would be shifted."""
    (block,) = [block for block in BLOCKS if "report_locations" in block]
    good = filled(world, block)
    shifted = re.sub(r"toTimeZone\((.*), 'UTC'\)", r"\1", good)
    assert shifted != good
    as_text = re.sub(r"since = .*", f"since = '{FIRST}',", good)
    as_text = re.sub(r"until = .*", f"until = '{AFTER}',", as_text)
    assert world.database.rows(good, {}) == world.database.rows(as_text, {})
    by_hand = re.sub(r"since = .*", "since = '2026-11-14 00:00:00',", good)
    by_hand = re.sub(r"until = .*", "until = '2026-11-21 00:00:00',", by_hand)
    assert world.database.rows(shifted, {}) == world.database.rows(by_hand, {})


# --- the SQL of users -------------------------------------------------------------------------

FOLDER = ROOT / "deploy/containers/clickhouse"


def statements(name: str) -> list[str]:
    """Statements of a file of deploy/containers/clickhouse."""
    text = re.sub(r"^--.*$", "", (FOLDER / name).read_text(encoding="utf-8"), flags=re.MULTILINE)
    return [one.strip() for one in text.split(";") if one.strip()]


@pytest.mark.parametrize("name", ["users.sql", "analyst.sql", "grafana.sql"])
def test_the_sql_of_users_is_understood(world: World, name: str) -> None:
    """The embedded engine lets nobody make users: it parses what a server would run."""
    found = statements(name)
    assert found
    for statement in found:
        parsed = world.database.rows(f"EXPLAIN AST {statement}", {"password": "a long one"}).rows
        assert re.match(r"CREATE|Create|Grant", parsed[0][0]), statement


def test_policies_hide_every_table_that_has_accounts(world: World) -> None:
    query = (
        "SELECT tables.name AS name, countIf(columns.name = 'account') AS accounts"
        " FROM system.tables AS tables INNER JOIN system.columns AS columns"
        " ON columns.database = tables.database AND columns.table = tables.name"
        " WHERE tables.database = currentDatabase() AND tables.engine LIKE '%MergeTree'"
        " GROUP BY name"
    )
    tables = {row[0]: row[1] for row in world.database.rows(query, {}).rows}
    everybody, one_account = [one for one in statements("analyst.sql") if "ROW POLICY" in one]
    assert everybody.endswith("USING 1 TO ALL")
    assert one_account.endswith("USING account = 'ACCOUNT' AS RESTRICTIVE TO acme_analyst")
    for policy in (everybody, one_account):
        assert set(re.findall(r"receipts\.(\w+)", policy)) == {
            name for name, accounts in tables.items() if accounts
        }
    (revoked,) = [one for one in statements("users.sql") if one.startswith("REVOKE")]
    open_to_all = {name for name, accounts in tables.items() if not accounts}
    assert open_to_all - set(re.findall(r"receipts\.(\w+)", revoked)) == {"schema_migrations"}


def test_the_pages_may_write_segments_and_nothing_else() -> None:
    granted = [one for one in statements("users.sql") if one.startswith("GRANT")]
    assert granted == [
        "GRANT SELECT ON receipts.* TO reports_reader",
        "GRANT reports_reader TO reports_pages",
        "GRANT INSERT ON receipts.segments TO reports_pages",
    ]
    for name in ("analyst.sql", "grafana.sql"):
        created, granted = statements(name)[:2]
        assert "readonly = 2 CONST" in created
        assert re.fullmatch(r"GRANT reports_reader TO \w+", granted)
    assert len(statements("grafana.sql")) == 2
