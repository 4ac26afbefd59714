"""Segments in a browser: made from tabs, combined, exported, deleted; and whose they are."""

from __future__ import annotations

import csv
import itertools
import re
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest
from playwright.sync_api import Page, expect
from starlette.testclient import TestClient

from reports.pages.report.pages import segment_link
from reports.pages.report.params import PageParams
from reports.pages.report.tabs import tabs_of
from reports.pages.segments import people_of
from reports.segments.members import count
from tests.pages.asking import campaign, query_of, rows
from tests.pages.conftest import ACCOUNT, Served, Visitor, token_of

pytestmark = pytest.mark.timeout(120)

HERE = "http://pages.example"


def people(served: Served, tab: str) -> set[str]:
    """Numbers behind a tab of the biggest campaign."""
    own = campaign(served.world)
    query = query_of(served.world, "recipients", campaign=[own], tab=[tab])
    return {row["recipient"] for row in rows(served.world, query)}


def make(page: Page, served: Served, tab: str, name: str) -> None:
    """A segment of a tab of the biggest campaign."""
    page.goto(f"{served.url}/recipients?campaign={campaign(served.world)}&tab={tab}")
    page.get_by_role("link", name="Make a segment of these people").click()
    expect(page.get_by_role("status")).to_have_text(
        re.compile(rf"^\s*{len(people(served, tab)):,} people now(; \d+ suppressed left out)?\s*$")
    )
    page.get_by_label("Save under the name").fill(name)
    page.get_by_role("button", name="Save").click()
    page.wait_for_url("**/segments/members**")


def combine(page: Page, served: Served, first: str, how: str, second: str, name: str) -> None:
    """A segment of two others."""
    page.goto(f"{served.url}/segments")
    page.get_by_label("First").select_option(first)
    page.get_by_label("How").select_option(how)
    page.get_by_label("Second").select_option(second)
    page.get_by_label("Name").fill(name)
    page.get_by_role("button", name="Save").click()
    page.wait_for_url("**/segments/members**")


def test_segments_are_made_combined_exported_and_deleted(
    visitor: Visitor, served: Served, tmp_path: Path
) -> None:
    page = visitor.sign_in().page
    delivered, clicked = people(served, "delivered"), people(served, "clicked")
    make(page, served, "delivered", "Reached")
    make(page, served, "clicked", "Clickers <b>")
    for how, wanted in (("and", delivered & clicked), ("or", delivered | clicked),
                        ("but not", delivered - clicked)):  # fmt: skip
        combine(page, served, "Reached", how, "Clickers <b>", f"Both {how}")
        expect(page.get_by_role("heading", name=re.compile(r"people now|person now"))).to_have_text(
            re.compile(f"^{len(wanted):,} ")
        )
        expect(page.locator(".heading")).to_contain_text(f"“Reached” {how} “Clickers <b>”")
        with visitor.download("Export members as CSV", tmp_path).open(newline="") as file:
            assert {row["recipient"] for row in csv.DictReader(file)} == wanted
    page.goto(f"{served.url}/segments")
    expect(page.get_by_role("row", name=re.compile("^Both or"))).to_contain_text(
        f"{len(delivered | clicked):,}"
    )
    page.get_by_role("link", name="Both or").click()
    page.get_by_text("Delete this segment").click()
    page.get_by_role("button", name="Delete Both or").click()
    page.wait_for_url("**/segments")
    expect(page.get_by_role("link", name="Both or")).to_have_count(0)


def test_a_segment_holds_the_people_that_its_tab_counts(served: Served) -> None:
    world, own = served.world, campaign(served.world)
    seen = set()
    for links, channel in itertools.product(([], ["l1"], ["l2", "l3"]), ("", "sms", "whatsapp")):
        params = {"campaign": [own], "link": links, "channel": [channel]}
        words = {name: word for name, word in params.items() if any(word)}
        tabs = tabs_of(world.database, query_of(world, "recipients", **words), PageParams(words))
        for tab in tabs:
            to = segment_link(query_of(world, "recipients", **words, tab=[tab.name]))
            node = people_of(parse_qs(urlsplit(to).query))
            size = count(world.database, ACCOUNT, node, with_suppressed=True)
            assert size.people == tab.count, to
        seen.add(tuple(tab.count for tab in tabs))
    assert len(seen) > 6


