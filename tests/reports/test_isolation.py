"""An account sees itself alone: in every report, in segments, and whatever is typed.

Each query runs twice: in a database that holds nothing but one account, and in one that holds
the others too, and twins of that account under other names with the same messages, campaigns,
people and events. The answers must be the same.
"""

from collections import Counter
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from typing import Any

import pytest

from reports.catalogue import REPORTS
from reports.definition.report import Filter, Report
from reports.query.database import Database
from reports.query.fetch import count_of, fetch, group_reads
from reports.query.lookups import text_of
from reports.query.query import InvalidQuery, ReportQuery
from reports.segments.members import count, members
from reports.segments.model import Combined, Node, People, Saved, write
from reports.segments.store import SegmentStore
from reports.views import statements
from sinks.client import connect
from sinks.migrate import migrate
from tests.reports.queries import biggest, query_of, required_params
from tests.reports.truth import truth_of
from tests.reports.world import World
from tests.support.front import Front

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
TABLES = (
    "messages", "message_texts", "status_counters", "engagements", "campaigns", "accounts",
    "strikes", "suppression_records", "suppression_requests", "orphans",
)  # fmt: skip
#: Rows of tables that worlds leave empty, one for each message.
MADE = {
    "receipt_events (account, message_id, occurred_at, status, error_code)": (
        "SELECT account, message_id, sent_at + INTERVAL 1 SECOND, 'undelivered', '1'"
    ),
    "retry_requests (account, message_id, attempt, first_sent_at, due_at, recipient)": (
        "SELECT account, message_id, 2, sent_at, sent_at + INTERVAL 1 HOUR, recipient"
    ),
    "unmatched_receipt_records (account, id, received_at, reported, message_id, endpoint)": (
        "SELECT account, message_id, sent_at, true,"
        " if(cityHash64(message_id) % 3 = 0, message_id, ''), provider"
    ),
}
#: Accounts that have all the account has; one of them is named to be taken for SQL.
TWINS = ("zz-twin", "x' OR account != '")
#: What a third one says of the same messages and people: everything that the account does not.
FOE = {
    "message_texts": "SELECT * REPLACE ('zz-foe' AS account, 'theirs' AS text) FROM ({texts})",
    "campaigns": "SELECT * REPLACE ('zz-foe' AS account, 'theirs' AS name) FROM ({campaigns})",
    "engagements (account, event_id, type, occurred_at, message_id, recipient, campaign_id,"
    " link_id)": "SELECT 'zz-foe', message_id, 'click', sent_at, message_id, recipient,"
    " campaign_id, 'l1' FROM ({messages})",
    "suppression_records (account, recipient, suppressed, reasons, since, strikes)": (
        "SELECT 'zz-foe', recipient, true, ['manual'], min(sent_at), 9 FROM ({messages})"
        " GROUP BY recipient"
    ),
    "strikes (account, recipient, sent_at, message_id, struck, occurred_at, code)": (
        "SELECT 'zz-foe', recipient, sent_at, message_id, true, sent_at, '1' FROM ({messages})"
    ),
    "receipt_events (account, message_id, occurred_at, status, error_text)": (
        "SELECT 'zz-foe', message_id, sent_at, 'rejected', 'theirs' FROM ({messages})"
    ),
    "retry_requests (account, message_id, attempt, first_sent_at, due_at)": (
        "SELECT 'zz-foe', message_id, 9, sent_at, sent_at FROM ({messages})"
    ),
    "unmatched_receipt_records (account, id, received_at, reported, error_text, version)": (
        "SELECT 'zz-foe', message_id, sent_at, true, 'theirs', 9 FROM ({messages})"
    ),
    "suppression_requests (account, recipient, at, action)": (
        "SELECT 'zz-foe', recipient, max(sent_at) + INTERVAL 1 YEAR, 'release' FROM ({messages})"
        " GROUP BY recipient"
    ),
}
HOSTILE = (
    "'",
    "\\",
    "') OR 1=1 --",
    "\\') OR 1=1 --",
    "x') OR account != '' OR ('' = '",
    "{account:String}",
    "zz-twin",
    "%\t\n",
)


def struck_of(world: World) -> Counter[str]:
    """Accounts, not the biggest, that have campaigns of their own and numbers struck too often."""
    with_campaigns = {record["account"] for record in world.events["campaigns"]}
    return Counter(
        account
        for (account, _), status in world.expected.recipients.items()
        if status.suppressed and status.strikes and account in with_campaigns - {biggest(world)}
    )


