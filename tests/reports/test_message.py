"""One message: what became of it, its attempts, its timeline, and what happens next."""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterator
from random import Random
from typing import Any, get_args

import pytest

from models.codes.reasons import OTHER
from models.retries import NoRetry
from reports.catalogue.message import MESSAGE
from reports.definition.receipt_reading import reading_of
from reports.exports import FORMATS, export
from reports.query.lookups import require_known
from reports.query.query import InvalidQuery
from reports.query.render_sql import render_sql
from tests.reports.queries import biggest, query_of, rows_of
from tests.reports.story import ACCOUNT, NUMBER, Story, at
from tests.reports.truth import message_row, only, truth_of
from tests.reports.world import World
from tests.support.front import Front


@pytest.fixture
def story(reports_front: Front, request: pytest.FixtureRequest) -> Iterator[Story]:
    """An empty database for one test."""
    name = "".join(letter if letter.isalnum() else "_" for letter in request.node.name)
    story = Story(reports_front.url(f"story_{name}"))
    yield story
    story.close()


def events(story: Story, message_id: str = "m") -> list[tuple[str, ...]]:
    """Clock, event, attempt, status, code and detail of a timeline."""
    return [
        (f"{row['at']:%H:%M}", row["event"], row["attempt"], row["status"], row["error_code"],
         row["detail"])
        for row in story.rows("timeline", message_id)
    ]  # fmt: skip


# --- the timeline and the attempts --------------------------------------------------------------


def whole_story(story: Story) -> list[Callable[[], None]]:
    """Every kind of event of one message, as insertions that may come in any order."""

    def engaged(clock: str, kind: str, **values: Any) -> None:
        story.insert("engagements", event_id=f"{kind}{clock}", type=kind, occurred_at=at(clock),
                     message_id="m", **values)  # fmt: skip

    request = {"message_id": "m", "first_sent_at": at("10:00"), "channel": "sms"}
    decided = {"recipient": NUMBER, "channel": "sms"}
    return [
        lambda: story.message(attempts=2, status="delivered", delivered_at=at("11:05")),
        lambda: story.insert("message_texts", message_id="m", attempt=1, sent_at=at("10:00"),
                             text="Hello", version=1),
        lambda: story.insert("message_texts", message_id="m", attempt=2, sent_at=at("11:00:30"),
                             text="Hello", version=1),
        lambda: story.receipt("10:01", "queued", attempt=1, published_at=at("10:02")),
        lambda: story.receipt("10:03", "undelivered", error_code="27", error_text="absent",
                              provider="kannel"),
        lambda: story.insert("strikes", recipient=NUMBER, sent_at=at("10:00"), message_id="m",
                             struck=True, occurred_at=at("10:03"), code="27", version=1),
        lambda: story.insert("retry_requests", attempt=2, due_at=at("11:00"),
                             published_at=at("11:00:10"), recipient=NUMBER, version=1, **request),
        lambda: story.receipt("11:05", "delivered"),
        lambda: engaged("11:05:01", "click", link_id="l1"),
        lambda: engaged("11:10", "click", url="https://x.example/a"),
        lambda: engaged("11:20", "conversion"),
        lambda: engaged("11:30", "unsubscribe", channel="sms"),
        lambda: story.insert("suppression_requests", at=at("11:30"), action="unsubscribe",
                             who="recipient", why="message m", **decided),
        lambda: story.insert("suppression_requests", at=at("09:00"), action="release",
                             who="ann", why="before it", **decided),
        lambda: story.insert("suppression_requests", at=at("12:00"), action="suppress",
                             who="ann", why="complaint", recipient=NUMBER, channel="whatsapp"),
    ]  # fmt: skip


WHOLE = [
    ("10:00", "sent", "1", "", "", ""),
    ("10:01", "receipt", "1", "queued", "", ""),
    ("10:03", "receipt", "1, not named", "undelivered", "27", ""),
    ("10:03", "strike", "", "", "27", "a hard bounce that counts against the number"),
    ("11:00", "retry requested", "2", "", "", ""),
    ("11:00", "sent", "2", "", "", ""),
    ("11:05", "receipt", "2, not named", "delivered", "", ""),
    ("11:05", "click by a program", "", "", "", "l1"),
    ("11:10", "click", "", "", "", "https://x.example/a"),
    ("11:20", "conversion", "", "", "", ""),
    ("11:30", "unsubscribe", "", "", "", "sms"),
    ("11:30", "request: unsubscribe", "", "", "", "recipient, message m, sms"),
]


