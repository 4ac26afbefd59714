"""The pages in a real browser: what people do with them."""

from __future__ import annotations

import csv
import re
from pathlib import Path

import pytest
from openpyxl import load_workbook
from playwright.sync_api import Page, expect

from tests.pages.asking import campaign, paths, query_of, rows, struck_account, totals
from tests.pages.conftest import ACCOUNT, NOBODY, Served, Visitor, token_of
from tests.reports.truth import truth_of

pytestmark = pytest.mark.timeout(120)


def figure(page: Page, label: str) -> str:
    """A figure of the page's first block, by its label."""
    block = page.locator("section.block").first
    term = block.get_by_role("button", name=label, exact=True)
    return term.locator("xpath=ancestor::div[1]").locator("dd").inner_text().split("\n")[0].strip()


def show(page: Page) -> None:
    """Press Show and wait for the answer."""
    with page.expect_navigation():
        page.get_by_role("button", name="Show", exact=True).click()


def test_every_page_opens_without_a_word_in_the_console(visitor: Visitor, served: Served) -> None:
    page = visitor.sign_in().page
    for path in paths(served.world):
        visitor.go(path)
        expect(page.get_by_role("heading", level=1)).to_be_visible()
        expect(page.get_by_text("What the figures mean")).to_be_visible()


def test_signing_in_and_out(visitor: Visitor) -> None:
    page = visitor.page
    page.goto(f"{visitor.served.url}/messages?last=30")
    page.get_by_label("Token of your account").fill(token_of(ACCOUNT))
    page.get_by_role("button", name="Sign in").click()
    page.wait_for_url("**/messages?last=30")
    expect(page.locator(".who")).to_contain_text(ACCOUNT)
    page.get_by_role("button", name="Sign out").click()
    page.wait_for_url("**/sign-in")
    page.goto(f"{visitor.served.url}/overview")
    expect(page).to_have_url(re.compile("/sign-in"))


def test_a_wrong_token_is_told_so(visitor: Visitor) -> None:
    page = visitor.page
    page.goto(f"{visitor.served.url}/sign-in")
    page.get_by_label("Token of your account").fill("not-a-token-of-anybody")
    page.get_by_role("button", name="Sign in").click()
    expect(page.get_by_role("alert")).to_contain_text("This token is not known")
    visitor.wrong.clear()  # The browser logs the status 401.


def test_a_link_with_a_token_signs_in_and_forgets_it(visitor: Visitor) -> None:
    page = visitor.page
    page.goto(f"{visitor.served.url}/sign-in#token={token_of(ACCOUNT)}")
    page.wait_for_url("**/overview")
    page.go_back()
    assert "token" not in page.url
    page.goto(f"{visitor.served.url}/sign-in")
    page.evaluate(f"location.hash = 'token={token_of(ACCOUNT)}'")
    page.wait_for_url("**/overview")


def test_filters_narrow_the_figures_and_stand_in_the_address(
    visitor: Visitor, served: Served
) -> None:
    page = visitor.sign_in().page
    assert figure(page, "Sent") == f"{totals(served.world)['sent']:,}"
    page.get_by_label("Channel").select_option("WhatsApp")
    show(page)
    assert "channel=whatsapp" in page.url
    narrowed = totals(served.world, narrowed=["whatsapp"])
    assert figure(page, "Sent") == f"{narrowed['sent']:,}"
    page.locator("#f-source > summary").click()
    page.get_by_role("checkbox", name="Campaign").check()
    show(page)
    assert {"channel=whatsapp", "source=campaign"} <= set(re.split("[?&]", page.url))
    expect(page.locator("#s-source")).to_have_text("Campaign")
    page.get_by_role("link", name="30 days").click()
    page.wait_for_url("**last=30**")
    assert "channel=whatsapp" in page.url
    page.get_by_role("link", name="Clear filters").click()
    page.wait_for_url(re.compile("overview$"))
    assert figure(page, "Sent") == f"{totals(served.world)['sent']:,}"


def test_a_mistake_is_marked_at_its_field_and_can_be_mended(visitor: Visitor) -> None:
    page = visitor.sign_in().page
    page.goto(f"{visitor.served.url}/messages?since=2026-13-01&recipient=%2B35840")
    field = page.get_by_label("From")
    expect(field).to_have_attribute("aria-invalid", "true")
    expect(page.locator("#w-since")).to_contain_text("Write it as 2026-11-22")
    expect(page.get_by_label("Recipient")).to_have_value("+35840")
    field.fill("2026-11-15")
    page.get_by_label("Recipient").fill("")
    show(page)
    expect(page.locator("tbody tr")).to_have_count(25)
    visitor.wrong.clear()  # The browser logs the status 400.


