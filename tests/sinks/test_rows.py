"""From records to rows: pure, and no record makes it raise."""

import json
from decimal import Decimal

import msgspec
import pytest

from models.contract import Campaign
from models.counters import COUNT_NAMES, cell_key, encode_cell, encode_retired, retired_key
from models.keys import FORWARDED
from models.message_row import MESSAGE_COLUMNS, MessageRow
from models.refusal import MAX_DETAIL, Reason, Refusal
from models.settings import Topic
from sinks.dead_letters import origin_of
from sinks.mapped_batch import MappedBatch
from sinks.rows import TOPICS, map_records
from sinks.tables import COUNTERS, MESSAGES
from tests.support.fakes import T0, counts_of, headers_of, receipt, send, state, state_record
from tests.support.records import Record

LIMIT = 65_536


def mapped(topic: Topic, *records: Record) -> MappedBatch:
    return map_records({topic: records}, LIMIT)


def row_of(found: MappedBatch, table: str, place: int = 0) -> dict[str, object]:
    rows = found.tables[table]
    return dict(zip(rows.table.names, rows.rows[place], strict=True))


def event(topic: str, body: object, key: bytes = b"acme/m1") -> Record:
    value = body if isinstance(body, bytes) else json.dumps(body).encode()
    return Record(topic, 0, 7, T0, key, value)


def test_a_message_row_holds_the_columns_of_messages_in_order() -> None:
    columns = tuple(column.name for column in MESSAGE_COLUMNS)
    assert MessageRow._fields[1 : 1 + len(columns)] == columns
    assert MESSAGES.names == (*columns, "is_deleted")


def test_a_cell_holds_the_columns_of_counters_in_order() -> None:
    assert COUNTERS.names[-len(COUNT_NAMES) :] == COUNT_NAMES


def test_a_state_becomes_a_message() -> None:
    known = state(9, send(credits=Decimal("1.5"), segments=2), receipt("delivered"))
    found = mapped("message-states", state_record(known))
    row = row_of(found, "messages")
    assert row["status"] == "delivered"
    assert row["credits"] == 1_500_000
    assert row["sent_at"] == T0
    assert row["delivered_at"] == T0 + 5000
    assert (row["read_at"], row["version"], row["is_deleted"]) == (0, 9, 0)
    assert set(found.tables) == {"messages"}


def test_receipts_alone_become_an_orphan() -> None:
    known = state(
        3, receipt("undelivered", bounce="hard", provider_message_id="p1", reason="no such number")
    )
    row = row_of(mapped("message-states", state_record(known)), "orphans")
    assert (row["status"], row["bounce"], row["scope"]) == ("undelivered", "hard", "recipient")
    assert (row["provider_message_id"], row["occurred_at"]) == ("p1", T0 + 5000)
    assert row["error_text"] == "no such number"
    assert (row["version"], row["is_deleted"]) == (3, 0)


def test_a_send_for_an_orphan_deletes_it_with_the_same_version() -> None:
    known = state(4, send(), receipt("delivered"), orphaned=True)
    found = mapped("message-states", state_record(known))
    assert row_of(found, "messages")["is_deleted"] == 0
    gone = row_of(found, "orphans")
    assert (gone["version"], gone["is_deleted"]) == (4, 1)


def test_a_moved_message_deletes_its_old_sort_key_with_the_same_version() -> None:
    known = state(5, send(sent_at=T0 + 400), send(sent_at=T0))
    found = mapped("message-states", state_record(known))
    live, gone = row_of(found, "messages"), row_of(found, "messages", 1)
    assert (live["sent_at"], live["is_deleted"], live["version"]) == (T0, 0, 5)
    assert (gone["sent_at"], gone["is_deleted"], gone["version"]) == (T0 + 400, 1, 5)


def test_tombstones_leave_no_trace_but_a_count() -> None:
    dead = Record("message-states", 0, 1, T0, b"acme/m1", None)
    found = mapped("message-states", dead)
    cells = mapped("status-counters", dead._replace(topic="status-counters"))
    campaign = mapped("campaigns", dead._replace(topic="campaigns"))
    for seen, topic in ((found, "message-states"), (cells, "status-counters")):
        assert seen.skipped == {(topic, "tombstone"): 1}
        assert seen.tables == {}
        assert seen.refused == []
    assert campaign.skipped == {("campaigns", "tombstone"): 1}