@pytest.mark.parametrize("seed", [1, 2])
def test_a_timeline_has_every_event_in_the_order_of_its_time(story: Story, seed: int) -> None:
    """Whatever the order of arrival. Events of the number before the message, or by another
    channel, are not part of it."""
    steps = whole_story(story)
    Random(seed).shuffle(steps)
    for step in steps:
        step()
    story.message("another")
    story.receipt("10:30", "rejected", "another")
    assert events(story) == WHOLE
    attempts = story.rows("attempts")
    assert [row["attempt"] for row in attempts] == [1, 2]
    assert [row["sent_at"] for row in attempts] == [at("10:00"), at("11:00:30")]
    assert [row["due_at"] for row in attempts] == [None, at("11:00")]
    assert [row["statuses"] for row in attempts] == ["queued, undelivered", "delivered"]
    assert [row["error_code"] for row in attempts] == ["27", ""]
    assert [row["receipts"] for row in attempts] == [2, 1]
    (sent,) = story.rows("sent")
    assert (sent["content"], sent["recipient"]) == ("Hello", NUMBER)


def test_a_receipt_shows_the_word_of_its_provider(story: Story) -> None:
    story.message()
    story.receipt("10:01", "queued", provider_status="BUFFRED")
    story.receipt("10:05", "delivered")
    rows = story.rows("timeline")
    shown = [(row["event"], row["status"], row["provider_status"]) for row in rows]
    assert shown == [("sent", "", ""), ("receipt", "queued", "BUFFRED"),
                     ("receipt", "delivered", "")]  # fmt: skip


def test_parts_and_receipts_of_one_moment(story: Story) -> None:
    """Receipts of one time are in the order in which they were published."""
    story.message()
    story.receipt("10:05", "delivered", part=2, parts=2, published_at=at("10:06"))
    story.receipt("10:05", "queued", part=1, parts=2, published_at=at("10:05"))
    rows = story.rows("timeline")[1:]
    assert [(row["part"], row["status"]) for row in rows] == [
        ("1 of 2", "queued"),
        ("2 of 2", "delivered"),
    ]


def test_a_receipt_that_names_no_attempt_is_about_the_latest_one_sent_before_it(
    story: Story,
) -> None:
    story.message(attempts=3)
    for attempt, clock in ((2, "11:00"), (3, "12:00")):
        story.insert("message_texts", message_id="m", attempt=attempt, sent_at=at(clock), version=1)
    for clock in ("09:59", "10:30", "11:00", "12:30"):
        story.receipt(clock, "queued")
    story.receipt("12:45", "undelivered", attempt=1)
    attempts = [row["attempt"] for row in story.rows("timeline") if row["event"] == "receipt"]
    assert attempts == ["1, not named", "1, not named", "2, not named", "3, not named", "1"]
    assert [row["receipts"] for row in story.rows("attempts")] == [3, 1, 1]


def test_clicks_of_programs(story: Story) -> None:
    """The publisher knows it, or the click came with the delivery or with another link."""
    story.message(delivered_at=at("10:10"), status="delivered")

    def click(clock: str, link: str, *, automated: bool = False) -> None:
        story.insert("engagements", event_id=f"{clock}{link}", type="click", message_id="m",
                     occurred_at=at(clock), link_id=link, automated=automated)  # fmt: skip

    click("10:10:02", "delivery")
    click("10:10:05", "person")
    click("10:11", "publisher", automated=True)
    click("10:12:00", "one")
    click("10:12:01", "other")
    click("10:13:00", "twice")
    click("10:13:01", "twice")
    found = {row["detail"]: row["event"] for row in story.rows("timeline")[1:]}
    assert {link for link, event in found.items() if event == "click by a program"} == {
        "delivery", "publisher", "one", "other",
    }  # fmt: skip
    assert {link for link, event in found.items() if event == "click"} == {"person", "twice"}


def test_an_attempt_that_was_requested_and_not_made(story: Story) -> None:
    story.message(status="undelivered", bounce="soft", failed_attempt=1,
                  next_attempt_at=at("11:00"), finalized_at=at("10:03"))  # fmt: skip
    assert story.rows("next")[0]["next_step"] == "attempt 2 will be requested of the sender"
    story.insert("retry_requests", message_id="m", attempt=2, first_sent_at=at("10:00"),
                 due_at=at("11:00"), recipient=NUMBER, channel="sms", version=1)  # fmt: skip
    (row,) = story.rows("next")
    assert row["next_step"] == "attempt 2 was requested of the sender"
    assert row["next_attempt_at"] == at("11:00")
    first, second = story.rows("attempts")
    assert (first["decides"], second["decides"], second["sent_at"]) == (True, False, None)
    assert events(story)[-1][:3] == ("11:00", "retry requested", "2")