def test_tabs_count_people_and_list_them(visitor: Visitor, served: Served) -> None:
    own = campaign(served.world)
    page = visitor.sign_in().go(f"/recipients?campaign={own}")
    tabs = page.get_by_role("navigation", name="Tabs")
    for label, tab in (("Sent", "sent"), ("Hard bounces", "hard"), ("Did not click", "not_clicked"),
                       ("Clicked", "clicked"), ("Failed", "failed")):  # fmt: skip
        query = query_of(
            served.world, "recipients", campaign=[own], tab=[tab], with_suppressed=["yes"]
        )
        people = rows(served.world, query)
        link = tabs.get_by_role("link", name=re.compile(f"^{label} "))
        expect(link).to_have_text(re.compile(rf"{label}\s+{len(people):,}$"))
        link.click()
        page.wait_for_url(f"**tab={tab}**")
        expect(link).to_have_attribute("aria-current", "page")
        shown = page.locator("tbody tr td:first-child").all_inner_texts()
        assert shown == [one["recipient"] for one in people[:25]]


def test_paging_shows_every_row_once(visitor: Visitor, served: Served) -> None:
    wanted = [one["recipient"] for one in rows(served.world, query_of(served.world, "singles"))]
    page = visitor.sign_in().go("/singles")
    shown: list[str] = []
    for _ in range(3):
        shown += page.locator("tbody tr td:first-child").all_inner_texts()
        expect(page.get_by_text(f"–{len(shown)} of {len(wanted):,}")).to_be_visible()
        with page.expect_navigation():
            page.get_by_role("link", name="Next →").click()
    assert shown == wanted[:75]
    page.get_by_role("link", name="← Previous").click()
    page.wait_for_url("**page=3")
    assert page.locator("tbody tr td:first-child").all_inner_texts() == wanted[50:75]


def test_exports_hold_what_the_database_says(
    visitor: Visitor, served: Served, tmp_path: Path
) -> None:
    own = campaign(served.world)
    wanted = rows(served.world, query_of(served.world, "recipients", campaign=[own], tab=["hard"]))
    visitor.sign_in().go(f"/recipients?campaign={own}&tab=hard")
    with visitor.download("Export Recipients as CSV", tmp_path).open(newline="") as file:
        listed = list(csv.DictReader(file))
    assert [one["recipient"] for one in listed] == [one["recipient"] for one in wanted]
    assert [one["fail_reason"] for one in listed] == [one["fail_reason"] for one in wanted]
    book = load_workbook(visitor.download("Export Recipients as XLSX", tmp_path))
    cells = [[cell.value for cell in row] for row in book.worksheets[0].iter_rows()]
    found = [cell for row in cells for cell in row[:1] if str(cell).startswith("+")]
    assert found == [one["recipient"] for one in wanted]
    assert len(wanted) > 3


def test_more_columns_are_shown_and_exported(visitor: Visitor, tmp_path: Path) -> None:
    page = visitor.sign_in().go("/messages")
    page.locator("#f-columns > summary").click()
    page.locator("#f-columns").get_by_role("checkbox", name="External id").check()
    show(page)
    expect(page.locator("thead").get_by_role("button", name="External id")).to_be_visible()
    with visitor.download("Export Messages as CSV", tmp_path).open(newline="") as file:
        assert "external_id" in next(csv.reader(file))


def test_the_content_of_a_message_is_read_when_it_is_opened(
    visitor: Visitor, served: Served
) -> None:
    texts = truth_of(served.world, ACCOUNT).texts
    query = query_of(served.world, "messages")
    message = next(one["message_id"] for one in rows(served.world, query) if texts.get(
        one["message_id"]))  # fmt: skip
    page = visitor.sign_in().go("/messages")
    for _ in range(20):
        row = page.locator("tbody tr", has_text=message)
        if row.count():
            break
        page.get_by_role("link", name="Next →").click()
    requested: list[str] = []
    page.on("request", lambda request: requested.append(request.url))
    row.locator("details.content summary").click()
    expect(row.locator("details.content p")).to_have_text(texts[message])
    assert [url for url in requested if "/text?" in url] == [
        f"{served.url}/text?message_id={message}"
    ]


