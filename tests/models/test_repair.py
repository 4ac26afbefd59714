"""A small flaw never costs the event: what is mended, what is left out, and that it is named."""

import json
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.contract import MAX_TEXT, Campaign, Engagement, Event, Receipt, Send
from models.parsing import parse_campaign, parse_engagement, parse_receipt, parse_send
from models.refusal import Reason, Refusal
from models.suppression_requests import SuppressionRequest, parse_request
from tests.models.test_contract import CAMPAIGN, ENGAGEMENT, NOW_MS, RECEIPT, SEND, encoded

Parse = Callable[[bytes, int], Any]
REQUEST = {"account": "acme", "recipient": "+447700900123", "action": "suppress", "at": NOW_MS}
PARSE: dict[type[Event], Parse] = {
    Send: parse_send,
    Receipt: parse_receipt,
    Engagement: parse_engagement,
    Campaign: parse_campaign,
    SuppressionRequest: parse_request,
}
BASE: dict[type[Event], dict[str, Any]] = {
    Send: SEND,
    Receipt: RECEIPT,
    Engagement: ENGAGEMENT,
    Campaign: CAMPAIGN,
    SuppressionRequest: REQUEST,
}


def read(kind: type[Event], **changes: Any) -> Any:
    found = PARSE[kind](encoded(BASE[kind], changes), NOW_MS)
    assert not isinstance(found, Refusal), found
    return found