def test_our_own_expiry_is_an_event(story: Story) -> None:
    story.message(status="undelivered", carrier_status="undelivered", bounce="soft", scope="time",
                  fail_reason="expired", failed_attempt=1, no_retry_reason="expired",
                  finalized_at=at("12:00"))  # fmt: skip
    assert events(story)[-1][:3] == ("12:00", "expired", "1")
    assert "validity" in story.rows("next")[0]["why"]


# --- our reading --------------------------------------------------------------------------------


def read(status: str, **given: str) -> str:
    """The reading of a receipt."""
    record = {"event": "receipt", "status": status, **given}
    names = ("bounce", "scope", "provider", "error_code", "error_text", "own_reason", "own_meaning")
    return reading_of(dict.fromkeys(names, "") | record)


@pytest.mark.parametrize(
    ("receipt", "reading"),
    [
        ({"status": "delivered"}, ""),
        ({"status": "queued", "error_code": "0", "provider": "twilio"}, ""),
        ({"status": "unknown"}, "decides nothing"),
        ({"status": "undelivered"}, "soft bounce: not explained by the provider"),
        ({"status": "rejected"}, "rejected: not explained by the provider"),
        (
            {"status": "undelivered", "provider": "twilio", "error_code": "30005"},
            "hard bounce, recipient: unknown subscriber",
        ),
        (
            {"status": "undelivered", "provider": "Twilio", "error_code": "030005",
             "bounce": "soft"},
            "soft bounce, recipient: unknown subscriber",
        ),
        ({"status": "undelivered", "bounce": "hard"}, "hard bounce, recipient: unknown subscriber"),
        ({"status": "undelivered", "error_text": "something else"}, f"soft bounce: {OTHER}"),
        (
            {"status": "undelivered", "provider": "whatsapp", "error_code": "131026"},
            "hard bounce, recipient: not on WhatsApp",
        ),
        (
            {"status": "undelivered", "provider": "twilio", "error_code": "30005",
             "own_meaning": '{"bounce": "soft", "scope": "network"}', "own_reason": "ported"},
            "soft bounce, network: ported",
        ),
        (
            {"status": "rejected", "bounce": "soft", "scope": "account"},
            "soft bounce, account: account not allowed",
        ),
    ],
)  # fmt: skip
def test_a_reading_is_the_receipts_else_the_accounts_else_that_of_our_table(
    receipt: dict[str, str], reading: str
) -> None:
    assert read(**receipt) == reading


def test_a_reading_names_an_opt_out() -> None:
    words = read("undelivered", provider="twilio", error_code="21610", bounce="soft")
    assert words.startswith("soft bounce")
    assert words.endswith("(opt-out)")


def test_readings_follow_the_settings_of_the_account(story: Story) -> None:
    story.message()
    story.insert("accounts", fail_reasons={"twilio:30005": "ported away"},
                 codes={"30005": '{"bounce": "soft"}'}, version=1)  # fmt: skip
    story.receipt("10:01", "undelivered", error_code="30005", provider="Twilio")
    assert story.rows("timeline")[1]["reading"] == "soft bounce, recipient: ported away"


def test_exports_have_the_reading_and_the_view_has_what_it_is_made_of(story: Story) -> None:
    story.message()
    story.receipt("10:01", "undelivered", error_code="30005")
    section, query = MESSAGE.section("timeline"), story.query()
    for columns in ((), ("at", "reading")):
        pieces = export(FORMATS["csv"], story.database, [section], query, columns)
        lines = b"".join(pieces).decode().splitlines()
        found = [row["reading"] for row in csv.DictReader(lines)]
        assert found == ["", "hard bounce, recipient: unknown subscriber"]
    viewed = story.database.rows(render_sql(section, query.parameters(section)), {})
    assert "reading" not in viewed.names
    assert {"bounce", "scope", "error_code", "own_meaning"} <= set(viewed.names)


# --- what happens next --------------------------------------------------------------------------


def test_every_reason_against_a_retry_has_a_sentence(story: Story) -> None:
    failed = {"status": "undelivered", "carrier_status": "undelivered", "failed_attempt": 1}
    whys = {}
    for reason in get_args(NoRetry):
        story.message(f"m-{reason}", no_retry_reason=reason, **failed)
        (row,) = story.rows("next", f"m-{reason}")
        assert row["next_step"] == "nothing"
        whys[reason] = row["why"]
    assert whys.pop("") == "no decision is stored"
    assert "no decision is stored" not in whys.values()
    assert len(set(whys.values())) == len(whys)


