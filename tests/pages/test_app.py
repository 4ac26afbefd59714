"""The pages without a browser: who may see what, headers, mistakes, and a database that is away."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterator
from http.cookies import SimpleCookie
from urllib.parse import parse_qs, urlsplit

import pytest
from httpx2 import Response
from starlette import formparsers
from starlette.testclient import TestClient

from reports.catalogue import REPORTS
from reports.exports import FORMATS
from reports.pages.app import app
from reports.pages.auth.tokens import MAX_FAILURES
from reports.pages.report.drilldown import of_figure
from reports.pages.report.params import PageParams
from reports.pages.report.tabs import tabs_of
from reports.query.database import Database
from sinks.client import connect
from tests.pages.asking import campaign, paths, query_of, rows, struck_account, totals
from tests.pages.conftest import ACCOUNT, NOBODY, Served, token_of

OTHER = "edu_hub"
OURS = "http://pages.example"


def client_of(served: Served, account: str | None = None) -> TestClient:
    """A program; signed in when an account is given."""
    headers = {"authorization": f"Bearer {token_of(account)}"} if account else {}
    return TestClient(served.app, base_url=OURS, headers=headers, follow_redirects=False)


@pytest.fixture
def client(served: Served) -> Iterator[TestClient]:
    with client_of(served, ACCOUNT) as client:
        yield client


@pytest.fixture
def stranger(served: Served) -> Iterator[TestClient]:
    with client_of(served) as client:
        yield client


def sign_in(client: TestClient, account: str, **more: str) -> Response:
    data = {"token": token_of(account), **more}
    return client.post("/sign-in", data=data, headers={"origin": OURS})


# --- who may see what -----------------------------------------------------------------------------


def test_nobody_sees_anything_without_signing_in(stranger: TestClient) -> None:
    closed = [f"/{report.name}" for report in REPORTS]
    closed += [f"/export/{report.name}.csv" for report in REPORTS]
    closed += ["/", "/search?q=x", "/text?message_id=x", "/segments", "/no-such-page"]
    for path in closed:
        answer = stranger.get(path)
        assert (answer.status_code, answer.headers["location"][:8]) == (303, "/sign-in"), path
    assert stranger.get("/healthz").text == "ok\n"


def test_a_wrong_token_is_refused_and_guessing_is_slowed_down(served: Served) -> None:
    tokens = {token_of(ACCOUNT): ACCOUNT}
    with TestClient(app(served.world.url, tokens), base_url=OURS) as client:
        for _ in range(MAX_FAILURES):
            wrong = client.get("/overview", headers={"authorization": "Bearer wrong"})
            assert wrong.status_code == 401
        waiting = client.get("/overview", headers={"authorization": "Bearer wrong"})
        form = client.post("/sign-in", data={"token": "wrong"}, headers={"origin": OURS})
        for answer in (waiting, form):
            assert answer.status_code == 429
            assert 0 < int(answer.headers["retry-after"]) <= 61


def test_the_guesses_of_others_lock_nobody_out(served: Served) -> None:
    tokens = {token_of(ACCOUNT): ACCOUNT}
    with TestClient(app(served.world.url, tokens), base_url=OURS, follow_redirects=False) as client:
        for _ in range(2 * MAX_FAILURES):
            client.get("/overview", headers={"authorization": "Bearer wrong"})
        right = {"authorization": f"Bearer {token_of(ACCOUNT)}"}
        assert client.get("/overview", headers=right).status_code == 200
        assert sign_in(client, ACCOUNT).status_code == 303


@pytest.mark.parametrize("path", ["/sign-in", "/segments", "/segments/delete"])
@pytest.mark.parametrize("has_length", [True, False])
def test_nothing_longer_than_a_form_is_read(
    client: TestClient, path: str, has_length: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept: list[int] = []
    monkeypatch.setattr(
        formparsers, "SpooledTemporaryFile", lambda max_size: kept.append(max_size) or io.BytesIO()
    )
    head = b'--x\r\ncontent-disposition: form-data; name="token"%s\r\n\r\n'
    headers = {"origin": OURS, "content-type": "multipart/form-data; boundary=x"}

    def post(named: bytes, size: int) -> int:
        body = head % named + b"a" * size + b"\r\n--x--\r\n"
        content = body if has_length else iter([body])
        return client.post(path, content=content, headers=headers).status_code

    assert post(b"", 1_000_000) == 413
    assert post(b"", 1_000) != 413
    file = b'; filename="a"'
    assert post(file, 1_000_000) == 413
    assert post(file, 1_000) == 400
    assert not kept


def test_a_session_is_that_of_its_token_and_outlives_a_restart(served: Served) -> None:
    tokens = {token_of(ACCOUNT): ACCOUNT, token_of(OTHER): OTHER}
    with TestClient(app(served.world.url, tokens), base_url=OURS) as first:
        sign_in(first, ACCOUNT)
        cookies = dict(first.cookies)
    again = TestClient(app(served.world.url, tokens), cookies=cookies, follow_redirects=False)
    assert f"<span>{ACCOUNT}</span>" in again.get("/overview").text
    changed = {"another-token-0123456789": ACCOUNT, token_of(OTHER): OTHER}
    ended = TestClient(app(served.world.url, changed), cookies=cookies, follow_redirects=False)
    assert ended.get("/overview").status_code == 303


def test_a_session_cannot_be_made_up(served: Served, stranger: TestClient) -> None:
    sign_in(stranger, ACCOUNT)
    session = stranger.cookies["receipts_session"]
    _, moment, signature = session.rsplit(".", 2)
    for made_up in (f"{OTHER}.{moment}.{signature}", f"{ACCOUNT}.{moment}.{signature[:-2]}AA", "x"):
        visitor = client_of(served)
        visitor.cookies.set("receipts_session", made_up)
        assert visitor.get("/overview").status_code == 303, made_up


def test_the_cookie_is_for_this_site_and_no_script(stranger: TestClient) -> None:
    answer = stranger.post("/sign-in", data={"token": token_of(ACCOUNT)}, headers={"origin": OURS})
    cookie = SimpleCookie(answer.headers["set-cookie"])["receipts_session"]
    assert (cookie["httponly"], cookie["samesite"], cookie["secure"]) == (True, "strict", "")
    secure = TestClient(stranger.app, base_url="https://pages.example", follow_redirects=False)
    answer = secure.post(
        "/sign-in", data={"token": token_of(ACCOUNT)}, headers={"origin": "https://pages.example"}
    )
    assert SimpleCookie(answer.headers["set-cookie"])["receipts_session"]["secure"] is True


@pytest.mark.parametrize("path", ["//evil.example", "https://evil.example", "/\\evil.example"])
def test_signing_in_leads_nowhere_else(stranger: TestClient, path: str) -> None:
    data = {"token": token_of(ACCOUNT), "next": path}
    answer = stranger.post("/sign-in", data=data, headers={"origin": OURS})
    assert answer.headers["location"] == "/"


@pytest.mark.parametrize("origin", [None, "http://evil.example", "null"])
def test_other_sites_can_change_nothing(stranger: TestClient, origin: str | None) -> None:
    headers = {"origin": origin} if origin else {}
    for path in ("/sign-in", "/sign-out"):
        answer = stranger.post(path, data={"token": token_of(ACCOUNT)}, headers=headers)
        assert answer.status_code == 403
        assert "set-cookie" not in answer.headers


def test_the_account_is_that_of_the_token_whatever_the_address_says(client: TestClient) -> None:
    own = client.get("/overview").text
    assert figures_in(client.get(f"/overview?account={OTHER}").text) == figures_in(own)


def test_another_account_sees_nothing_of_this_one(served: Served) -> None:
    world = served.world
    numbers = {
        one.recipient for (owner, _), one in world.expected.messages.items() if owner == ACCOUNT
    }
    ids = {name for owner, name in world.expected.messages if owner == ACCOUNT}
    message = next(iter(ids))
    addresses = [*paths(world), f"/text?message_id={message}"]
    addresses += [path.replace("/", "/export/", 1).replace("?", ".csv?") for path in paths(world)
                  if "?" in path]  # fmt: skip
    with client_of(served, NOBODY) as client:
        for path in addresses:
            text = client.get(path).text
            rest = text.replace(f"{message}</h1>", "").replace(f"Content of {message}", "")
            shown = set(re.findall(r"\+\d{8,}|[a-z]-[0-9a-f]{7}", rest))
            query = {path.partition("%2B")[2], path.partition("message_id=")[2][1:]}
            assert not {one for one in shown & (numbers | ids) if one[1:] not in query}, path
            assert "The text of this message is not stored" in text or not path.startswith("/text")


# --- headers and mistakes ------------------------------------------------------------------------


def test_headers_of_protection_are_everywhere(client: TestClient, stranger: TestClient) -> None:
    answers = [client.get(path) for path in ("/overview", "/no-such-page", "/overview?since=x")]
    answers += [stranger.get(path) for path in ("/sign-in", "/overview", "/static/pages.js")]
    for answer in answers:
        policy = answer.headers["content-security-policy"]
        assert "default-src 'self'" in policy
        assert "frame-ancestors 'none'" in policy
        assert "unsafe" not in policy
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["referrer-policy"] == "same-origin"
    assert {one.headers.get("cache-control") for one in answers[:-1]} == {"no-store"}


def test_only_reading_is_answered(client: TestClient) -> None:
    assert client.head("/overview").status_code == 200
    for method in ("POST", "PUT", "DELETE"):
        assert client.request(method, "/overview").status_code == 405


def test_a_page_that_is_not_there_says_so(client: TestClient) -> None:
    answer = client.get("/no-such-page")
    assert (answer.status_code, "There is no such page" in answer.text) == (404, True)


def test_wrong_filters_are_said_at_their_fields_and_nothing_is_lost(client: TestClient) -> None:
    answer = client.get("/overview?since=yesterday&channel=smoke&source=direct&source=moon&x=1")
    assert answer.status_code == 400
    for words in (
        "is not a date. Write it as 2026-11-22.",
        "smoke is not known",
        "moon is not known",
        "is not a filter of this report",
        'value="yesterday"',
        'value="direct" checked',
        'value="moon" checked',
        '<option value="smoke" selected>',
    ):
        assert words in answer.text, words


def test_what_people_write_stays_text(client: TestClient, served: Served) -> None:
    own, hostile = campaign(served.world), '<script>alert(1)</script>"'
    for column in ("name", "audience", "creator"):
        served.command(
            f"INSERT INTO campaigns SELECT * REPLACE ('{hostile}' AS {column},"
            " version + 1 AS version) FROM campaigns FINAL"
            f" WHERE account = '{ACCOUNT}' AND campaign_id = '{own}'"
        )
    for path in (f"/campaign?campaign={own}", "/campaigns", f"/recipients?campaign={own}"):
        text = client.get(path).text
        assert "&lt;script&gt;alert(1)&lt;/script&gt;" in text, path
        assert "<script>alert" not in text, path
    text = client.get(f"/messages?recipient={hostile}&sent_by={hostile}").text
    assert "<script>alert" not in text


# --- what is shown -------------------------------------------------------------------------------


def figures_in(text: str) -> dict[str, str]:
    """Figures of a page by their label."""
    found = re.findall(
        r'<button[^>]*class="term"[^>]*>([^<]+)</button>.*?<dd>\s*(?:<a[^>]*>)?([^<]+?)\s*<',
        text,
        re.DOTALL,
    )
    return {label: value.strip() for label, value in reversed(found)}


def test_the_overview_shows_what_is_true(client: TestClient, served: Served) -> None:
    for last in ("3", "7", "30"):
        truth = totals(served.world, last=[last])
        shown = figures_in(client.get(f"/overview?last={last}").text)
        for label, name in (("Sent", "sent"), ("Submitted", "submitted"), ("Hard bounces", "hard"),
                            ("Undelivered", "undelivered"), ("Rejected", "rejected")):  # fmt: skip
            assert shown[label] == f"{truth[name]:,}", (last, label)


def test_tabs_count_what_they_list(served: Served) -> None:
    world, own = served.world, campaign(served.world)
    link = rows(world, query_of(world, "campaign", campaign=[own]), "links")[0]["link_id"]
    for params in ({"campaign": [own]}, {"campaign": [own], "link": [link]},
                 {"campaign": [own], "search": ["1"], "channel": ["sms"]}):  # fmt: skip
        params = {**params, "with_suppressed": ["yes"]}
        query = query_of(world, "recipients", **params)
        counts = {tab.name: tab.count for tab in tabs_of(world.database, query, PageParams(params))}
        listed = {
            tab: len(rows(world, query_of(world, "recipients", **params, tab=[tab])))
            for tab in counts
        }
        assert counts == listed
        assert counts["clicked"] > 0


@pytest.mark.parametrize("params", [{}, {"channel": ["whatsapp"]}, {"source": ["direct"]}])
def test_figures_of_the_overview_lead_to_as_many_messages(
    served: Served, params: dict[str, list[str]]
) -> None:
    world, query = served.world, query_of(served.world, "overview", last=["30"], **params)
    led = 0
    for section in (query.report.section(name) for name in ("totals", "whatsapp")):
        (record,) = rows(world, query, section.name)
        for column in section.columns:
            words = parse_qs(urlsplit(of_figure(section, column, query)).query)
            if words:
                listed = rows(world, query_of(world, "messages", **words))
                assert len(listed) == record[column.name], (section.name, column.name)
                led += bool(listed)
    assert led > 4


def test_messages_of_a_channel_nobody_asks_for_are_not_led_to(served: Served) -> None:
    query = query_of(served.world, "overview", channel=["sms"])
    section = query.report.section("whatsapp")
    assert [of_figure(section, column, query) for column in section.columns] == [""] * 5


def test_every_figure_and_column_tells_its_meaning(client: TestClient, served: Served) -> None:
    for path in paths(served.world):
        text = client.get(path).text
        described = re.findall(r'class="term" aria-describedby="([^"]+)"', text)
        explained = dict(re.findall(r'role="tooltip" popover="manual" id="([^"]+)">([^<]+)<', text))
        assert described, path
        assert set(described) == set(explained), path
        assert len(described) == len(set(described)), path


def test_exports_hold_the_same_rows(client: TestClient, served: Served) -> None:
    wanted = rows(served.world, query_of(served.world, "messages", last=["7"]))
    answer = client.get("/export/messages.csv?last=7")
    assert answer.headers["content-disposition"].startswith('attachment; filename="messages-')
    found = list(csv.DictReader(io.StringIO(answer.text)))
    assert [one["message_id"] for one in found] == [one["message_id"] for one in wanted]
    assert len(wanted) > 500
    assert client.get("/export/messages.exe").status_code == 404
    assert client.get("/export/messages.csv?since=x").status_code == 400


def test_an_unknown_section_is_refused_with_the_known_ones(client: TestClient) -> None:
    for name in ("overview.json", "overview.xlsx", "overview.csv"):
        answer = client.get(f"/export/{name}?section=totals&section=nope")
        assert answer.status_code == 400, name
        for words in ("section: &#39;nope&#39; is not a section of", "whatsapp_slots"):
            assert words in answer.text, name
    answer = client.get("/export/messages.csv?section=nope")
    assert (answer.status_code, "there is only one" in answer.text) == (400, True)


def test_asking_about_a_file_does_not_make_it(
    client: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    for form in FORMATS:
        path = f"/export/messages.{form}?last=7"
        made = client.get(path)
        with monkeypatch.context() as patched:
            patched.delattr(Database, "blocks")
            head = client.head(path)
        assert head.status_code == 200
        assert head.content == b""
        for name in ("content-type", "content-disposition"):
            assert head.headers[name] == made.headers[name]


def test_where_nothing_is_the_page_says_what_to_do(served: Served, client: TestClient) -> None:
    nothing = client.get("/overview?channel=whatsapp&source=verification&since=2026-01-01"
                         "&until=2026-01-02").text  # fmt: skip
    assert "Clear the filters" in nothing
    assert "Show the last 30 days" in nothing
    with client_of(served, NOBODY) as newcomer:
        for path in ("/overview", "/messages", "/campaigns"):
            text = newcomer.get(path).text
            assert "No message of nobody has arrived yet" in text
            assert "receipts demo" in text


def test_behind_the_last_page_is_the_way_back(client: TestClient) -> None:
    for page in ("99999", "0", "-1", "x", "9" * 30):
        answer = client.get(f"/messages?page={page}")
        assert answer.status_code == 200, page
    assert "There are only" in client.get("/messages?page=99999").text


def test_a_report_that_needs_a_word_asks_for_it(client: TestClient) -> None:
    for path in ("/recipients", "/failed", "/campaign", "/person", "/message"):
        answer = client.get(path)
        assert (answer.status_code, "Choose a " in answer.text) == (200, True), path
        assert 'aria-invalid="true"' not in answer.text


# --- one message ----------------------------------------------------------------------------------


def test_an_unknown_message_is_marked_at_its_field(client: TestClient) -> None:
    for path in ("/message", "/export/message.json"):
        answer = client.get(f"{path}?message_id=no-such-id")
        assert answer.status_code == 400, path
        assert "&#39;no-such-id&#39; is not known" in answer.text, path
        assert "in the same case" in answer.text, path
    page = client.get("/message?message_id=no-such-id").text
    assert 'value="no-such-id"' in page
    assert 'aria-invalid="true"' in page


def test_messages_are_led_to_from_their_ids_and_times(client: TestClient, served: Served) -> None:
    own = f"campaign={campaign(served.world)}"
    for path in ("/messages", "/singles?columns=message_id", f"/recipients?{own}", "/whatsapp",
                 f"/failed?{own}&identifiers=message_id", "/suppressions"):  # fmt: skip
        here = path == "/suppressions"
        reader = client_of(served, struck_account(served.world)) if here else client
        text = reader.get(path).text
        (first, *_) = re.findall(r'<a href="(/message\?message_id=[^"]+)">', text)
        assert reader.get(first).status_code == 200, path
    message = parse_qs(urlsplit(first).query)["message_id"][0]
    assert f'href="/message?message_id={message}"' in reader.get(f"/text?message_id={message}").text


def test_a_message_has_an_export_of_every_section(client: TestClient, served: Served) -> None:
    message = rows(served.world, query_of(served.world, "messages"))[0]["message_id"]
    found = client.get(f"/export/message.json?message_id={message}").json()
    sections = found["sections"]
    assert sections["sent"][0]["message_id"] == message
    assert sections["timeline"][0]["event"] == "sent"
    assert "reading" in sections["timeline"][0]


def test_the_search_leads_to_a_message_or_a_person(client: TestClient, served: Served) -> None:
    listed = rows(served.world, query_of(served.world, "messages"))
    message, number = listed[0]["message_id"], listed[0]["recipient"]
    email = next(one["email"] for one in listed if one["email"])
    external_id = next(one["external_id"] for one in listed if one["external_id"])
    spaced = f"00{number[1:4]} {number[4:7]}-{number[7:]}"
    for text, path, params in (
        (message, "/message", {"message_id": [message]}),
        (f"  {message} ", "/message", {"message_id": [message]}),
        (number, "/person", {"person": [number]}),
        (spaced, "/person", {"person": [number]}),
        (email, "/person", {"person": [email]}),
        (external_id, "/person", {"person": [external_id], "identifier": ["external_id"]}),
    ):
        answer = client.get("/search", params={"q": text})
        assert answer.status_code == 303, text
        target = urlsplit(answer.headers["location"])
        assert (target.path, parse_qs(target.query)) == (path, params)
        assert client.get(answer.headers["location"]).status_code == 200


def test_a_search_for_nothing_known_says_what_can_be_searched_for(client: TestClient) -> None:
    for text, status in (("no <b>such</b> thing", 404), ("", 400), ("12-34-56", 404)):
        answer = client.get("/search", params={"q": text})
        assert answer.status_code == status, text
        assert "a number with its country code" in answer.text
        assert "<b>such" not in answer.text


# --- a database that is away ----------------------------------------------------------------------


def test_without_a_database_the_page_says_so(served: Served) -> None:
    away = app("http://default:@127.0.0.1:9/nowhere", {token_of(ACCOUNT): ACCOUNT})
    with TestClient(away, headers={"authorization": f"Bearer {token_of(ACCOUNT)}"}) as client:
        answer = client.get("/overview")
        assert (answer.status_code, "No database" in answer.text) == (503, True)
        assert client.get("/healthz").status_code == 200


def test_without_tables_the_page_names_the_command(served: Served) -> None:
    url = served.world.url.rpartition("/")[0] + "/empty"
    clickhouse = connect(url)
    clickhouse.create_database()
    clickhouse.close()
    bare = app(url, {token_of(ACCOUNT): ACCOUNT})
    with TestClient(bare, headers={"authorization": f"Bearer {token_of(ACCOUNT)}"}) as client:
        answer = client.get("/overview")
        assert (answer.status_code, "receipts migrate" in answer.text) == (503, True)
