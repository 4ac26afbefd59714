"""The event contract, one readable row a rule (docs/design.md, convergence)."""

import json
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest

from models.contract import MAX_EVENT_BYTES, MAX_TEXT, Campaign
from models.parsing import parse_campaign, parse_engagement, parse_receipt, parse_send
from models.refusal import Reason, Refusal

NOW_MS = 1_795_176_000_000  # 2026-11-20T12:00:00Z
SEND = {
    "account": "acme",
    "message_id": "m-1",
    "channel": "sms",
    "recipient": "+447700900123",
    "sent_at": "2026-11-20T12:00:00Z",
}
RECEIPT = {
    "account": "acme",
    "message_id": "m-1",
    "status": "delivered",
    "occurred_at": "2026-11-20T12:00:00Z",
}
ENGAGEMENT = {
    "account": "acme",
    "event_id": "e-1",
    "type": "click",
    "occurred_at": "2026-11-20T12:00:00Z",
    "message_id": "m-1",
}
CAMPAIGN = {
    "account": "acme",
    "campaign_id": "c-1",
    "name": "Spring",
    "updated_at": "2026-11-20T12:00:00Z",
}
ABSENT = object()


def encoded(event: dict[str, Any], changes: dict[str, Any]) -> bytes:
    changed = {k: v for k, v in {**event, **changes}.items() if v is not ABSENT}
    return json.dumps(changed).encode()


def test_a_send_with_only_the_required_fields_has_the_defaults():
    send = parse_send(encoded(SEND, {}), NOW_MS)
    assert not isinstance(send, Refusal)
    assert send.sent_at == NOW_MS
    assert (send.attempt, send.direction, send.source, send.segments) == (
        1,
        "outbound",
        "direct",
        1,
    )
    assert (send.credits, send.validity_s, send.text) == (0, None, None)


@pytest.mark.parametrize(
    ("written", "read_ms"),
    [
        ("2026-11-20T12:00:00Z", NOW_MS),
        ("2026-11-20t12:00:00z", NOW_MS),
        ("2026-11-20 12:00:00Z", NOW_MS),
        ("2026-11-20T17:30:00+05:30", NOW_MS),
        ("2026-11-20T12:00:00.25Z", NOW_MS + 250),
        ("2026-11-20T12:00:00.123456789Z", NOW_MS + 123),
        (NOW_MS, NOW_MS),
    ],
)
def test_times_come_as_rfc_3339_with_a_zone_or_as_epoch_milliseconds(written, read_ms):
    receipt = parse_receipt(encoded(RECEIPT, {"occurred_at": written}), NOW_MS)
    assert not isinstance(receipt, Refusal)
    assert receipt.occurred_at == read_ms


@pytest.mark.parametrize("written", ["spring/2026", "c-1", "50% off ☀"])
def test_a_slash_is_allowed_in_names_of_campaigns_events_and_links(written):
    send = parse_send(encoded(SEND, {"campaign_id": written}), NOW_MS)
    changes = {"campaign_id": written, "event_id": written, "link_id": written}
    click = parse_engagement(encoded(ENGAGEMENT, changes), NOW_MS)
    campaign = parse_campaign(encoded(CAMPAIGN, {"campaign_id": written}), NOW_MS)
    assert not isinstance(send, Refusal) and isinstance(campaign, Campaign)
    assert not isinstance(click, Refusal)
    assert {send.campaign_id, click.campaign_id, campaign.campaign_id} == {written}
    assert {click.event_id, click.link_id} == {written}
    assert send.repaired == click.repaired == campaign.repaired == ()


@pytest.mark.parametrize("letters", ["é", "\U0001f600"])
@pytest.mark.parametrize("escaped", [True, False])
def test_the_longest_text_fits_however_it_is_written(letters, escaped):
    value = json.dumps({**SEND, "text": letters * MAX_TEXT}, ensure_ascii=escaped).encode()
    send = parse_send(value, NOW_MS)
    assert not isinstance(send, Refusal)
    assert send.text == letters * MAX_TEXT
    assert send.repaired == ()


@pytest.mark.parametrize(
    ("channel", "direction", "recipient"),
    [
        ("sms", "outbound", "+447700900123"),
        ("whatsapp", "outbound", "US.13491208655302741918"),
        ("whatsapp", "outbound", "US.ENT.11815799212886844830"),
        ("whatsapp", "inbound", "BR.1393"),
        ("whatsapp", "outbound", "DE." + "a1" * 64),
        ("sms", "inbound", "68849"),
        ("sms", "inbound", "SUPPORT"),
        ("sms", "inbound", "Müller & Söhne, Zürich"),
        ("sms", "inbound", "x" * 32),
        ("sms", "inbound", "+123"),
        ("whatsapp", "inbound", "SUPPORT"),
    ],
)
def test_recipients_that_need_no_repair(channel, direction, recipient):
    changes = {"channel": channel, "direction": direction, "recipient": recipient}
    send = parse_send(encoded(SEND, changes), NOW_MS)
    assert not isinstance(send, Refusal), send
    assert (send.recipient, send.repaired) == (recipient, ())