@pytest.mark.parametrize(
    ("values", "step", "why"),
    [
        ({}, "a receipt is awaited", "has not decided"),
        ({"status": "delivered", "carrier_status": "delivered"}, "nothing", "was delivered"),
        ({"status": "read", "carrier_status": "delivered"}, "nothing", "was delivered"),
        (
            {"status": "received", "direction": "inbound", "carrier_status": "",
             "platform_status": ""},
            "nothing",
            "was received",
        ),
    ],
)  # fmt: skip
def test_what_happens_next(story: Story, values: dict[str, str], step: str, why: str) -> None:
    story.message(**values)
    (row,) = story.rows("next")
    assert row["next_step"] == step
    assert why in row["why"]


def test_the_suppression_shown_is_that_of_the_channel(story: Story) -> None:
    story.message(sent_to_suppressed=True)
    story.message("w", channel="whatsapp")
    assert {row["suppressed"] for row in story.rows("next") + story.rows("next", "w")} == {"no"}
    known = {"recipient": NUMBER, "suppressed": True, "version": 1, "channel": "sms"}
    story.insert("suppression_records", reasons=["unsubscribed"], since=at("11:30"),
                 binds="marketing", **known)  # fmt: skip
    (sms,), (whatsapp,) = story.rows("next"), story.rows("next", "w")
    assert (sms["suppressed"], whatsapp["suppressed"]) == (
        "yes, for all but verification messages", "no",
    )  # fmt: skip
    assert (sms["suppressed_since"], sms["suppression_reasons"]) == (at("11:30"), "unsubscribed")
    assert (sms["sent_to_suppressed"], whatsapp["sent_to_suppressed"]) == (True, False)


def test_a_suppression_from_before_channels_is_one_of_every_channel(story: Story) -> None:
    story.message("w", channel="whatsapp")
    story.insert("suppression_records", recipient=NUMBER, suppressed=True, reasons=["manual"],
                 since=at("11:30"), until=at("23:00"), version=1)  # fmt: skip
    (row,) = story.rows("next", "w")
    assert row["suppressed"] == "yes, for all messages"
    assert row["suppressed_until"] == at("23:00")


# --- messages of which little or nothing is known -----------------------------------------------


def test_an_orphan_has_its_receipts_and_no_send(story: Story) -> None:
    story.insert("orphans", message_id="o", status="undelivered", bounce="hard", version=1,
                 scope="recipient", recipient=NUMBER, fail_reason="unknown subscriber")  # fmt: skip
    story.receipt("10:01", "undelivered", "o", error_code="30005", provider="twilio")
    (outcome,), (following,) = story.rows("outcome", "o"), story.rows("next", "o")
    assert (outcome["status"], outcome["fail_reason"]) == ("undelivered", "unknown subscriber")
    assert "its send is not known" in following["why"]
    assert story.rows("sent", "o") == []
    assert [row["event"] for row in story.rows("timeline", "o")] == ["receipt"]
    assert [row["attempt"] for row in story.rows("attempts", "o")] == [1]
    require_known(story.database, story.query("o"))


def test_receipts_or_clicks_alone_make_a_message_known(story: Story) -> None:
    story.receipt("10:01", "queued", "r")
    story.insert("engagements", event_id="e", type="click", occurred_at=at("10:01"), message_id="e")
    for name in ("r", "e"):
        require_known(story.database, story.query(name))
        assert "its send is not known" in story.rows("next", name)[0]["why"]


def test_an_unknown_message_is_a_mistake_with_the_form_wanted(story: Story) -> None:
    story.message("M")
    for name in ("m", "' OR 1=1 --"):
        with pytest.raises(InvalidQuery, match="is not known") as refused:
            require_known(story.database, story.query(name))
        (issue,) = refused.value.issues
        assert issue.where == "message_id"
        assert "in the same case" in issue.fix
        assert all(story.rows(section.name, name) == [] for section in MESSAGE.sections)


def test_a_message_is_that_of_the_truth(world: World) -> None:
    """What was sent and what became of it equal what the oracle expects."""
    truth = truth_of(world, biggest(world))
    names = [column.name for column in MESSAGE.section("sent").columns]
    compared = 0
    for name, message in list(truth.messages.items())[::97]:
        query = query_of(world, MESSAGE, truth.account, {"message_id": name})
        wanted = message_row(name, message, truth.texts.get(name, ""))
        (found,) = truth.shown(rows_of(world, query, "sent"))
        known = [one for one in names if one in wanted and one in found and one != "content"]
        assert only(found, known) == only(wanted, known)
        (outcome,) = rows_of(world, query, "outcome")
        rows_of(world, query, "next")
        assert outcome["status"] == message.status
        first = world.database.rows(
            MESSAGE.section("timeline").sql, query.parameters(MESSAGE.section("timeline"), 1)
        ).records()
        assert first[0]["event"] in ("sent", "received") or first[0]["at"] < found["sent_at"]
        compared += 1
    assert compared > 10
    assert ACCOUNT not in world.accounts