class Two:
    """The account alone, and in a crowd."""

    def __init__(self, world: World, front: Front) -> None:
        self.world = world
        struck = struck_of(world)
        self.account = max(struck, key=struck.__getitem__)
        alone, crowd = front.url("isolated_alone"), front.url("isolated_crowd")
        _fill(alone, world, f"account = '{self.account}'", ())
        _fill(crowd, world, "true", TWINS, self.account)
        _add_foe(crowd, self.account)
        self.urls = (alone, crowd)
        self.alone, self.crowd = Database(alone), Database(crowd)


def _fill(url: str, world: World, where: str, twins: Iterable[str], account: str = "") -> None:
    clickhouse = connect(url)
    migrate(clickhouse, 90, views=statements())
    source = world.url.rpartition("/")[2]
    for table in TABLES:
        rows = f"SELECT * FROM {source}.{table} WHERE"
        clickhouse.command(f"INSERT INTO {table} {rows} {where}")
        for twin in twins:
            name = twin.replace("'", "\\'")
            theirs = f"SELECT * REPLACE ('{name}' AS account) FROM ({rows} account = '{account}')"
            clickhouse.command(f"INSERT INTO {table} {theirs}")
    for table, rows in MADE.items():
        clickhouse.command(f"INSERT INTO {table} {rows} FROM messages FINAL")
    clickhouse.close()


def _add_foe(url: str, account: str) -> None:
    clickhouse = connect(url)
    known = {
        name: f"SELECT * FROM {table} FINAL WHERE account = '{account}'"
        for name, table in (
            ("messages", "messages"), ("texts", "message_texts"), ("campaigns", "campaigns")
        )
    }  # fmt: skip
    for table, rows in FOE.items():
        clickhouse.command(f"INSERT INTO {table} {rows.format(**known)}")
    clickhouse.close()


@pytest.fixture(scope="module")
def two(worlds: list[World], reports_front: Front) -> Iterator[Two]:
    """Two databases of one account."""
    # The latest first: receipts of the past may have expired.
    newest = sorted(worlds, key=lambda world: world.now, reverse=True)
    made = Two(next(world for world in newest if struck_of(world)), reports_front)
    yield made
    made.alone.close()
    made.crowd.close()


def pages(database: Database, query: ReportQuery) -> list[list[tuple[Any, ...]]]:
    """All rows of all sections as pages read them, and the counts of those that are paged."""
    found = []
    for group in group_reads(query.report.sections):
        found += [rows.rows for rows in fetch(database, query, group)]
        if group[0].shape == "rows":
            found.append([(count_of(database, group[0], query),)])
    return found


def views(database: Database, query: ReportQuery) -> list[list[tuple[Any, ...]]]:
    """All rows of all sections as views and exports read them, and the counts."""
    found = []
    for section in query.report.sections:
        parameters = query.parameters(section)
        found.append(database.rows(section.sql, parameters).rows)
        if section.shape == "rows":
            found.append(database.rows(section.count_sql, parameters).rows)
    return found


def query_in(two: Two, report: Report, params: dict[str, Any], account: str = "") -> ReportQuery:
    """A query of the account, or another one; required filters are those of the account."""
    whole = {**required_params(truth_of(two.world, two.account), report), **params}
    return query_of(two.world, report, account or two.account, whole)


#: Reports about one campaign.
OF_CAMPAIGNS = [
    report for report in REPORTS if any(one.name == "campaign" for one in report.filters)
]
every_report = pytest.mark.parametrize("report", REPORTS, ids=[one.name for one in REPORTS])


def test_twins_have_all_that_the_account_has(two: Two) -> None:
    for table in (*TABLES, *(one.partition(" ")[0] for one in MADE)):
        counted = f"SELECT count() FROM {table} FINAL WHERE account = {{account:String}}"
        sizes = {
            two.crowd.rows(counted, {"account": account}).rows[0][0]
            for account in (two.account, *TWINS)
        }
        assert len(sizes) == 1, table
        assert sizes != {0} or table in ("accounts", "orphans")  # not all have some


@every_report
def test_an_account_sees_the_same_in_a_crowd(two: Two, report: Report) -> None:
    query = query_in(two, report, {})
    found = views(two.crowd, query)
    assert found == views(two.alone, query)
    assert all(found) or report.name == "person"  # not everybody is suppressed
    assert pages(two.crowd, query) == pages(two.alone, query)


@pytest.mark.parametrize("report", OF_CAMPAIGNS, ids=[one.name for one in OF_CAMPAIGNS])
def test_a_campaign_of_others_is_empty(two: Two, report: Report) -> None:
    owner = biggest(two.world)
    assert owner != two.account
    foreign = truth_of(two.world, owner).campaigns[0]
    query = query_in(two, report, {"campaign": foreign})
    assert pages(two.crowd, query) == pages(two.alone, query)


@every_report
@pytest.mark.parametrize("account", ["' OR '1' = '1", "{account:String}"])
def test_an_account_without_rows_sees_none(two: Two, report: Report, account: str) -> None:
    query = query_in(two, report, {}, account)
    assert pages(two.crowd, query) == pages(two.alone, query)


