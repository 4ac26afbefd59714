"""People, clicks, suppressed numbers and one-time codes, in a small account made by hand."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from click.testing import CliRunner
from starlette.testclient import TestClient

from deploy.cli import cli
from reports.catalogue import BY_NAME, REPORTS
from reports.definition.audience import Action
from reports.exports import FORMATS, export
from reports.pages.app import app
from reports.query.database import Database
from reports.query.fetch import left_out
from reports.query.lookups import text_of
from reports.query.nothing import nothing_found
from reports.query.query import InvalidQuery, ReportQuery, parse_query
from reports.query.render_sql import render_sql
from reports.segments.members import count, members
from reports.segments.model import People
from reports.views import statements
from sinks.client import connect
from sinks.migrate import migrate
from tests.support.front import Front

ACCOUNT, TOKEN = "hand", "a-token-of-this-account"
NOW = datetime(2026, 11, 20, 18, tzinfo=UTC)
BRAZIL, OLD_BRAZIL = "+5582999448232", "+558299448232"
BRITON, USER = "+447521191830", "US.13491208655302741918"
LOST = "+447700900111"
CODE = "770172"

MESSAGES = [
    # message_id, channel, recipient, person, status, sent, delivered, campaign, source
    ("br", "whatsapp", BRAZIL, BRAZIL, "delivered", 0, 10, "spring/2026", "campaign"),
    ("gb", "sms", BRITON, BRITON, "delivered", 60, 70, "spring/2026", "campaign"),
    ("u", "whatsapp", USER, USER, "delivered", 90, 95, "spring/2026", "campaign"),
    ("no", "sms", LOST, LOST, "undelivered", 120, 0, "spring/2026", "campaign"),
    ("otp", "sms", BRITON, BRITON, "delivered", 200, 201, "", "verification"),
    ("api", "sms", BRITON, BRITON, "delivered", 210, 211, "", "open_api_verification"),
    ("hi", "sms", BRITON, BRITON, "delivered", 220, 221, "", "direct"),
]
TEXTS = {
    "otp": ("verification", f"{CODE} is your code. Do not share it."),
    "api": ("open_api_verification", f"Use {CODE} to log in"),
    "hi": ("direct", "Your parcel is here"),
}
#: event_id, type, seconds after the first send, message_id, recipient, person, link, automated
EVENTS = [
    ("k1", "click", 300, "br", "", "", "l1", False),
    ("k2", "click", 400, "br", OLD_BRAZIL, BRAZIL, "l1", False),
    ("k3", "click", 500, "br", "+15005550006", "+15005550006", "l1", False),
    ("known", "click", 600, "gb", "", "", "l1", True),
    ("preview", "click", 72, "gb", "", "", "l1", False),
    ("early", "click", 68.5, "gb", "", "", "l1", False),
    ("scan1", "click", 700, "gb", "", "", "l1", False),
    ("scan2", "click", 701, "gb", "", "", "l2", False),
    ("same", "click", 97.001, "u", "", "", "l3", False),
    ("goal", "conversion", 800, "br", "", "", "", False),
    ("goal2", "conversion", 900, "br", OLD_BRAZIL, BRAZIL, "", False),
    ("stop", "unsubscribe", 950, "br", OLD_BRAZIL, BRAZIL, "", False),
]  # fmt: skip


def _time(seconds: float) -> str:
    moment = NOW - timedelta(hours=2) + timedelta(seconds=seconds)
    return f"'{moment:%Y-%m-%d %H:%M:%S}.{moment.microsecond // 1000:03}'"


def _message(
    name: str,
    channel: str,
    number: str,
    person: str,
    status: str,
    sent: int,
    delivered: int,
    campaign: str,
    source: str,
) -> str:
    failure = "'', '', ''" if delivered else "'hard', 'other', 'The words of the provider'"
    return (
        f"('{ACCOUNT}', '{name}', '{channel}', 'outbound', '{number}', '{person}', '{status}',"
        f" {failure}, {_time(sent)}, {_time(delivered) if delivered else 0}, '{campaign}',"
        f" '{source}', 'CRM-{name}', 'Maria.{name}@Mail.example', 1)"
    )


def _fill(url: str) -> None:
    clickhouse = connect(url)
    migrate(clickhouse, 90, views=statements())

    def insert(table: str, columns: str, rows: list[str]) -> None:
        clickhouse.command(f"INSERT INTO {table} ({columns}) VALUES {', '.join(rows)}")

    insert(
        "messages",
        "account, message_id, channel, direction, recipient, person, status, bounce, fail_reason,"
        " error_text, sent_at, delivered_at, campaign_id, source, external_id, email, version",
        [_message(*one) for one in MESSAGES],
    )
    insert(
        "status_counters",
        "kind, account, window_start, campaign_id, delivered",
        [f"('campaign', '{ACCOUNT}', '{NOW:%Y-%m-%d}', 'spring/2026', 3)"],
    )
    insert(
        "message_texts",
        "account, message_id, attempt, sent_at, text, source",
        [
            f"('{ACCOUNT}', '{name}', 1, {_time(200)}, '{text}', '{source}')"
            for name, (source, text) in TEXTS.items()
        ],
    )
    insert(
        "engagements",
        "account, event_id, type, occurred_at, message_id, recipient, person, link_id, automated",
        [
            f"('{ACCOUNT}', '{name}', '{kind}', {_time(at)}, '{message}', '{recipient}',"
            f" '{person}', '{link}', {automated})"
            for name, kind, at, message, recipient, person, link, automated in EVENTS
        ],
    )
    insert(
        "suppression_records",
        "account, recipient, suppressed, reasons, since, strikes, channel, binds",
        [
            f"('{ACCOUNT}', '{BRAZIL}', true, ['unsubscribed'], {_time(950)}, 0, 'whatsapp',"
            " 'marketing')",
            f"('{ACCOUNT}', '{BRITON}', true, ['hard_bounces', 'manual'], {_time(100)}, 2,"
            " 'whatsapp', 'all')",
        ],
    )
    insert(
        "suppression_requests",
        "account, recipient, at, action, who, why, channel",
        [
            f"('{ACCOUNT}', '{BRAZIL}', {_time(950)}, 'unsubscribe', 'recipient', 'message br',"
            " 'whatsapp')",
            f"('{ACCOUNT}', '{BRITON}', {_time(100)}, 'suppress', 'anna', 'complaint', '')",
        ],
    )
    insert(
        "strikes",
        "account, recipient, sent_at, message_id, struck, occurred_at, code, channel",
        [
            f"('{ACCOUNT}', '{BRITON}', {_time(-500)}, 's1', true, {_time(-400)}, '7', 'whatsapp')",
            f"('{ACCOUNT}', '{BRITON}', {_time(-300)}, 's2', true, {_time(-200)}, '7', 'whatsapp')",
            f"('{ACCOUNT}', '{BRITON}', {_time(-300)}, 's3', true, {_time(-200)}, '7', 'sms')",
        ],
    )
    clickhouse.close()


@pytest.fixture(scope="module")
def url(reports_front: Front) -> str:
    """ClickHouse with the account."""
    url = reports_front.url("people_by_hand")
    _fill(url)
    return url


@pytest.fixture(scope="module")
def database(url: str) -> Iterator[Database]:
    database = Database(url)
    yield database
    database.close()


@pytest.fixture(scope="module")
def client(url: str) -> Iterator[TestClient]:
    """The pages."""
    pages = app(url, {TOKEN: ACCOUNT}, lambda: NOW)
    with TestClient(pages, headers={"authorization": f"Bearer {TOKEN}"}) as client:
        yield client


def query_of(report: str, *, all_texts: bool = False, **params: str) -> ReportQuery:
    texts = {name: [text] for name, text in params.items()}
    return parse_query(BY_NAME[report], ACCOUNT, "UTC", texts, NOW, all_texts=all_texts)


def rows_of(database: Database, query: ReportQuery, section: str = "") -> list[dict[str, Any]]:
    wanted = query.report.section(section)
    return database.rows(query.sql(wanted), query.parameters(wanted)).records()


def ids(rows: list[dict[str, Any]]) -> set[str]:
    return {row["message_id"] for row in rows}


def run(url: str, *words: str) -> Any:
    """A command in this process, about the days of the account."""
    return CliRunner().invoke(
        cli, [*words, f"--account={ACCOUNT}"], env={"RECEIPTS_CLICKHOUSE_URL": url}
    )


# --- numbers as people write them ------------------------------------------------------------

SPELLINGS = (
    "+447521191830", "447521191830", " 447521191830", "+44 7521 191830", "00447521191830",
    "+44 (0)7521-191830", "(+44) 7521.191.830", "0044 (0) 7521 191830", "+44\u00a07521\u2013191830",
)  # fmt: skip


@pytest.mark.parametrize("written", SPELLINGS)
def test_a_number_is_found_however_it_is_written(database: Database, written: str) -> None:
    theirs = {"gb", "otp", "api", "hi"}
    assert ids(rows_of(database, query_of("person", person=written))) == theirs
    for report, wanted in (("messages", theirs), ("singles", theirs - {"gb"})):
        assert ids(rows_of(database, query_of(report, recipient=written))) == wanted
    (row,) = rows_of(database, query_of("suppressions", recipient=written), "numbers")
    assert row["recipient"] == BRITON


@pytest.mark.parametrize("written", [BRAZIL, OLD_BRAZIL, "55 82 9944-8232", "+55 (82) 99944-8232"])
def test_all_spellings_are_one_person(database: Database, written: str) -> None:
    assert ids(rows_of(database, query_of("person", person=written))) == {"br"}
    assert ids(rows_of(database, query_of("whatsapp", recipient=written))) == {"br"}
    assert len(rows_of(database, query_of("suppressions", recipient=written), "numbers")) == 1


@pytest.mark.parametrize(
    ("params", "found"),
    [
        ({"person": "maria.GB@mail.EXAMPLE"}, {"gb"}),
        ({"person": "crm-hi"}, {"hi"}),
        ({"person": "Crm-HI", "identifier": "external_id"}, {"hi"}),
        ({"person": USER}, {"u"}),
        ({"person": USER, "identifier": "number"}, {"u"}),
    ],
)
def test_mail_addresses_and_ids_are_found_in_any_case(
    database: Database, params: dict[str, str], found: set[str]
) -> None:
    assert ids(rows_of(database, query_of("person", **params))) == found


@pytest.mark.parametrize(
    ("report", "params"),
    [
        ("person", {"person": "07521191830"}),
        ("person", {"person": "+44 7521 19183x"}),
        ("person", {"person": "crm-1", "identifier": "number"}),
        ("messages", {"recipient": "07521 191830"}),
        ("singles", {"recipient": "Maria"}),
        ("whatsapp", {"recipient": "12"}),
        ("suppressions", {"recipient": "0752119"}),
    ],
)
def test_what_is_no_number_is_a_marked_mistake(
    url: str, client: TestClient, report: str, params: dict[str, str]
) -> None:
    with pytest.raises(InvalidQuery) as refused:
        query_of(report, **params)
    (issue,) = refused.value.issues
    name, text = next(iter(params.items()))
    assert issue.where == name
    answer = client.get(f"/{report}", params=params)
    assert answer.status_code == 400
    assert "Write it with + and the country&#39;s code, such as +358401234567" in answer.text
    assert f'value="{text}"' in answer.text
    assert 'aria-invalid="true"' in answer.text
    options = [f"--{name.replace('_', '-')}={value}" for name, value in params.items()]
    done = run(url, "report", report, *options)
    assert done.exit_code == 2
    assert f"receipts: --{name}: '{text}' is not a number with a country code. Fix: " in done.stderr


@pytest.mark.parametrize(
    ("search", "found"),
    [
        ("7521 191-830", {BRITON}), ("+44 (0)7521", {BRITON}), ("00447521", {BRITON}),
        ("9944 8232", {BRAZIL}), ("crm-GB", {BRITON}), ("maria.u@", {USER}),
        ("55 82 9944-8232", {BRAZIL}),
    ],
)  # fmt: skip
def test_a_search_needs_no_separators(database: Database, search: str, found: set[str]) -> None:
    query = query_of("recipients", campaign="spring/2026", search=search, with_suppressed="yes")
    assert {row["recipient"] for row in rows_of(database, query)} == found


def test_what_was_looked_for_is_named(url: str, client: TestClient) -> None:
    unknown = "+358401234567"
    assert nothing_found(query_of("person", person="00358 40 1234567")) == (
        f"No message to {unknown} in these 30 days."
    )
    assert (
        f"No message to {unknown} in these 30 days."
        in client.get("/person?person=358401234567").text
    )
    text = client.get("/messages?recipient=358401234567&channel=sms").text
    assert f"No message to {unknown} in these 7 days matches the other filters." in text
    text = client.get("/suppressions?recipient=358401234567").text
    assert f"No suppression of {unknown}." in text
    done = run(url, "report", "person", "--person=358 40 1234567")
    assert f"No message to {unknown} in these 30 days." in done.output


# --- clicks -----------------------------------------------------------------------------------


def test_clicks_are_of_people_or_automated(database: Database) -> None:
    (totals,) = rows_of(database, query_of("campaign", campaign="spring/2026"), "totals")
    assert totals["clicks"] == len(["k1", "k2", "k3", "same"])
    assert totals["automated_clicks"] == len(["known", "preview", "early", "scan1", "scan2"])
    assert totals["unique_clicks"] == len([BRAZIL, USER])
    assert totals["unsubscribes"] == totals["conversions"] == 1
    links = rows_of(database, query_of("campaign", campaign="spring/2026"), "links")
    assert [(one["link_id"], one["clicks"], one["automated_clicks"]) for one in links] == [
        ("l1", 3, 4), ("l3", 1, 0), ("l2", 0, 1),
    ]  # fmt: skip
    (listed,) = rows_of(database, query_of("campaigns"))
    for name in ("clicks", "automated_clicks", "unique_clicks"):
        assert listed[name] == totals[name]


@pytest.mark.parametrize(
    ("did", "found"),
    [
        ("clicked", {BRAZIL, USER}),
        ("not_clicked", {BRITON}),
        ("delivered", {BRAZIL, BRITON, USER}),
        ("unsubscribed", {BRAZIL}),
        ("suppressed", {BRAZIL}),
    ],
)
def test_not_clicked_is_delivered_and_not_clicked_by_a_person(
    database: Database, did: Action, found: set[str]
) -> None:
    query = query_of("recipients", campaign="spring/2026", tab=did, with_suppressed="yes")
    assert {row["recipient"] for row in rows_of(database, query)} == found
    rows = members(database, ACCOUNT, People(["spring/2026"], did), with_suppressed=True).records()
    assert {row["recipient"] for row in rows} == found
    if did == "not_clicked":
        negated = People(["spring/2026"], "clicked", True)
        rows = members(database, ACCOUNT, negated, with_suppressed=True).records()
        assert {row["recipient"] for row in rows} == found


# --- suppressed people ------------------------------------------------------------------------


def test_suppressed_people_are_marked_and_left_out_by_channel(database: Database, url: str) -> None:
    """The Briton is suppressed on WhatsApp only, and the campaign reached them by SMS."""
    whole = query_of("recipients", campaign="spring/2026", with_suppressed="yes")
    marked = {row["recipient"]: row["suppressed"] for row in rows_of(database, whole)}
    assert marked == {BRAZIL: "whatsapp", BRITON: "whatsapp", USER: "", LOST: ""}
    query = query_of("recipients", campaign="spring/2026")
    assert {row["recipient"] for row in rows_of(database, query)} == marked.keys() - {BRAZIL}
    assert left_out(database, query) == 1
    node = People(["spring/2026"])
    assert count(database, ACCOUNT, node) == (3, 1)
    assert count(database, ACCOUNT, People(["spring/2026"], channel="sms")) == (2, 0)
    rows = members(database, ACCOUNT, node).records()
    assert {row["recipient"]: row["suppressed"] for row in rows} == {
        number: text for number, text in marked.items() if number != BRAZIL
    }
    done = run(url, "report", "recipients", "--campaign=spring/2026", "--format=csv")
    assert BRAZIL not in done.stdout and BRITON in done.stdout
    assert done.stderr == "1 suppressed person is left out. With them: --with-suppressed yes\n"
    words = ("--campaign=spring/2026", "--format=csv", "--with-suppressed=yes")
    done = run(url, "report", "recipients", *words)
    assert BRAZIL in done.stdout and done.stderr == ""


def test_pages_show_suppressed_people_and_files_leave_them_out(client: TestClient) -> None:
    page = client.get("/recipients?campaign=spring/2026").text
    assert BRAZIL in page
    assert "Files leave out 1 suppressed person." in page
    assert BRAZIL not in client.get("/export/recipients.csv?campaign=spring/2026").text
    whole = "/export/recipients.csv?campaign=spring/2026&with_suppressed=yes"
    assert BRAZIL in client.get(whole).text


def test_the_page_of_a_person_says_why_they_are_suppressed(
    client: TestClient, database: Database
) -> None:
    rows = rows_of(database, query_of("person", person=BRITON), "suppressions")
    assert [(row["channel"], row["binds"], row["why"]) for row in rows] == [
        ("whatsapp", "all", "2 hard bounces (messages s2, s1); by hand (anna: complaint)")
    ]
    rows = rows_of(database, query_of("person", person="maria.br@mail.example"), "suppressions")
    assert [(row["recipient"], row["binds"], row["why"]) for row in rows] == [
        (BRAZIL, "marketing", "unsubscribed (message br)")
    ]
    text = client.get(f"/person?person={OLD_BRAZIL[1:]}").text
    assert f"{BRAZIL} is suppressed by whatsapp since 20 Nov 2026, 16:15:50: unsubscribed" in text
    assert "Verification messages may be sent." in text
    assert "is suppressed" not in client.get(f"/person?person={USER}").text


def test_suppressions_are_all_without_a_period(
    client: TestClient, database: Database, url: str
) -> None:
    for params, wanted in (
        ({}, {BRAZIL, BRITON}), ({"channel": "sms"}, set()), ({"until": "2026-11-01"}, set()),
        ({"since": "2026-11-20"}, {BRAZIL, BRITON}), ({"reason": "manual"}, {BRITON}),
    ):  # fmt: skip
        rows = rows_of(database, query_of("suppressions", **params), "numbers")
        assert {row["recipient"] for row in rows} == wanted
    text = client.get("/suppressions").text
    assert re.search(r"Suppressed numbers</button>.*?<dd>\s*2\s*<", text, re.DOTALL)
    assert 'aria-current="true">All</a>' in text
    assert "1970" not in text
    csv = client.get("/export/suppressions.csv?section=numbers")
    assert (
        csv.headers["content-disposition"] == 'attachment; filename="suppressions-numbers-hand.csv"'
    )
    assert {BRAZIL, BRITON} <= {line.split(",")[0].strip('"') for line in csv.text.splitlines()}
    done = run(url, "report", "suppressions", "--section=numbers", "--format=csv")
    assert done.stdout.count("\n") == 3


# --- one-time codes ---------------------------------------------------------------------------


def test_no_code_is_on_a_page_in_a_file_or_in_a_view(
    client: TestClient, database: Database
) -> None:
    """Every report with every column, and the base views."""
    params = {"campaign": "spring/2026", "person": BRITON, "message_id": "otp", "content": "yes"}
    seen = ""
    for report in REPORTS:
        own = {one.name: params[one.name] for one in report.own_filters if one.name in params}
        query = query_of(report.name, **own)
        for section in report.sections:
            seen += str(database.rows(render_sql(section, query.parameters(section)), {}).rows)
            pieces = export(FORMATS["json"], database, [section], query, ["all"])
            seen += b"".join(pieces).decode()
        seen += client.get(f"/{report.name}", params=own).text
    for view in ("reported_texts", "message_texts_current"):
        rows = database.rows(f"SELECT * FROM {view}", {}).rows
        assert any("Your parcel" in str(row) for row in rows)
        seen += str(rows)
    for message in ("otp", "api"):
        text = client.get(f"/text?message_id={message}").text
        assert "their texts are not shown" in text
        seen += text
    assert "Your parcel is here" in seen
    assert not re.search(r"\b[0-9]{6} is your code|Use [0-9]{6}", seen)
    assert CODE not in seen


def test_codes_are_shown_where_the_installation_allows_it(database: Database, url: str) -> None:
    for report in ("messages", "singles"):
        params = {"content": "yes"} if report == "messages" else {}
        rows = rows_of(database, query_of(report, all_texts=True, **params))
        contents = {row["message_id"]: row["content"] for row in rows}
        assert [CODE in contents[name] for name in ("otp", "api", "hi")] == [True, True, False]
    assert CODE in str(text_of(database, ACCOUNT, "otp", all_texts=True))
    pages = app(url, {TOKEN: ACCOUNT}, lambda: NOW, all_texts=True)
    with TestClient(pages, headers={"authorization": f"Bearer {TOKEN}"}) as client:
        assert CODE in client.get("/text?message_id=api").text
        assert CODE in client.get("/singles").text
    words = [
        "report",
        "singles",
        f"--account={ACCOUNT}",
        "--since=2026-11-20",
        "--until=2026-11-20",
    ]
    for shown in ("true", "false"):
        env = {"RECEIPTS_CLICKHOUSE_URL": url, "RECEIPTS_SHOW_VERIFICATION_TEXT": shown}
        done = CliRunner().invoke(cli, [*words, "--format=json", "--columns=all"], env=env)
        assert done.exit_code == 0, done.output
        assert (CODE in done.stdout) == (shown == "true")


# --- reasons and ids --------------------------------------------------------------------------


def test_reasons_begin_with_a_capital_and_other_has_the_providers_words(client: TestClient) -> None:
    text = client.get(f"/messages?recipient={LOST[1:]}").text
    assert "Other: The words of the provider" in text
    text = client.get("/failed?campaign=spring/2026").text
    assert "Other: The words of the provider" in text
    assert ">other<" not in text


def test_a_slash_in_an_id_leads_everywhere(client: TestClient, database: Database) -> None:
    text = client.get("/campaigns").text
    to = re.search(r'href="(/campaign\?campaign=[^"]+)"', text)
    assert to and to[1] == "/campaign?campaign=spring%2F2026"
    for path in (
        to[1],
        "/recipients?campaign=spring%2F2026&tab=clicked",
        "/failed?campaign=spring/2026",
    ):
        answer = client.get(path)
        assert answer.status_code == 200
        assert "spring/2026" in answer.text
    answer = client.get("/export/campaign.csv?campaign=spring%2F2026&section=links")
    assert 'filename="campaign-links-hand-spring_2026.csv"' in answer.headers["content-disposition"]
    query = query_of("recipients", campaign="spring/2026", link="l1", with_suppressed="yes")
    assert {row["recipient"] for row in rows_of(database, query)} == {BRAZIL}
    pieces = export(FORMATS["json"], database, query.report.sections, query)
    assert json.loads(b"".join(pieces))["asked"]["campaign"] == "spring/2026"