def test_meanings_are_told_to_hand_and_keyboard(visitor: Visitor) -> None:
    page = visitor.sign_in().page
    term = page.locator("section.block").first.get_by_role("button", name="Hard bounces")
    expect(term).to_have_accessible_description(re.compile("undelivered for good"))
    meaning = page.get_by_role("tooltip").filter(has_text="undelivered for good").first
    expect(meaning).to_be_hidden()
    term.hover()
    expect(meaning).to_be_visible()
    page.mouse.move(0, 0)
    expect(meaning).to_be_hidden()
    page.locator("body").press("Tab")
    for _ in range(80):
        if term.evaluate("term => term === document.activeElement"):
            break
        page.keyboard.press("Tab")
    expect(term).to_be_focused()
    expect(meaning).to_be_visible()
    page.keyboard.press("Escape")
    expect(meaning).to_be_hidden()


def test_the_keyboard_skips_to_the_content(visitor: Visitor) -> None:
    page = visitor.sign_in().page
    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="Skip to the content")).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.locator("main")).to_be_focused()


def test_the_page_refreshes_itself_and_can_be_stopped(visitor: Visitor, served: Served) -> None:
    account = "tiny-shop"
    page = visitor.sign_in(account).go("/messages?last=30&carrier_status=queued")
    expect(page.locator("#refresh")).to_have_attribute("data-every", "5")
    shown = page.locator("tbody tr")
    before = shown.count()
    assert 0 < before < 24
    page.locator("thead .term").first.focus()
    page.evaluate("window.same = true")
    another = (
        "INSERT INTO messages SELECT * REPLACE (concat(message_id, '-{0}') AS message_id)"
        f" FROM messages FINAL WHERE account = '{account}' AND carrier_status = 'queued' LIMIT 1"
    )
    served.command(another.format(1))
    expect(shown).to_have_count(before + 1, timeout=12_000)
    expect(page.locator("thead .term").first).to_be_focused()
    assert page.evaluate("window.same")
    page.get_by_role("button", name="Pause").click()
    served.command(another.format(2))
    page.wait_for_timeout(6_000)
    expect(shown).to_have_count(before + 1)
    page.get_by_role("button", name="Resume").click()
    expect(shown).to_have_count(before + 2)


def test_the_overview_prints_on_one_sheet(visitor: Visitor) -> None:
    page = visitor.sign_in().go("/overview?last=30")
    sheets = re.findall(rb"/Type\s*/Page\b(?!s)", page.pdf(prefer_css_page_size=True))
    assert len(sheets) == 1
    page.emulate_media(media="print")
    expect(page.get_by_role("form", name="Filters")).to_be_hidden()
    expect(page.get_by_text(f"Account {ACCOUNT}")).to_be_visible()
    expect(page.locator("figure.chart svg").first).to_be_visible()


def test_charts_say_what_a_bar_stands_for(visitor: Visitor) -> None:
    page = visitor.sign_in().page
    bar = page.locator("figure.chart svg [aria-roledescription=bar]").first
    bar.hover()
    expect(page.locator("#mark-tip")).to_be_visible()
    expect(page.locator("#mark-tip")).to_have_text(re.compile(r"\w+ \d\d \w+, .+: [\d,]+"))


def test_figures_lead_to_what_is_behind_them(visitor: Visitor, served: Served) -> None:
    own = campaign(served.world)
    page = visitor.sign_in().go(f"/campaign?campaign={own}")
    hard = figure(page, "Hard bounces")
    page.get_by_role("link", name=hard, exact=True).last.click()
    expect(page).to_have_url(re.compile("/recipients.*tab="))


def test_strikes_lead_to_the_messages_behind_them(visitor: Visitor, served: Served) -> None:
    visitor.sign_in(struck_account(served.world))
    page = visitor.go("/suppressions?reason=hard_bounces")
    page.locator("td.number a").first.click()
    page.wait_for_url("**recipient=**")
    strikes = page.locator("section.block").nth(2)
    expect(strikes).to_contain_text("Messages behind them")
    expect(strikes.locator("tbody tr").first).to_be_visible()