def test_a_cell_keeps_its_zeroes() -> None:
    key = cell_key("hour", T0, ("acme", "sms", "direct", "DE", "p", ""), 3)
    cell = Record(
        "status-counters", 3, 0, T0, key, encode_cell(8, counts_of(segments=2, credits=1_000_001))
    )
    row = row_of(mapped("status-counters", cell), "status_counters")
    assert (row["kind"], row["window_start"], row["shard"], row["version"]) == ("hour", T0, 3, 8)
    assert (row["submitted"], row["segments"], row["credits"]) == (0, 2, 1_000_001)


def test_the_mark_of_retired_days_is_no_cell() -> None:
    mark = Record("status-counters", 3, 0, T0, retired_key(3), encode_retired(1, 20_000))
    found = mapped("status-counters", mark)
    assert (found.tables, found.refused) == ({}, [])


@pytest.mark.parametrize("topic", ["message-states", "status-counters"])
@pytest.mark.parametrize(
    ("key", "value"),
    [
        (b"acme/m1", b""),
        (b"acme/m1", b"\xff\xfe\x00"),
        (b"acme/m1", msgspec.msgpack.encode([1, [["x"]]])),
        (b"acme/m1", msgspec.msgpack.encode({"version": 1})),
        (b"no slash", b"\x90"),
        (b"\xff/m1", b"\x90"),
        (None, b"\x90"),
    ],
)
def test_an_unreadable_record_becomes_a_dead_letter(
    topic: Topic, key: bytes | None, value: bytes
) -> None:
    record = Record(topic, 0, 0, T0, key, value)
    found = mapped(topic, record)
    assert [(refused, refusal.reason) for refused, refusal in found.refused] == [
        (record, Reason.BAD_ROW)
    ]
    assert found.refused[0][1].detail.startswith("value: cannot be read (")
    assert found.tables == {}


def test_one_unreadable_record_does_not_stop_the_others() -> None:
    good = state_record(state(1, send()))
    found = mapped("message-states", good, good._replace(value=b"\xc1"), good)
    assert len(found.tables["messages"].rows) == 2
    assert len(found.refused) == 1


SEND = send().model_dump(exclude_none=True, mode="json") | {"sent_at": T0, "credits": 1}


def test_the_text_of_a_send_has_a_row_of_its_own() -> None:
    row = row_of(mapped("sends", event("sends", SEND | {"text": "Grüße 👋"})), "message_texts")
    assert (row["message_id"], row["attempt"], row["text"]) == ("m1", 1, "Grüße 👋")


def test_a_hidden_name_is_read_too() -> None:
    value = json.dumps(SEND | {"text": "hi"}).replace('"text"', '"te\\u0078t"').encode()
    assert row_of(mapped("sends", event("sends", value)), "message_texts")["text"] == "hi"


def test_of_two_sends_of_one_attempt_the_earlier_has_the_greater_version() -> None:
    versions = [
        row_of(
            mapped("sends", event("sends", SEND | {"text": text, "sent_at": at})), "message_texts"
        )["version"]
        for text, at in (("a", T0), ("b", T0 + 1), ("c", T0 + 1))
    ]
    assert versions[0] > max(versions[1:])  # type: ignore[type-var]
    assert versions[1] != versions[2]


def test_sends_without_text_and_refused_ones_have_no_row() -> None:
    found = mapped(
        "sends",
        event("sends", SEND),
        event("sends", SEND | {"text": ""}),
        event("sends", SEND | {"text": "x", "channel": "fax"}),
        event("sends", b'{"text"'),
        Record("sends", 0, 0, T0, None, None),
    )
    assert (found.tables, found.refused) == ({}, [])
    assert found.skipped == {("sends", "refused"): 2}


RECEIPT: dict[str, object] = {
    "account": "acme", "message_id": "m1", "occurred_at": T0 - 9, "attempt": 2,
    "status": "undelivered", "bounce": "soft", "scope": "network", "error_code": "E1",
    "reason": "no route", "provider": "north", "provider_message_id": "p1",
    "recipient": "+4915112345678", "part": 2, "parts": 3, "mccmnc": "26201",
    "price": "-0.0075", "currency": "EUR", "received_at": T0 - 5, "provider_status": "UNDELIV",
}  # fmt: skip


