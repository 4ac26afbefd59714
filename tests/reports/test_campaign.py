"""The report of one campaign against the truth: every number of every section."""

from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from deploy.simulator.event import Kind, Published
from deploy.simulator.oracle.facts import moment
from deploy.simulator.oracle.messages import Message
from deploy.simulator.publish.publish import partition_of
from deploy.simulator.traffic.encoding import Fields, key_of, to_json
from reports.catalogue.campaign import CAMPAIGN
from reports.catalogue.campaigns import CAMPAIGNS
from reports.query.database import Database
from reports.query.query import InvalidQuery, ReportQuery, parse_query
from reports.views import statements
from sinks.client import connect
from sinks.migrate import migrate
from tests.reports.counting import counted, grouped, is_delivered, is_failed, people, ranked, share
from tests.reports.queries import Messages, query_of, rows_of, some_accounts
from tests.reports.truth import Engagement, Row, at, truth_of
from tests.reports.world import WORLDS, World, every_world_and_zone
from tests.simulator.harness import PARTITIONS
from tests.support.front import Front

SECTIONS = ("context", "totals", "links", "platforms", "heatmap", "timeline", "reasons")
NOTHING = {"campaign": "nobody's"}


def campaigns(world: World, zone: str) -> Iterator[tuple[ReportQuery, Messages]]:
    """Big and small campaigns, each with its messages."""
    for account in some_accounts(world, zone):
        truth = truth_of(world, account)
        for campaign in truth.campaigns[world.turn(zone) :: 3]:
            query = query_of(world, CAMPAIGN, account, {"campaign": campaign}, zone)
            yield query, dict(truth.of_campaign(campaign))


def local(ms: int, zone: str) -> datetime:
    return datetime.fromtimestamp(ms / 1000, ZoneInfo(zone))


def deliveries(messages: Messages, zone: str) -> list[datetime]:
    """When messages were delivered, in local time."""
    return [local(one.delivered_at, zone) for one in messages.values() if is_delivered(one)]