Mended = tuple[type[Event], str, Any, Any]
#: (event, field, as it came, as it is read); None: it is left out
MENDED: list[Mended] = [
    # Too long: cut.
    (Send, "text", "é" * (MAX_TEXT + 1), "é" * MAX_TEXT),
    (Send, "text", "\U0001f600" * (MAX_TEXT + 1), "\U0001f600" * MAX_TEXT),
    (Send, "sender_id", "s" * 257, "s" * 256),
    (Send, "campaign_id", "c" * 129, "c" * 128),
    (Send, "message_type", "m" * 65, "m" * 64),
    (Send, "template", "t" * 300, "t" * 256),
    (Send, "category", "c" * 300, "c" * 64),
    (Send, "reference", "r" * 300, "r" * 256),
    (Receipt, "reason", "r" * 1_025, "r" * 1_024),
    (Receipt, "error_code", "9" * 65, "9" * 64),
    (Engagement, "url", "https://example.com/" + "x" * 2_048, "https://example.com/" + "x" * 2_028),
    (Engagement, "user_agent", "u" * 1_025, "u" * 1_024),
    (Engagement, "link_id", "l" * 257, "l" * 256),
    (Campaign, "name", "n" * 257, "n" * 256),
    (Campaign, "text", "t" * (MAX_TEXT + 1), "t" * MAX_TEXT),
    (SuppressionRequest, "why", "w" * 1_025, "w" * 1_024),
    # Whole numbers where a text is expected: their digits.
    (Send, "account", 7, "7"),
    (Send, "message_id", 123, "123"),
    (Send, "campaign_id", 2026, "2026"),
    (Send, "external_id", 10**25, "1" + "0" * 25),
    (Send, "sender_id", 68849, "68849"),
    (Receipt, "message_id", 123, "123"),
    (Receipt, "error_code", 30005, "30005"),
    (Receipt, "error_code", -1, "-1"),
    (Receipt, "error_code", 30005.0, "30005"),
    (Receipt, "provider_message_id", 2**63, str(2**63)),
    (Engagement, "event_id", 5, "5"),
    (Engagement, "link_id", 5, "5"),
    (Campaign, "name", 2026, "2026"),
    (SuppressionRequest, "who", 5, "5"),
    # Neither a text nor a whole number.
    (Send, "text", ["a", "b"], None),
    (Send, "text", {"body": "hi"}, None),
    (Send, "text", True, None),
    (Send, "provider", 1.5, None),
    (Send, "provider", 2.0**60, None),
    (Send, "campaign_id", "", None),
    (Send, "campaign_id", "a\nb", None),
    (Send, "email", 5, None),
    (Send, "email", "a" * 257, None),
    (Receipt, "reason", [], None),
    (SuppressionRequest, "why", ["by hand"], ""),
    # Words of ours in other letters; others have no meaning.
    (Send, "channel", "WhatsApp", "whatsapp"),
    (Send, "direction", "Inbound", "inbound"),
    (Send, "direction", "sideways", "outbound"),
    (Send, "source", "CAMPAIGN", "campaign"),
    (Send, "source", "billboard", "direct"),
    (Receipt, "bounce", "Hard ", "hard"),
    (Receipt, "bounce", "medium", None),
    (Receipt, "bounce", 1, None),
    (Receipt, "scope", "RECIPIENT", "recipient"),
    (Receipt, "scope", "weather", None),
    (Receipt, "scope", "", None),
    (Engagement, "type", "Unsubscribe", "unsubscribe"),
    (Engagement, "channel", "SMS", "sms"),
    (Engagement, "channel", "fax", None),
    (SuppressionRequest, "action", "Suppress", "suppress"),
    (SuppressionRequest, "channel", "fax", None),
    # Numbers.
    (Send, "segments", "2", 2),
    (Send, "segments", 2.5, 1),
    (Send, "segments", -1, 1),
    (Send, "segments", 256, 1),
    (Send, "segments", "two", 1),
    (Send, "segments", True, 1),
    (Send, "credits", -1, 0),
    (Send, "credits", "much", 0),
    (Send, "credits", 1e-7, 0),
    (Send, "credits", 10**30, 0),
    (Send, "credits", 0.12345678, Decimal("0.123457")),
    (Send, "credits", "0.12345678", Decimal("0.123457")),
    (Send, "credits", True, 0),
    (Send, "credits", [1], 0),
    (Send, "validity_s", 59, None),
    (Send, "validity_s", 604_801, None),
    (Send, "validity_s", "3600", 3_600),
    (Campaign, "target_audience", -1, None),
    (Campaign, "target_audience", "50000", 50_000),
    (Engagement, "automated", "true", True),
    (Engagement, "automated", "0", False),
    (Engagement, "automated", "perhaps", False),
    # Codes of countries and networks.
    (Send, "country", "gb", "GB"),
    (Send, "country", "uk", "GB"),
    (Send, "country", "XX", None),
    (Send, "direction", "MO", "inbound"),
    (Send, "country", "GBR", None),
    (Send, "country", 44, None),
    (Receipt, "mccmnc", 23415, "23415"),
    (Receipt, "mccmnc", "310-260", None),
    (Receipt, "mccmnc", "1234", None),
    (Receipt, "currency", "eur", "EUR"),
    (Receipt, "currency", "euro", None),
    (Receipt, "currency", "€", None),
    (Receipt, "currency", 978, None),
    # Halves.
    (Receipt, "part", 1, None),
    (Receipt, "price", "0.05", None),
    # Numbers of recipients, as people write them.
    (Send, "recipient", "447700900123", "+447700900123"),
    (Send, "recipient", "0044 7700-900123", "+447700900123"),
    (Send, "recipient", "+44 (0)7521-191830", "+447521191830"),
    (Send, "recipient", 447700900123, "+447700900123"),
    (Send, "recipient", " +447700900123\n", "+447700900123"),
    (Receipt, "recipient", "447700900123", "+447700900123"),
    (Receipt, "recipient", 447700900123, "+447700900123"),
    (Receipt, "recipient", "07700900123", None),
    (Receipt, "recipient", {"phone": "+447700900123"}, None),
    (Engagement, "recipient", "whatsapp:+447700900123", "+447700900123"),
    (Engagement, "recipient", "nobody", None),
    (SuppressionRequest, "recipient", "44 7700 900123", "+447700900123"),
    # Times that identify nothing.
    (Receipt, "received_at", "yesterday", None),
    (Receipt, "received_at", "2030-01-01T00:00:00Z", None),
    (Receipt, "received_at", "1795176000000", None),
    (Receipt, "received_at", [], None),
    (Campaign, "created_at", "1970-01-01T00:00:00Z", None),
    (Campaign, "ended_at", "soon", None),
    (SuppressionRequest, "account", 7, "7"),
]


@pytest.mark.parametrize(("kind", "field", "came", "meant"), MENDED)
def test_a_flawed_field_is_mended_or_left_out_and_named(kind, field, came, meant):
    event = read(kind, **{field: came})
    assert getattr(event, field) == meant
    assert event.repaired == (field,)
    untouched = set(BASE[kind]) - {field}
    clean = read(kind)
    assert {name: getattr(event, name) for name in untouched} == {
        name: getattr(clean, name) for name in untouched
    }