def test_a_receipt_has_a_row_as_it_came() -> None:
    record = event("receipts", RECEIPT)._replace(partition=3, offset=70)
    row = row_of(mapped("receipts", record), "receipt_events")
    expected = {name: value for name, value in RECEIPT.items() if name != "reason"}
    assert row == expected | {
        "error_text": "no route",
        "price": -7_500,
        "partition": 3,
        "offset": 70,
        "published_at": T0,
        "repaired": (),
    }


@pytest.mark.parametrize(
    ("given", "shown"),
    [
        ({"status": "DELIVRD"}, ("delivered", "DELIVRD")),
        ({"status": "delivrd"}, ("delivered", "DELIVRD")),
        ({"status": "ttl-expired"}, ("undelivered", "ttl_expired")),
        ({"status": "delivered"}, ("delivered", "")),
        ({"status": "delivered", "provider_status": "DELIVRD"}, ("delivered", "DELIVRD")),
        ({"status": "EXPIRED", "provider_status": "6"}, ("undelivered", "6")),
    ],
)
def test_the_provider_s_word_is_kept_whichever_field_has_it(
    given: dict[str, str], shown: tuple[str, str]
) -> None:
    """A word that was given as the status, as our list spells it."""
    record = event("receipts", {**RECEIPT, "provider_status": None, **given})
    row = row_of(mapped("receipts", record), "receipt_events")
    assert (row["status"], row["provider_status"]) == shown


def test_a_receipt_that_gives_nothing_more_has_empty_columns() -> None:
    bare = {name: RECEIPT[name] for name in ("account", "message_id", "status", "occurred_at")}
    row = row_of(mapped("receipts", event("receipts", bare)), "receipt_events")
    assert {name: value for name, value in row.items() if not value} == {
        **dict.fromkeys(("bounce", "scope", "error_code", "error_text", "provider"), ""),
        **dict.fromkeys(("provider_message_id", "recipient", "mccmnc", "currency"), ""),
        "provider_status": "",
        **dict.fromkeys(("partition", "attempt", "part", "parts", "price", "received_at"), 0),
        "repaired": (),
    }


def test_a_rerouted_copy_of_a_receipt_and_a_refused_one_have_no_row() -> None:
    copy = event("receipts", RECEIPT)._replace(headers=(("trace", b"1"), (FORWARDED, b"1")))
    found = mapped(
        "receipts",
        event("receipts", RECEIPT)._replace(headers=(("trace", b"1"),)),
        copy,
        event("receipts", RECEIPT | {"message_id": ""}),
        Record("receipts", 0, 0, T0, b"acme/m1", None),
        event("receipts", b"{"),
    )
    assert len(found.tables["receipt_events"].rows) == 1
    assert found.refused == []
    assert found.skipped == {("receipts", "rerouted"): 1, ("receipts", "refused"): 3}


def test_an_engagement_has_a_row_and_a_refused_one_has_none() -> None:
    click = {"account": "acme", "event_id": "e1", "type": "click", "occurred_at": T0}
    found = mapped(
        "engagements",
        event("engagements", click | {"message_id": "m1", "url": "https://x.example/"}),
        event("engagements", click),
    )
    row = row_of(found, "engagements")
    assert (row["event_id"], row["message_id"], row["recipient"]) == ("e1", "m1", "")
    assert found.skipped == {("engagements", "refused"): 1}