def slots(delivered: list[datetime]) -> list[Row]:
    """Deliveries by five minutes, hour or day, whatever suits how long they took."""
    fives = [one.replace(minute=one.minute // 5 * 5, second=0, microsecond=0) for one in delivered]
    starts = [one.astimezone(UTC) for one in fives]
    took = max(starts) - min(starts) if starts else timedelta(0)
    if took >= timedelta(hours=72):
        starts = [datetime.combine(one, time(), one.tzinfo).astimezone(UTC) for one in fives]
    elif took >= timedelta(hours=6):
        starts = [one.replace(minute=0).astimezone(UTC) for one in fives]
    return [{"slot": slot, "delivered": n} for slot, n in sorted(Counter(starts).items())]


@every_world_and_zone
def test_totals_are_those_of_the_truth(world: World, zone: str) -> None:
    for query, messages in campaigns(world, zone):
        campaign, truth = query.values["campaign"], truth_of(world, query.account)
        clicks = truth.clicks_of(campaign)
        counts = counted(messages.values())
        (totals,) = rows_of(world, query, "totals")
        assert totals == {
            "target_audience": truth.record(campaign).get("target_audience"),
            **counts,
            "bounced": counts["soft"] + counts["hard"],
            "clicks": len(clicks),
            "unique_clicks": people(clicks),
            "automated_clicks": len(truth.engagements_of(campaign, "click")) - len(clicks),
            "unsubscribes": people(truth.engagements_of(campaign, "unsubscribe")),
            "conversions": people(truth.engagements_of(campaign, "conversion")),
        }


@every_world_and_zone
def test_heatmap_and_timeline_are_those_of_the_truth(world: World, zone: str) -> None:
    for query, messages in campaigns(world, zone):
        delivered = deliveries(messages, zone)
        cells = Counter((one.isoweekday(), one.hour) for one in delivered)
        assert rows_of(world, query, "heatmap") == [
            {"weekday": weekday, "hour": hour, "delivered": n}
            for (weekday, hour), n in sorted(cells.items())
        ]
        assert rows_of(world, query, "timeline") == slots(delivered)
        assert sum(cells.values()) == counted(messages.values())["delivered"]


def test_platforms_reasons_and_links_are_those_of_the_truth(world: World) -> None:
    for account in world.accounts:
        truth = truth_of(world, account)
        for campaign in truth.campaigns[:4]:
            query = query_of(world, CAMPAIGN, account, {"campaign": campaign})
            messages = dict(truth.of_campaign(campaign))
            assert rows_of(world, query, "platforms") == platforms(messages)
            assert rows_of(world, query, "reasons") == reasons(messages)
            clicks = truth.engagements_of(campaign, "click")
            links: dict[tuple[str, str], list[Engagement]] = {}
            for one in clicks:
                links.setdefault((one.link_id, one.url), []).append(one)
            wanted = [
                {
                    "link_id": link,
                    "url": url,
                    "clicks": sum(not one.automated for one in its),
                    "unique_clicks": people(one for one in its if not one.automated),
                    "automated_clicks": sum(one.automated for one in its),
                }
                for (link, url), its in links.items()
            ]
            assert rows_of(world, query, "links") == ranked(wanted, "clicks", "link_id", "url")


def platforms(messages: Messages) -> list[Row]:
    groups = grouped(messages, lambda _, one: one.platform)
    rows = [
        {
            "platform": platform,
            "sent": len(group),
            "delivered": sum(map(is_delivered, group.values())),
            "failed": sum(map(is_failed, group.values())),
        }
        for platform, group in groups.items()
    ]
    return ranked(rows, "sent", "platform")


def reasons(messages: Messages) -> list[Row]:
    failed: list[Message] = [one for one in messages.values() if is_failed(one)]
    counts = Counter(one.fail_reason for one in failed)
    rows = [
        {"fail_reason": reason, "failed": n, "share": share(n, len(failed))}
        for reason, n in counts.items()
    ]
    return ranked(rows, "failed", "fail_reason")


def test_the_context_is_what_was_published_last(world: World) -> None:
    published = {(one["account"], one["campaign_id"]) for one in world.events["campaigns"]}
    for account, campaign in published:
        record = truth_of(world, account).record(campaign)
        query = query_of(world, CAMPAIGN, account, {"campaign": campaign})
        assert rows_of(world, query, "context") == [context(record)]


def context(record: dict[str, Any]) -> Row:
    words = ("name", "campaign_id", "message_type", "text", "creator", "method", "status")
    times = ("created_at", "started_at", "ended_at", "updated_at")
    return {
        **{name: record.get(name, "") for name in (*words, "audience", "last_modified_by")},
        **{name: at(moment(record[name])) if name in record else None for name in times},
    }


def test_an_unknown_campaign_has_no_context_and_nothing_in_it(world: World) -> None:
    query = query_of(world, CAMPAIGN, world.accounts[0], NOTHING)
    (totals,) = rows_of(world, query, "totals")
    assert set(totals.values()) == {0, None}
    assert totals["target_audience"] is None
    assert not any(rows_of(world, query, name) for name in SECTIONS if name != "totals")


def test_the_campaign_of_another_account_is_unknown(world: World) -> None:
    owner = next(one for one in world.accounts if truth_of(world, one).campaigns)
    other = next(one for one in world.accounts if one != owner)
    theirs = set(truth_of(world, owner).campaigns) - set(truth_of(world, other).campaigns)
    query = query_of(world, CAMPAIGN, other, {"campaign": min(theirs)})
    (totals,) = rows_of(world, query, "totals")
    assert totals["sent"] == 0
    assert not any(rows_of(world, query, name) for name in SECTIONS if name != "totals")


def test_a_campaign_has_no_period(world: World) -> None:
    with pytest.raises(InvalidQuery, match="campaign: is missing"):
        query_of(world, CAMPAIGN, world.accounts[0], {})
    with pytest.raises(InvalidQuery, match="since: is not a filter of this report"):
        query_of(world, CAMPAIGN, world.accounts[0], {**NOTHING, "since": "2026-11-01"})
    query = query_of(world, CAMPAIGN, world.accounts[0], NOTHING)
    assert query.raw_params() == {"campaign": ["nobody's"]}


# --- corners that no simulated world has -------------------------------------------------------

HERE = "acme"
ANNA, BEN, CARL, ZOE = "+358401110001", "+358401110002", "+358401110003", "+358401110009"


@pytest.fixture(scope="module")
def corners(reports_front: Front) -> Iterator[World]:
    """Two campaigns with a few messages, and engagements of every kind."""
    events = [
        *_sent("s1", ANNA, "spring", minute=0),
        *_sent("s2", BEN, "spring", minute=7),
        *_sent("s3", CARL, "spring", minute=14),
        *_sent("a1", ANNA, "autumn", minute=20),
        *_sent("x1", ANNA, "", minute=30),
        _engaged("e1", "click", message_id="s1", link_id="l1", url="https://a.example"),
        _engaged("e1", "click", late=True, message_id="a1", campaign_id="autumn"),
        _engaged("e2", "click", recipient=BEN, campaign_id="spring", link_id="l1"),
        _engaged("e3", "click", message_id="s1", campaign_id="spring"),
        _engaged("e4", "click", message_id="x1", link_id="l9"),
        _engaged("e5", "click", message_id="s2", campaign_id="autumn"),
        _engaged("e6", "click", message_id="unknown", campaign_id="spring"),
        _engaged("e7", "unsubscribe", recipient=CARL, campaign_id="spring"),
        _engaged("e8", "unsubscribe", message_id="s3"),
        _engaged("c1", "conversion", message_id="s1"),
        _engaged("c2", "conversion", recipient=ANNA, campaign_id="spring"),
        _engaged("e9", "click", message_id="s2", recipient=ZOE, campaign_id="spring"),
        ("campaigns", {"campaign_id": "spring", "name": "Spring", "updated_at": _moment(2)}),
        (
            "campaigns",
            {
                "campaign_id": "spring",
                "name": "Frühling",
                "updated_at": _moment(3),
                "last_modified_by": "olga@acme.example",
            },
        ),
    ]
    published = [_published(place, kind, fields) for place, (kind, fields) in enumerate(events)]
    world = World(WORLDS[0], reports_front.url("world_of_corners"), published)
    yield world
    world.database.close()


def _moment(minute: int) -> int:
    """A time on the day before the present of the world, epoch ms."""
    return WORLDS[0].as_of_ms - 86_400_000 + minute * 60_000


def _sent(name: str, recipient: str, campaign: str, minute: int) -> list[tuple[Kind, Fields]]:
    """A message that is delivered a minute after it is sent."""
    send: Fields = {
        "message_id": name,
        "recipient": recipient,
        "channel": "sms",
        "campaign_id": campaign or None,
        "sent_at": _moment(minute),
    }
    receipt: Fields = {
        "message_id": name,
        "status": "delivered",
        "occurred_at": _moment(minute + 1),
    }
    return [("sends", send), ("receipts", receipt)]


def _engaged(name: str, kind: str, *, late: bool = False, **fields: str) -> tuple[Kind, Fields]:
    at_minute = _moment(90 if late else 40)
    return "engagements", {"event_id": name, "type": kind, "occurred_at": at_minute, **fields}


def _published(place: int, kind: Kind, fields: Fields) -> Published:
    whole: Fields = {"account": HERE, **fields}
    key = key_of(whole)
    where = partition_of(key, PARTITIONS)
    now = WORLDS[0].as_of_ms
    return Published(kind, where, place, now, key, to_json(whole), kind)


def in_corners(world: World, campaign: str, section: str) -> list[Row]:
    return rows_of(world, query_of(world, CAMPAIGN, HERE, {"campaign": campaign}), section)


def test_an_event_belongs_to_the_campaign_it_names_else_to_that_of_its_message(
    corners: World,
) -> None:
    """Of two events with one id the earlier counts; unknown people are not counted."""
    (spring,) = in_corners(corners, "spring", "totals")
    assert spring["clicks"] == len(["e1", "e2", "e3", "e6", "e9"])
    assert spring["unique_clicks"] == len([ANNA, BEN])  # e9 is Ben's: it names his message
    assert spring["unsubscribes"] == len([CARL])
    assert spring["conversions"] == len([ANNA])
    (autumn,) = in_corners(corners, "autumn", "totals")
    assert (autumn["clicks"], autumn["unique_clicks"]) == (len(["e5"]), 0)


def test_links_are_distinguished_by_id_and_address(corners: World) -> None:
    assert in_corners(corners, "spring", "links") == [
        {"link_id": "", "url": "", "clicks": 3, "unique_clicks": 2, "automated_clicks": 0},
        {"link_id": "l1", "url": "", "clicks": 1, "unique_clicks": 1, "automated_clicks": 0},
        {
            "link_id": "l1",
            "url": "https://a.example",
            "clicks": 1,
            "unique_clicks": 1,
            "automated_clicks": 0,
        },
    ]


def test_deliveries_within_hours_are_shown_by_five_minutes(corners: World) -> None:
    """Sent at 10:26:40 and 7 and 14 minutes later, delivered a minute after that."""
    day = at(_moment(0))
    assert day is not None
    starts = [day.replace(hour=10, minute=minute, second=0) for minute in (25, 30, 40)]
    assert in_corners(corners, "spring", "timeline") == [
        {"slot": start, "delivered": 1} for start in starts
    ]


def test_what_nobody_published_is_unknown(corners: World) -> None:
    (spring,) = in_corners(corners, "spring", "context")
    assert (spring["name"], spring["last_modified_by"]) == ("Frühling", "olga@acme.example")
    assert (spring["started_at"], spring["audience"]) == (None, "")
    assert in_corners(corners, "autumn", "context") == []
    (totals,) = in_corners(corners, "spring", "totals")
    assert totals["target_audience"] is None


def test_the_list_finds_names_in_any_alphabet_and_case(corners: World) -> None:
    rows = rows_of(corners, query_of(corners, CAMPAIGNS, HERE, {"search": "FRÜH"}))
    assert [(row["campaign_id"], row["last_modified_by"]) for row in rows] == [
        ("spring", "olga@acme.example")
    ]
    everything = rows_of(corners, query_of(corners, CAMPAIGNS, HERE, {}))
    assert [(row["campaign_id"], row["clicks"], row["unique_clicks"]) for row in everything] == [
        ("autumn", 1, 0),
        ("spring", 5, 2),
    ]


def test_of_two_versions_of_an_event_the_earlier_counts(
    reports_front: Front,
) -> None:
    """Old versions are read too, and must not count."""
    url = reports_front.url("campaign_two_versions")
    clickhouse = connect(url)
    migrate(clickhouse, 90, views=statements())
    for table, columns, rows in (
        (
            "messages",
            "account, message_id, channel, direction, campaign_id, recipient, sent_at, status",
            "('a', 'm', 'sms', 'outbound', 'c', '+1', '2026-11-20 10:00', 'delivered')",
        ),
        (
            "status_counters",
            "kind, account, window_start, campaign_id, delivered",
            "('campaign', 'a', '2026-11-20', 'c', 1)",
        ),
        (
            "engagements",
            "account, event_id, type, occurred_at, message_id, campaign_id, link_id, version",
            "('a', 'stays', 'click', '2026-11-20 12:00', 'm', 'c', 'old', 1),"
            "('a', 'stays', 'click', '2026-11-20 11:00', 'm', 'c', 'new', 2),"
            "('a', 'left', 'click', '2026-11-20 12:00', 'm', 'c', 'old', 1),"
            "('a', 'left', 'click', '2026-11-20 11:00', 'x', 'other', 'new', 2),"
            "('a', 'before', 'click', '2026-11-20 12:00', 'm', 'c', 'old', 1),"
            "('a', 'before', 'click', '2026-11-18 11:00', 'm', 'c', 'new', 2),"
            "('a', 'its message says', 'click', '2026-11-20 12:00', 'm', '', 'new', 1)",
        ),
    ):
        clickhouse.command(f"INSERT INTO {table} ({columns}) VALUES {rows}")
    clickhouse.close()
    query = parse_query(
        CAMPAIGN, "a", "UTC", {"campaign": ["c"]}, datetime(2026, 11, 21, tzinfo=UTC)
    )
    database = Database(url)
    links = CAMPAIGN.section("links")
    rows = database.rows(links.sql, query.parameters(links)).records()
    assert rows == [
        {"link_id": "new", "url": "", "clicks": 2, "unique_clicks": 1, "automated_clicks": 0}
    ]
    database.close()