@pytest.mark.parametrize(("kind", "base"), BASE.items())
def test_a_clean_event_names_nothing(kind, base):
    assert read(kind).repaired == ()
    assert read(kind, repaired=["status"], decides=[], readers={}).repaired == ()


@pytest.mark.parametrize("kind", BASE)
def test_null_is_absent_and_no_flaw(kind):
    optional = [name for name, field in kind.model_fields.items() if not field.is_required()]
    needed = BASE[kind].keys()
    event, absent = read(kind, **dict.fromkeys(set(optional) - needed)), read(kind)
    for name in kind.model_fields:
        assert getattr(event, name) == getattr(absent, name), name
    assert event.repaired == ()


def test_several_flaws_are_mended_at_once_and_named_in_order():
    receipt = read(
        Receipt, status="DELIVRD", bounce="SOFT", error_code=7, scope="moon", recipient="44", part=2
    )
    assert (receipt.status, receipt.bounce, receipt.error_code) == ("delivered", "soft", "7")
    assert receipt.scope is receipt.recipient is receipt.part is None
    assert receipt.repaired == ("bounce", "error_code", "part", "recipient", "scope")


def test_one_flaw_behind_another():
    assert read(Send, campaign_id=10**200).campaign_id == "1" + "0" * 127
    assert read(Send, segments="300").segments == 1
    assert read(Receipt, mccmnc=1234).mccmnc is None


@pytest.mark.parametrize(
    ("came", "read_as", "repaired"),
    [
        ({"part": 2, "parts": 3}, (2, 3), ()),
        ({"part": "2", "parts": "3"}, (2, 3), ("part", "parts")),
        ({"part": 2, "parts": " 3 "}, (2, 3), ("parts",)),
        ({"part": 4, "parts": 3}, (None, 3), ("part",)),
        ({"part": 0, "parts": 3}, (3, 3), ("part",)),
        ({"part": 0, "parts": None}, (None, None), ("part",)),
        ({"part": 2, "parts": "many"}, (None, None), ("part", "parts")),
        ({"part": 2, "parts": 256}, (None, None), ("part", "parts")),
        ({"parts": 3}, (None, 3), ()),
        ({"part": 2, "parts": None}, (None, None), ("part",)),
    ],
)
def test_a_part_needs_the_number_of_parts(came, read_as, repaired):
    receipt = read(Receipt, **came)
    assert (receipt.part, receipt.parts) == read_as
    assert receipt.repaired == repaired


@pytest.mark.parametrize(
    ("came", "price", "repaired"),
    [
        ({"price": 0.05, "currency": "EUR"}, Decimal("0.05"), ()),
        ({"price": "-0.05", "currency": "EUR"}, Decimal("-0.05"), ()),
        ({"price": "0.05", "currency": "eur"}, Decimal("0.05"), ("currency",)),
        ({"price": "0.03330000", "currency": "EUR"}, Decimal("0.03330000"), ()),
        ({"price": "0.1234567890123", "currency": "EUR"}, Decimal("0.123457"), ("price",)),
        ({"price": "free", "currency": "EUR"}, None, ("price",)),
        ({"price": "NaN", "currency": "EUR"}, None, ("price",)),
        ({"price": 0.05, "currency": "euros"}, None, ("currency", "price")),
        ({"currency": "EUR"}, None, ()),
    ],
)
def test_a_price_needs_its_currency(came, price, repaired):
    receipt = read(Receipt, **came)
    assert receipt.price == price
    assert receipt.repaired == repaired


# --- the status -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("word", "status"),
    [
        ("delivered", "delivered"),
        ("sent", "sent"),
        ("unknown", "unknown"),
        ("UNKNOWN", "unknown"),
        ("accepted", "queued"),
        ("Sending", "queued"),
        ("buffered", "sent"),
        ("ENROUTE", "sent"),
        ("failed", "undelivered"),
        ("Expired", "undelivered"),
        ("seen", "read"),
        ("DELIVRD", "delivered"),
        ("REJECTD", "rejected"),
        ("delivery-failed", "undelivered"),
        (" Delivery Failed. ", "undelivered"),
        ("dElIvErEd", "delivered"),
    ],
)
def test_a_status_word_is_read_as_one_of_ours_and_no_repair(word, status):
    receipt = read(Receipt, status=word)
    assert (receipt.status, receipt.repaired) == (status, ())
    assert read(Receipt, status=word, error_code=7).repaired == ("error_code",)