def test_no_two_columns_of_a_row_by_position_are_swapped() -> None:
    click = {
        "account": "acme", "event_id": "e1", "type": "click", "occurred_at": T0, "message_id": "m1",
        "recipient": "+551187654321", "campaign_id": "c1", "link_id": "l1", "url": "u",
        "channel": "sms", "user_agent": "Slackbot", "automated": True,
    }  # fmt: skip
    row = row_of(mapped("engagements", event("engagements", click)), "engagements")
    assert {name: row[name] for name in click} == click
    assert row["person"] == "+5511987654321"
    text = row_of(mapped("sends", event("sends", SEND | {"text": "hi"})), "message_texts")
    names = ("account", "message_id", "sent_at", "text")
    assert tuple(text[name] for name in names) == ("acme", "m1", T0, "hi")
    dimensions = ("acme", "sms", "direct", "DE", "p", "c1")
    key, numbers = cell_key("hour", T0, dimensions, 3), tuple(range(len(COUNT_NAMES)))
    cell = Record("status-counters", 3, 0, T0, key, encode_cell(8, numbers))
    row = row_of(mapped("status-counters", cell), "status_counters")
    names = ("account", "channel", "source", "country", "provider", "campaign_id")
    assert tuple(row[name] for name in names) == dimensions
    assert tuple(row[name] for name in COUNT_NAMES) == numbers


def test_a_row_by_name_has_each_column_once() -> None:
    values = dict.fromkeys(MESSAGES.names, 1)
    assert MESSAGES.row(**values) == (1,) * len(values)
    with pytest.raises(KeyError, match="is_deleted"):
        MESSAGES.row(**{name: 1 for name in values if name != "is_deleted"})
    with pytest.raises(TypeError, match=r"messages has no columns .*'more'"):
        MESSAGES.row(**values, more=1)


def test_a_refused_campaign_becomes_a_dead_letter() -> None:
    campaign = {"account": "acme", "campaign_id": "c", "name": "Sale", "updated_at": T0}
    found = mapped(
        "campaigns", event("campaigns", campaign), event("campaigns", campaign | {"name": [3]})
    )
    assert row_of(found, "campaigns")["name"] == "Sale"
    assert found.accepted == {("campaigns", "campaign"): 1}
    assert found.refused[0][1] == Refusal(Reason.WRONG_TYPE, found.refused[0][1].detail)


def test_repaired_fields_of_campaigns_are_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Campaign, "repaired", ("text", "creator"))
    campaign = {"account": "acme", "campaign_id": "c", "name": "Sale", "updated_at": T0}
    found = mapped("campaigns", *[event("campaigns", campaign)] * 2)
    assert found.repaired == {("campaigns", "text"): 2, ("campaigns", "creator"): 2}


def test_a_newer_campaign_has_the_greater_version() -> None:
    campaign = {"account": "acme", "campaign_id": "c", "name": "Sale", "updated_at": T0}
    found = mapped(
        "campaigns",
        event("campaigns", campaign | {"updated_at": T0 + 1}),
        event("campaigns", campaign),
    )
    newer, older = (row_of(found, "campaigns", place)["version"] for place in (0, 1))
    assert newer > older  # type: ignore[operator]


def test_headers_come_back_as_they_went() -> None:
    record = Record("t", 3, 2**40, T0, b"\xff", None)
    refusal = Refusal(Reason.BAD_ROW, "völlig \ud800 falsch" + "x" * 5000)
    letter = Record("dead-letters", 3, 5, T0 + 1, None, None, headers_of(record, refusal))
    origin = origin_of(letter)
    assert origin[:5] == ("t", 3, 2**40, T0, "bad_row")
    assert origin.detail == refusal.detail[:MAX_DETAIL].replace("\ud800", "?")


@pytest.mark.parametrize(
    "headers",
    [
        (),
        (("topic", b"t"),),
        (("topic", b"\xff"),),
        tuple((name, b"9" * 30) for name in (*Record._fields, "time", "reason", "detail")),
    ],
)
def test_a_letter_without_readable_headers_is_kept_under_its_own_place(
    headers: tuple[tuple[str, bytes], ...],
) -> None:
    letter = Record("dead-letters", 2, 5, T0, b"\x00", b"\xff", headers)
    row = row_of(mapped("dead-letters", letter), "dead_letter_records")
    assert (row["topic"], row["partition"], row["offset"]) == ("dead-letters", 2, 5)
    assert (row["reason"], row["key"], row["value"]) == ("internal_error", b"\x00", b"\xff")


def test_every_topic_has_a_mapper_that_takes_anything() -> None:
    for topic in TOPICS:
        for key in (None, b"", b"\xff\x00", b"a/b"):
            for value in (None, b"", b"\xff\x00", b"{}", b"[]", b"\x90"):
                mapped(topic, Record(topic, 0, 0, -1, key, value))