@pytest.mark.parametrize("sender", ["", "  ", "x" * 33, "a\nb", "\u2028"])
def test_a_sender_of_an_inbound_message_is_short_and_printable(sender):
    refusal = parse_send(encoded(SEND, {"direction": "inbound", "recipient": sender}), NOW_MS)
    assert isinstance(refusal, Refusal)
    assert refusal.reason is Reason.BAD_NUMBER


@pytest.mark.parametrize("price", [0.045, "0.045"])
def test_credits_are_exact_decimals(price):
    send = parse_send(encoded(SEND, {"credits": price}), NOW_MS)
    assert not isinstance(send, Refusal)
    assert send.credits == Decimal("0.045")


def test_unknown_fields_are_ignored():
    assert not isinstance(parse_send(encoded(SEND, {"shoe_size": {"eu": 42}}), NOW_MS), Refusal)


def test_a_field_given_as_null_is_absent():
    receipt = parse_receipt(encoded(RECEIPT, {"bounce": None}), NOW_MS)
    assert not isinstance(receipt, Refusal)
    assert receipt.bounce is None


def test_a_retry_knows_when_the_message_was_sent_first():
    changes = {"attempt": 2, "first_sent_at": NOW_MS - 3_600_000}
    assert not isinstance(parse_send(encoded(SEND, changes), NOW_MS), Refusal)


def test_a_day_of_clock_skew_is_accepted_to_the_millisecond():
    at = NOW_MS + 86_400_000
    assert not isinstance(parse_receipt(encoded(RECEIPT, {"occurred_at": at}), NOW_MS), Refusal)
    assert isinstance(parse_receipt(encoded(RECEIPT, {"occurred_at": at + 1}), NOW_MS), Refusal)


def test_without_a_record_timestamp_no_time_lies_in_the_future():
    at = NOW_MS * 2
    assert not isinstance(parse_receipt(encoded(RECEIPT, {"occurred_at": at}), -1), Refusal)


def test_an_engagement_of_a_recipient_alone_is_accepted():
    changes = {"message_id": ABSENT, "recipient": "+447700900123", "type": "unsubscribe"}
    assert not isinstance(parse_engagement(encoded(ENGAGEMENT, changes), NOW_MS), Refusal)


def test_a_campaign_may_end_in_the_future_but_not_be_updated_there():
    later = NOW_MS + 30 * 86_400_000
    assert isinstance(parse_campaign(encoded(CAMPAIGN, {"ended_at": later}), NOW_MS), Campaign)
    refusal = parse_campaign(encoded(CAMPAIGN, {"updated_at": later}), NOW_MS)
    assert refusal == Refusal(
        Reason.BAD_TIME, "updated_at: more than a day after the record's timestamp"
    )


