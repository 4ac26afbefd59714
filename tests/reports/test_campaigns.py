"""The list of campaigns against the truth, and against the pages of the campaigns."""

import pytest

from reports.catalogue.campaign import CAMPAIGN
from reports.catalogue.campaigns import CAMPAIGNS
from tests.reports.counting import is_delivered, people
from tests.reports.queries import queries, query_of, rows_of
from tests.reports.truth import Row, at, truth_of
from tests.reports.world import World, every_world_and_zone


def row_of(world: World, account: str, campaign: str) -> Row:
    """The row of a campaign: figures of all of it, whatever the period."""
    truth = truth_of(world, account)
    messages = [message for _, message in truth.of_campaign(campaign)]
    clicks = truth.clicks_of(campaign)
    record = truth.record(campaign)
    return {
        "name": record.get("name", ""),
        "campaign_id": campaign,
        "last_modified_by": record.get("last_modified_by", ""),
        "sent": len(messages),
        "delivered": sum(map(is_delivered, messages)),
        "clicks": len(clicks),
        "unique_clicks": people(clicks),
        "automated_clicks": len(truth.engagements_of(campaign, "click")) - len(clicks),
        "last_sent": at(max(message.sent_at for message in messages)),
    }


def latest_first(rows: list[Row]) -> list[Row]:
    return sorted(rows, key=lambda row: (-row["last_sent"].timestamp(), row["campaign_id"]))


@every_world_and_zone
def test_campaigns_of_the_period_are_listed_as_a_whole(world: World, zone: str) -> None:
    for query, messages in list(queries(world, CAMPAIGNS, zone))[1::2]:
        names = {one.campaign_id for one in messages.values()} - {""}
        wanted = [row_of(world, query.account, name) for name in names]
        assert rows_of(world, query) == latest_first(wanted)


def test_a_period_in_the_past_lists_campaigns_with_what_they_sent_since(world: World) -> None:
    first = min(one.sent_at for one in world.expected.messages.values())
    day = at(first).date()
    for account in world.accounts:
        params = {"since": str(day), "until": str(day)}
        rows = rows_of(world, query_of(world, CAMPAIGNS, account, params))
        assert rows == latest_first([row_of(world, account, row["campaign_id"]) for row in rows])


def test_the_list_says_what_the_page_of_a_campaign_says(world: World) -> None:
    account = world.accounts[0]
    rows = rows_of(world, query_of(world, CAMPAIGNS, account, {}))
    assert rows
    for row in rows:
        query = query_of(world, CAMPAIGN, account, {"campaign": row["campaign_id"]})
        (totals,) = rows_of(world, query, "totals")
        for name in ("sent", "delivered", "clicks", "unique_clicks", "automated_clicks"):
            assert row[name] == totals[name]


@pytest.mark.parametrize("word", ["CAMPAIGN C", "Gram-1", "-0001", "%", "nobody's"])
def test_search_finds_names_and_ids_in_any_case(world: World, word: str) -> None:
    for query, messages in list(queries(world, CAMPAIGNS, "Asia/Kolkata", search=word))[2:4]:
        names = {one.campaign_id for one in messages.values()} - {""}
        wanted = [row_of(world, query.account, name) for name in names]
        matching = [
            row
            for row in wanted
            if word.lower() in row["name"].lower() or word.lower() in row["campaign_id"].lower()
        ]
        assert rows_of(world, query) == latest_first(matching)


def test_channel_chooses_campaigns_not_their_figures(world: World) -> None:
    for query, messages in queries(world, CAMPAIGNS, "UTC", channel="whatsapp"):
        sent = [one for one in messages.values() if one.channel == "whatsapp"]
        names = {one.campaign_id for one in sent} - {""}
        wanted = [row_of(world, query.account, name) for name in names]
        assert rows_of(world, query) == latest_first(wanted)


def test_pages_are_parts_of_the_whole(world: World) -> None:
    (section,) = CAMPAIGNS.sections
    account = max(world.accounts, key=lambda one: len(truth_of(world, one).campaigns))
    query = query_of(world, CAMPAIGNS, account, {})
    whole = rows_of(world, query)
    pages = [
        world.database.rows(section.sql, query.parameters(section, 3, first)).records()
        for first in range(0, len(whole) + 3, 3)
    ]
    assert [row for page in pages for row in page] == whole
    assert len(whole) > 3