def report_filter(report: Report, name: str) -> Filter:
    return next(one for one in report.own_filters if one.name == name)


TYPED = [(report, one.name) for report in REPORTS for one in report.own_filters if not one.choices]
CHOSEN = [(report, one.name) for report in REPORTS for one in report.own_filters if one.choices]


def named(pairs: list[tuple[Report, str]]) -> list[str]:
    return [f"{report.name}-{name}" for report, name in pairs]


@pytest.mark.parametrize(("report", "name"), TYPED, ids=named(TYPED))
def test_hostile_words_find_nothing_of_others(two: Two, report: Report, name: str) -> None:
    """They are words like any others: they break nothing, and open nothing."""
    words: Iterable[Any] = HOSTILE
    if report_filter(report, name).reads == "number":
        for word in HOSTILE:
            with pytest.raises(InvalidQuery, match="is not a number with a country code"):
                query_in(two, report, {name: word})
        return
    if report_filter(report, name).several:
        words = (list(HOSTILE),)
    nothing = pages(two.alone, query_in(two, report, {name: "no such value"}))
    for word in words:
        assert pages(two.crowd, query_in(two, report, {name: word})) == nothing


@pytest.mark.parametrize(("report", "name"), CHOSEN, ids=named(CHOSEN))
def test_whatever_is_chosen_the_crowd_changes_nothing(two: Two, report: Report, name: str) -> None:
    choices = report_filter(report, name).choices
    for choice in choices if name == "tab" else choices[:2]:
        query = query_in(two, report, {name: choice})
        assert pages(two.crowd, query) == pages(two.alone, query)
    for word in HOSTILE:
        with pytest.raises(InvalidQuery):
            query_in(two, report, {name: word})


def test_texts_are_those_of_the_account(two: Two) -> None:
    theirs = biggest(two.world)
    foreign, own = truth_of(two.world, theirs).texts, truth_of(two.world, two.account).texts
    mine, other = next(iter(own)), next(iter(foreign))
    assert text_of(two.crowd, two.account, mine) == own[mine]
    assert text_of(two.crowd, two.account, other) is None
    for word in HOSTILE:
        assert text_of(two.crowd, two.account, word) is None


# --- segments ---------------------------------------------------------------------------------


def test_segments_hold_people_of_the_account_alone(two: Two) -> None:
    owner = biggest(two.world)
    assert owner != two.account
    foreign = truth_of(two.world, owner).campaigns
    own = truth_of(two.world, two.account).campaigns
    theirs = People(foreign[:1])
    assert count(two.crowd, owner, theirs).people
    nodes: tuple[Node, ...] = (
        theirs,
        People(foreign[:1], "clicked", True),
        People(list(HOSTILE)),
        People(own[:2], "clicked", False, list(HOSTILE)),
        People(own[:1]),
        People([*own[:1], *foreign[:1]], "not_clicked"),
        Combined("or", [theirs, People(own[:1], "suppressed", True)]),
        Combined("except", [People(own[:1]), theirs]),
    )
    for node in nodes:
        assert count(two.crowd, two.account, node) == count(two.alone, two.account, node)
        rows = members(two.crowd, two.account, node).rows
        assert rows == members(two.alone, two.account, node).rows, write(node)
    assert count(two.crowd, two.account, nodes[0]) == (0, 0)
    assert count(two.crowd, two.account, nodes[4]).people


def test_saved_segments_are_known_to_their_account_alone(two: Two) -> None:
    store = SegmentStore(two.urls[1])
    own = truth_of(two.world, two.account).campaigns
    for twin in TWINS:
        store.save(twin, "Everybody", People(own[:1]), NOW)
        assert count(two.crowd, twin, Saved("Everybody"))
    for name in ("Everybody", *HOSTILE):
        with pytest.raises(InvalidQuery, match="no segment is saved"):
            count(two.crowd, two.account, Saved(name))
        assert store.get(two.account, name) is None
        assert not store.delete(two.account, name, NOW)
    assert store.list(two.account) == []
    assert [one.name for one in store.list(TWINS[1])] == ["Everybody"]
    store.close()


def test_hostile_names_are_kept_as_they_are(two: Two) -> None:
    store = SegmentStore(two.urls[1])
    names = sorted(name for name in HOSTILE if name.isprintable())
    for name in names:
        store.save("zz-names", name, People([name]), NOW)
    assert [one.name for one in store.list("zz-names")] == names
    assert [one.definition for one in store.list("zz-names")] == [People([name]) for name in names]
    for name in names:
        assert store.delete("zz-names", name, NOW)
    assert store.list("zz-names") == []
    store.close()