def test_a_word_that_is_not_listed_is_refused_with_the_place_of_the_list():
    refusal = parse_receipt(encoded(RECEIPT, {"status": "lost"}), NOW_MS)
    assert isinstance(refusal, Refusal)
    assert refusal.reason is Reason.BAD_VALUE
    assert refusal.detail.startswith("status: ") and "docs/semantics.md" in refusal.detail


# --- recipients of sends --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("written", "recipient", "repaired"),
    [
        ("68849", "68849", ()),
        ("SUPPORT", "SUPPORT", ()),
        (68849, "68849", ("recipient",)),
        ("447700900123", "+447700900123", ("recipient",)),
        ("+44 7700 900123", "+447700900123", ("recipient",)),
        (" SUPPORT ", "SUPPORT", ("recipient",)),
    ],
)
def test_an_inbound_message_comes_from_any_sender(written, recipient, repaired):
    send = read(Send, direction="inbound", recipient=written)
    assert (send.recipient, send.repaired) == (recipient, repaired)
    loud = read(Send, direction="INBOUND", recipient=written)
    assert (loud.direction, loud.recipient) == ("inbound", recipient)
    assert loud.repaired == ("direction", *repaired)


def test_an_inbound_message_may_have_other_flaws():
    send = read(Send, direction="inbound", recipient="68849", segments="2", text=5)
    assert (send.recipient, send.segments, send.text) == ("68849", 2, "5")
    assert send.repaired == ("segments", "text")


# --- engagements and requests ---------------------------------------------------------------------


@pytest.mark.parametrize("message_id", ["m/1", "", "x" * 129, ["m-1"]])
def test_an_unsubscribe_with_a_recipient_survives_a_wrong_message(message_id):
    event = read(Engagement, type="unsubscribe", message_id=message_id, recipient="44 7700 900123")
    assert (event.message_id, event.recipient) == (None, "+447700900123")
    assert event.repaired == ("message_id", "recipient")


@pytest.mark.parametrize(
    ("changes", "field", "reason"),
    [
        ({"message_id": None, "recipient": "nobody"}, "recipient", Reason.BAD_NUMBER),
        ({"message_id": "m/1", "recipient": "nobody"}, "recipient", Reason.BAD_NUMBER),
        ({"message_id": "m/1"}, "message_id", Reason.BAD_VALUE),
    ],
)
def test_an_engagement_about_nobody_is_refused(changes, field, reason):
    refusal = parse_engagement(encoded(ENGAGEMENT, changes), NOW_MS)
    assert isinstance(refusal, Refusal)
    assert refusal.reason is reason
    assert refusal.detail.startswith(f"{field}: ")


@pytest.mark.parametrize(
    ("kind", "changes", "field"),
    [
        (Engagement, {"type": "resubscribe", "channel": "fax"}, "channel"),
        (
            Engagement,
            {"type": "resubscribe", "message_id": "m/1", "recipient": "+447700900123"},
            "message_id",
        ),
        (SuppressionRequest, {"action": "release", "channel": "fax"}, "channel"),
        (SuppressionRequest, {"action": "Resubscribe", "channel": ["sms"]}, "channel"),
    ],
)
def test_what_allows_messages_again_never_allows_more_than_it_names(kind, changes, field):
    refusal = PARSE[kind](encoded(BASE[kind], changes), NOW_MS)
    assert isinstance(refusal, Refusal)
    assert refusal.reason is Reason.BAD_VALUE
    assert refusal.detail.startswith(f"{field}: ")


def test_what_allows_messages_again_may_have_other_flaws():
    event = read(Engagement, type="resubscribe", channel="SMS", url=5)
    assert (event.channel, event.repaired) == ("sms", ("channel", "url"))
    request = read(SuppressionRequest, action="release", channel="SMS", why=5)
    assert (request.channel, request.repaired) == ("sms", ("channel", "why"))