Refused = tuple[Callable[..., Any], dict[str, Any], str, object, Reason]
REFUSED: list[Refused] = [
    (parse_send, SEND, "account", ABSENT, Reason.MISSING_FIELD),
    (parse_send, SEND, "account", "", Reason.BAD_VALUE),
    (parse_send, SEND, "account", "a" * 65, Reason.BAD_VALUE),
    (parse_send, SEND, "account", "acme/eu", Reason.BAD_VALUE),
    (parse_send, SEND, "account", "acme\n", Reason.BAD_VALUE),
    (parse_send, SEND, "account", ["acme"], Reason.WRONG_TYPE),
    (parse_send, SEND, "account", None, Reason.WRONG_TYPE),
    (parse_send, SEND, "message_id", "m/1", Reason.BAD_VALUE),
    (parse_send, SEND, "message_id", "", Reason.BAD_VALUE),
    (parse_send, SEND, "message_id", True, Reason.WRONG_TYPE),
    (parse_send, SEND, "message_id", 1.5, Reason.WRONG_TYPE),
    (parse_send, SEND, "message_id", "m\u0000", Reason.BAD_VALUE),
    (parse_send, SEND, "message_id", "m\u2028", Reason.BAD_VALUE),
    (parse_send, SEND, "message_id", "m" * 129, Reason.BAD_VALUE),
    (parse_send, SEND, "channel", "fax", Reason.BAD_VALUE),
    (parse_send, SEND, "recipient", "07700900123", Reason.BAD_NUMBER),
    (parse_send, SEND, "recipient", "+0447700900", Reason.BAD_NUMBER),
    (parse_send, SEND, "recipient", "+44770090012345678", Reason.BAD_NUMBER),
    (parse_send, SEND, "recipient", 7700900123, Reason.BAD_NUMBER),
    (parse_send, SEND, "recipient", "68849", Reason.BAD_NUMBER),
    (parse_send, SEND, "recipient", "SUPPORT", Reason.BAD_NUMBER),
    (parse_send, SEND, "recipient", "US.13491208655302741918", Reason.BAD_NUMBER),
    (parse_send, SEND, "recipient", ["+447700900123"], Reason.BAD_NUMBER),
    (parse_send, SEND, "recipient", None, Reason.BAD_NUMBER),
    (parse_send, SEND, "recipient", ABSENT, Reason.MISSING_FIELD),
    (parse_send, SEND, "first_sent_at", "yesterday", Reason.BAD_TIME),
    (parse_send, SEND, "sent_at", None, Reason.BAD_TIME),
    (parse_send, SEND, "sent_at", "2026-11-20T12:00:00", Reason.BAD_TIME),
    (parse_send, SEND, "sent_at", "yesterday", Reason.BAD_TIME),
    (parse_send, SEND, "sent_at", "1795176000000", Reason.BAD_TIME),
    (parse_send, SEND, "sent_at", 1_795_176_000, Reason.BAD_TIME),
    (parse_send, SEND, "sent_at", "1999-12-31T23:59:59Z", Reason.BAD_TIME),
    (parse_send, SEND, "sent_at", "2026-11-21T12:00:01Z", Reason.BAD_TIME),
    (parse_send, SEND, "sent_at", "2026-02-30T12:00:00Z", Reason.BAD_TIME),
    (parse_send, SEND, "sent_at", 1.5, Reason.BAD_TIME),
    (parse_send, SEND, "sent_at", True, Reason.BAD_TIME),
    (parse_send, SEND, "attempt", 0, Reason.BAD_VALUE),
    (parse_send, SEND, "attempt", 101, Reason.BAD_VALUE),
    (parse_send, SEND, "attempt", "1", Reason.WRONG_TYPE),
    (parse_send, SEND, "attempt", True, Reason.WRONG_TYPE),
    (parse_send, SEND, "attempt", 2, Reason.MISSING_FIELD),
    (parse_receipt, RECEIPT, "status", "lost", Reason.BAD_VALUE),
    (parse_receipt, RECEIPT, "status", 5, Reason.BAD_VALUE),
    (parse_receipt, RECEIPT, "status", None, Reason.BAD_VALUE),
    (parse_receipt, RECEIPT, "status", ABSENT, Reason.MISSING_FIELD),
    (parse_receipt, RECEIPT, "attempt", 101, Reason.BAD_VALUE),
    (parse_receipt, RECEIPT, "occurred_at", {}, Reason.BAD_TIME),
    (parse_engagement, ENGAGEMENT, "type", "applause", Reason.BAD_VALUE),
    (parse_engagement, ENGAGEMENT, "event_id", "e" * 129, Reason.BAD_VALUE),
    (parse_engagement, ENGAGEMENT, "message_id", ABSENT, Reason.MISSING_FIELD),
    (parse_engagement, ENGAGEMENT, "message_id", "m/1", Reason.BAD_VALUE),
    (parse_campaign, CAMPAIGN, "name", ABSENT, Reason.MISSING_FIELD),
    (parse_campaign, CAMPAIGN, "name", ["Spring"], Reason.WRONG_TYPE),
    (parse_campaign, CAMPAIGN, "campaign_id", "c" * 129, Reason.BAD_VALUE),
    (parse_campaign, CAMPAIGN, "updated_at", "today", Reason.BAD_TIME),
]


@pytest.mark.parametrize(("parse", "event", "field", "value", "reason"), REFUSED)
def test_what_the_contract_refuses_names_the_field(parse, event, field, value, reason):
    refusal = parse(encoded(event, {field: value}), NOW_MS)
    assert isinstance(refusal, Refusal), refusal
    assert refusal.reason is reason
    named = "first_sent_at" if (field, value) == ("attempt", 2) else field
    assert refusal.detail.startswith(f"{named}: ")
    assert "pattern" not in refusal.detail  # words, not a regular expression


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        (None, Reason.EMPTY),
        (b"", Reason.EMPTY),
        (b"{", Reason.NOT_JSON),
        (b"\xff\xfe{}", Reason.NOT_JSON),
        (b'{"account": "\xff"}', Reason.NOT_JSON),
        (b"[" * 5_000, Reason.NOT_JSON),
        (b'{"account": "\\ud800"}', Reason.NOT_JSON),
        (b"[]", Reason.NOT_OBJECT),
        (b'"text"', Reason.NOT_OBJECT),
        (b"null", Reason.NOT_OBJECT),
        (b"{}", Reason.MISSING_FIELD),
        (b" " * (MAX_EVENT_BYTES + 1), Reason.OVERSIZED),
    ],
)
@pytest.mark.parametrize("parse", [parse_send, parse_receipt, parse_engagement, parse_campaign])
def test_what_is_no_event_at_all_is_refused(parse, value, reason):
    refusal = parse(value, NOW_MS)
    assert isinstance(refusal, Refusal)
    assert refusal.reason is reason
    assert refusal.detail