def test_no_segment_is_offered_of_a_search(served: Served) -> None:
    headers = {"authorization": f"Bearer {token_of(ACCOUNT)}"}
    client = TestClient(served.app, base_url=HERE, headers=headers)
    path, offer = f"/recipients?campaign={campaign(served.world)}", "Make a segment of these people"
    assert offer in client.get(path).text
    searched = client.get(f"{path}&search=anna").text
    assert offer not in searched
    assert "Segments have no text search" in searched


def test_what_cannot_be_a_segment_is_told_and_kept(served: Served) -> None:
    headers = {"authorization": f"Bearer {token_of(ACCOUNT)}"}
    client = TestClient(served.app, base_url=HERE, headers=headers, follow_redirects=False)
    params = {"campaign": "spring, summer", "did": "danced", "name": "Mine"}
    answer = client.post("/segments", data=params)
    assert answer.status_code == 400
    for words in ("definition.did", "not_clicked", 'value="spring, summer"', 'value="Mine"'):
        assert words in answer.text, words
    answer = client.post("/segments", data={**params, "did": "sent", "name": " "})
    assert (answer.status_code, "cannot be a name" in answer.text) == (400, True)


def test_a_taken_name_is_refused_and_nothing_is_replaced(served: Served) -> None:
    headers = {"authorization": f"Bearer {token_of('edu_hub')}"}
    client = TestClient(served.app, base_url=HERE, headers=headers, follow_redirects=False)
    params = {"campaign": "first-of-all", "did": "sent", "name": "Taken"}
    assert client.post("/segments", data=params).status_code == 303
    again = client.post("/segments", data={**params, "campaign": "second"})
    assert (again.status_code, "is taken" in again.text) == (400, True)
    listed = client.get("/segments").text
    assert ("first-of-all" in listed, "second" in listed) == (True, False)
    client.post("/segments/delete", data={"name": "Taken"})
    assert client.post("/segments", data=params).status_code == 303


def test_the_list_reads_definitions_once(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    headers = {"authorization": f"Bearer {token_of('edu_hub')}"}
    client = TestClient(served.app, base_url=HERE, headers=headers, follow_redirects=False)
    for name in ("Part", "Piece"):
        client.post("/segments", data={"campaign": "spring", "did": "sent", "name": name})
    both = {"op": "or", "part": ["Part", "Piece"], "name": "Whole"}
    assert client.post("/segments", data=both).status_code == 303

    def again(*_: object) -> None:
        raise AssertionError

    monkeypatch.setattr("reports.segments.members.saved", again)
    assert "Whole" in client.get("/segments").text


def test_nobody_sees_the_segments_of_others(served: Served) -> None:
    def client(account: str) -> TestClient:
        headers = {"authorization": f"Bearer {token_of(account)}"}
        return TestClient(served.app, base_url=HERE, headers=headers, follow_redirects=False)

    own, other = client(ACCOUNT), client("edu_hub")
    params = {"campaign": campaign(served.world), "did": "sent", "name": "Ours alone"}
    assert own.post("/segments", data=params).status_code == 303
    assert "Ours alone" in own.get("/segments").text
    assert "Ours alone" not in other.get("/segments").text
    for path in ("/segments/members", "/segments/export.csv"):
        assert other.get(f"{path}?name=Ours alone").status_code == 404
    assert other.post("/segments/delete", data={"name": "Ours alone"}).status_code == 303
    assert "Ours alone" in own.get("/segments").text
    stolen = other.post("/segments", data={**params, "name": "Theirs"})
    assert stolen.status_code == 303
    assert "No one belongs to this segment now" in other.get("/segments/members?name=Theirs").text