# --- the JSON around the fields -------------------------------------------------------------------


def value_with(field: str, json_text: bytes, base: dict[str, Any] = SEND) -> bytes:
    return json.dumps({**base, field: "@"}).encode().replace(b'"@"', json_text)


@pytest.mark.parametrize(
    ("written", "text"),
    [
        (rb'"Hi \ud83d"', "Hi \ufffd"),
        (rb'"Hi \ude00!"', "Hi \ufffd!"),
        (rb'"Hi \u0000"', "Hi \ufffd"),
        (b'"Hi \x00"', "Hi \ufffd"),
        (rb'"\ud83d\ude00 \ud83d"', "\U0001f600 \ufffd"),
        (b'"caf\xe9"', "caf\ufffd"),
        (b'"\xed\xa0\xbd"', "\ufffd\ufffd\ufffd"),
    ],
)
def test_what_is_not_text_becomes_the_replacement_character(written, text):
    send = parse_send(value_with("text", written), NOW_MS)
    assert not isinstance(send, Refusal), send
    assert (send.text, send.repaired) == (text, ("text",))


@pytest.mark.parametrize("written", [rb'"\\u0000"', rb'"\ud83d\ude00"', b'"\\"'])
def test_what_only_looks_like_it_is_untouched(written):
    value = value_with("text", written) if written != b'"\\"' else value_with("text", rb'"\\"')
    send = parse_send(value, NOW_MS)
    assert not isinstance(send, Refusal)
    assert (send.text, send.repaired) == (json.loads(value)["text"], ())


def test_an_id_that_is_not_text_is_refused_and_not_made_equal_to_another():
    for written in (rb'"m\ud83d"', b'"m\x00"', b'"m\xe9"'):
        refusal = parse_receipt(value_with("message_id", written, RECEIPT), NOW_MS)
        assert isinstance(refusal, Refusal)
        assert refusal.reason is Reason.NOT_JSON
        assert refusal.detail.startswith("message_id: ")


@pytest.mark.parametrize("written", [rb'"m\ud83d"', rb'"m\u0000"', b'"m\xe9"'])
def test_an_engagement_whose_message_is_not_text_has_its_recipient(written):
    alone = value_with("message_id", written, ENGAGEMENT)
    refusal = parse_engagement(alone, NOW_MS)
    assert isinstance(refusal, Refusal)
    assert refusal.detail.startswith("message_id: ")
    both = value_with("message_id", written, {**ENGAGEMENT, "recipient": "+447700900123"})
    event = parse_engagement(both, NOW_MS)
    assert not isinstance(event, Refusal), event
    assert (event.message_id, event.recipient) == (None, "+447700900123")
    assert event.repaired == ("message_id",)


def test_a_name_with_nul_and_a_flaw_elsewhere_are_both_mended():
    send = parse_send(value_with("sender_id", rb'"A\u0000"', {**SEND, "campaign_id": 7}), NOW_MS)
    assert not isinstance(send, Refusal)
    assert (send.sender_id, send.campaign_id) == ("A\ufffd", "7")
    assert send.repaired == ("campaign_id", "sender_id")


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        (b"\xef\xbb\xbf" + encoded(RECEIPT, {}), None),
        (b"\xef\xbb\xbf" + encoded(RECEIPT, {"reason": "x"}), "x"),
        (value_with("shoe_size", b'"\xff"', RECEIPT), None),
        (value_with("shoe_size", b"[" * 300 + b"]" * 300, RECEIPT), None),
        (value_with("reason", b'"two\nlines"', RECEIPT), "two\nlines"),
    ],
)
def test_flaws_around_the_fields_are_named_value(value, reason):
    receipt = parse_receipt(value, NOW_MS)
    assert not isinstance(receipt, Refusal), receipt
    assert (receipt.reason, receipt.repaired) == (reason, ("value",))


def test_numbers_that_no_computer_reads_do_not_cost_the_event():
    send = parse_send(value_with("segments", b"9" * 5_000), NOW_MS)
    assert not isinstance(send, Refusal)
    assert (send.segments, send.repaired) == (1, ("segments",))
    send = parse_send(value_with("credits", b"NaN"), NOW_MS)
    assert not isinstance(send, Refusal)
    assert (send.credits, send.repaired) == (0, ("credits",))