def test_the_map_and_the_table_add_up_to_the_overview(visitor: Visitor, served: Served) -> None:
    page = visitor.sign_in().go("/locations")
    expect(page.get_by_role("region", name="Messages sent by country")).to_be_visible()
    at = page.locator("thead th").all_inner_texts().index("Sent") + 1
    sent = page.locator(f"tbody td:nth-child({at})").all_inner_texts()
    assert sum(int(one.replace(",", "")) for one in sent) == totals(served.world)["sent"]


def test_the_zone_is_named_and_times_are_in_it(visitor: Visitor, served: Served) -> None:
    zones = {one: query_of(served.world, "messages", one).period.zone
             for one in served.world.accounts}  # fmt: skip
    account = next(one for one, zone in zones.items() if zone != "UTC")
    page = visitor.sign_in(account).go("/messages")
    expect(page.locator(".zone")).to_contain_text(f"times in {zones[account]} (UTC")
    shown = page.locator("tbody td time").first
    local = shown.evaluate(
        """(time, zone) => new Intl.DateTimeFormat("en-GB", {timeZone: zone, hour: "2-digit",
        minute: "2-digit", second: "2-digit"}).format(new Date(time.dateTime))""",
        zones[account],
    )
    assert shown.inner_text().endswith(local)


def test_an_account_without_messages_is_told_what_to_do(visitor: Visitor) -> None:
    page = visitor.sign_in(NOBODY).page
    expect(page.get_by_text("No message of nobody has arrived yet")).to_be_visible()
    expect(page.get_by_text("receipts demo")).to_be_visible()


def test_a_phone_shows_everything_in_its_width(phone: Visitor, served: Served) -> None:
    page = phone.sign_in().page
    for path in paths(served.world):
        phone.go(path)
        wide = page.evaluate("document.scrollingElement.scrollWidth")
        assert wide <= 390, (path, wide)
    page.get_by_role("button", name="Menu").tap()
    page.get_by_role("link", name="Campaigns", exact=True).tap()
    page.wait_for_url("**/campaigns")
    phone.go("/overview")
    page.locator("section.block .term").first.tap()
    expect(page.get_by_role("tooltip").filter(has_text="messages sent").first).to_be_visible()


def test_a_message_is_found_and_leads_to_its_person(visitor: Visitor, served: Served) -> None:
    listed = rows(served.world, query_of(served.world, "messages", carrier_status=["undelivered"]))
    message, reason = listed[0]["message_id"], listed[0]["fail_reason"]
    page = visitor.sign_in().page
    search = page.get_by_role("searchbox", name="Look up")
    search.fill(message)
    search.press("Enter")
    page.wait_for_url(f"**/message?message_id={message}")
    assert figure(page, "State") == "undelivered"
    assert figure(page, "Reason") == f"{reason[:1].upper()}{reason[1:]}"
    following = page.locator("section.block").nth(1)
    expect(following).to_contain_text("What happens next")
    expect(following.locator("dd").nth(1)).not_to_have_text("–")
    timeline = page.get_by_role("region", name="Timeline")
    expect(timeline.locator("tbody tr").first).to_contain_text("sent")
    page.get_by_role("link", name=listed[0]["recipient"]).click()
    page.wait_for_url("**/person?person=**")
    page.locator(f'td a[href="/message?message_id={message}"]').first.click()
    page.wait_for_url("**/message?message_id=**")


def test_a_phone_can_search(phone: Visitor, served: Served) -> None:
    message = rows(served.world, query_of(served.world, "messages"))[0]["message_id"]
    page = phone.sign_in().page
    page.get_by_role("searchbox").fill(message)
    page.get_by_role("button", name="Find").tap()
    page.wait_for_url("**/message?message_id=**")
    expect(page.get_by_role("heading", level=1)).to_have_text("Message")


def test_a_mistyped_message_id_is_marked_and_can_be_mended(
    visitor: Visitor, served: Served
) -> None:
    message = rows(served.world, query_of(served.world, "messages"))[0]["message_id"]
    page = visitor.sign_in().page
    page.goto(f"{visitor.served.url}/message?message_id={message}x")
    field = page.get_by_label("Message id")
    expect(field).to_have_attribute("aria-invalid", "true")
    expect(page.locator("#w-message_id")).to_contain_text("is not known")
    field.fill(message)
    show(page)
    assert figure(page, "State")
    visitor.wrong.clear()  # The browser logs the status 400.