# --- any flaw -------------------------------------------------------------------------------------

WHOLE: dict[type[Event], dict[str, Any]] = {
    Send: {
        **SEND,
        "attempt": 2,
        "first_sent_at": NOW_MS - 1,
        "direction": "outbound",
        "source": "campaign",
        "sender_id": "ACME",
        "sent_by": "ann",
        "campaign_id": "spring/2026",
        "message_type": "marketing",
        "text": "Hi",
        "segments": 2,
        "credits": 0.5,
        "provider": "north",
        "platform": "web",
        "country": "GB",
        "external_id": "x-1",
        "email": "a@example.com",
        "validity_s": 3_600,
        "provider_message_id": "p-1",
        "template": "welcome",
        "category": "utility",
        "reference": "r-1",
    },
    Receipt: {
        **RECEIPT,
        "attempt": 1,
        "bounce": "hard",
        "scope": "recipient",
        "error_code": "1",
        "reason": "no such number",
        "provider": "north",
        "provider_message_id": "p-1",
        "recipient": "+447700900123",
        "received_at": NOW_MS,
        "part": 1,
        "parts": 2,
        "mccmnc": "23415",
        "provider_status": "DELIVRD",
        "price": 0.05,
        "currency": "EUR",
    },
    Engagement: {
        **ENGAGEMENT,
        "recipient": "+447700900123",
        "campaign_id": "spring/2026",
        "link_id": "l/1",
        "url": "https://example.com/",
        "channel": "sms",
        "user_agent": "Mozilla/5.0",
        "automated": True,
    },
    Campaign: {
        **CAMPAIGN,
        "message_type": "marketing",
        "text": "Hi",
        "creator": "ann",
        "method": "web",
        "status": "sent",
        "target_audience": 5,
        "audience": "all",
        "created_at": NOW_MS,
        "started_at": NOW_MS,
        "ended_at": NOW_MS,
        "last_modified_by": "ann",
    },
    SuppressionRequest: {**REQUEST, "who": "ann", "why": "asked", "channel": "sms"},
}
#: Fields that mean nothing without another one.
HALVES = {"parts": {"part"}, "currency": {"price"}}
FLAWS = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=40)
    | st.sampled_from(["", "\x00", "\ud83d", "9" * 50, "x" * 40_000, 10**30, -1, "NaN", "+", "á"]),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(), inner, max_size=2),
    max_leaves=4,
)  # fmt: skip


def may_be_flawed(kind: type[Event]) -> list[str]:
    decides = kind.decides or frozenset[str]()
    return sorted(
        name
        for name, field in kind.model_fields.items()
        if name not in decides and not field.is_required()
    )


@given(st.data(), st.sampled_from(list(WHOLE)), FLAWS)
def test_no_flaw_of_a_field_that_does_not_decide_costs_the_event_or_another_field(
    data: st.DataObject, kind: type[Event], flaw: Any
) -> None:
    field = data.draw(st.sampled_from(may_be_flawed(kind)))
    value = json.dumps({**WHOLE[kind], field: flaw}).encode("utf-8", "surrogatepass")
    clean = PARSE[kind](json.dumps(WHOLE[kind]).encode(), NOW_MS)
    event = PARSE[kind](value, NOW_MS)
    assert not isinstance(event, Refusal), event
    touched = {field} | HALVES.get(field, set())
    assert set(event.repaired) <= touched | {"value"}
    for name in set(kind.model_fields) - touched:
        assert getattr(event, name) == getattr(clean, name), name


@given(st.sampled_from(list(WHOLE)), st.data())
def test_whatever_is_wrong_the_answer_is_an_event_or_a_refusal_that_names_a_field(
    kind: type[Event], data: st.DataObject
) -> None:
    fields = data.draw(st.lists(st.sampled_from(sorted(kind.model_fields)), max_size=4))
    flaws = {field: data.draw(FLAWS) for field in fields}
    event = PARSE[kind](json.dumps({**WHOLE[kind], **flaws}).encode(), NOW_MS)
    if isinstance(event, Refusal):
        assert event.detail.partition(":")[0] in {*kind.model_fields, "value"}
    else:
        assert set(event.repaired) <= {*fields, "part", "price", "value"}
        assert event.repaired == tuple(sorted(event.repaired))
