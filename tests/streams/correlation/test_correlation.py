"""Which message a receipt is about: whatever comes first, twice or never."""

import itertools
import json
from typing import Any
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from models import reading
from models.correlation import (
    MAX_WAITING,
    Link,
    ReceivedReceipt,
    decode,
    encode,
    received,
)
from models.parsing import parse_receipt, parse_send
from models.providers.callback import ProviderReceipt
from models.refusal import Refusal
from models.time import rfc3339
from models.unmatched import decode as decode_unmatched
from streams.batching.stores.memory import MemoryStore
from tests.support.correlation_world import (
    RETENTION_DAYS,
    START_MS,
    UNMATCHED_DAYS,
    CorrelationWorld,
    days,
    twilio,
    whatsapp,
)
from tests.support.records import Record


@pytest.fixture
def world() -> CorrelationWorld:
    return CorrelationWorld(MemoryStore())


# --- by the sender's own reference ----------------------------------------------------------------


def test_a_reference_in_the_url_needs_no_id(world: CorrelationWorld) -> None:
    world.take(world.callback("twilio", twilio("SM1"), reference="acme/order-7/2"))
    (receipt,) = world.receipts()
    assert (receipt["message_id"], receipt["attempt"]) == ("order-7", 2)
    assert receipt["provider_message_id"] == "SM1"
    assert (receipt["status"], receipt["provider_status"]) == ("delivered", "delivered")


@pytest.mark.parametrize("word", ["DELIVRD", "x" * 64, "x" * 65, "é" * 500])
def test_the_provider_s_word_fits_the_contract(world: CorrelationWorld, word: str) -> None:
    """Whatever a provider writes, the receipt is read without a flaw."""
    world.take(world.callback("twilio", twilio("SM1", quote(word)), reference="acme/order-7"))
    (receipt,) = world.receipts()
    assert receipt["provider_status"] == word[:64]
    read = parse_receipt(json.dumps(receipt).encode(), world.now)
    assert not isinstance(read, Refusal)
    assert (read.provider_status, read.repaired) == (word[:64], ())


def test_a_reference_of_another_account_names_nothing(world: CorrelationWorld) -> None:
    world.take(world.callback("twilio-other", twilio("SM1"), reference="acme/order-7"))
    assert world.receipts() == []
    world.tick(days(UNMATCHED_DAYS))
    assert [row["reference"] for row in world.unmatched().values()] == ["acme/order-7"]


def test_an_echoed_reference_of_the_sender_is_looked_up(world: CorrelationWorld) -> None:
    status = {"id": "wamid.1", "status": "read", "biz_opaque_callback_data": "invoice 9"}
    body = {"entry": [{"changes": [{"value": {"statuses": [status]}}]}]}
    world.take(world.callback("meta", json.dumps(body).encode()))
    assert world.receipts() == []
    world.take(*world.send_link("acme", "whatsapp", "", "m-9", reference="invoice 9"))
    assert world.messages() == {("acme", "m-9", "read"): 1}
    world.tick(days(RETENTION_DAYS - 1))
    assert world.unmatched() == {}, "it also waited for its id, under which nothing came"
    found, waited = [record[1] for record in world.produced["unmatched-receipts"]]
    assert not decode_unmatched(found).reported
    assert decode_unmatched(waited).reported


# --- by the provider's id -------------------------------------------------------------------------


def test_a_receipt_waits_for_its_id(world: CorrelationWorld) -> None:
    world.take(world.callback("twilio", twilio("SM1", "sent")))
    world.take(world.callback("twilio", twilio("SM1")))
    assert world.receipts() == []
    world.take(world.provider_id(message_id="m1", provider_message_id="SM1"))
    assert world.messages() == {("acme", "m1", "sent"): 1, ("acme", "m1", "delivered"): 1}


def test_an_id_waits_for_its_receipts(world: CorrelationWorld) -> None:
    world.take(world.provider_id(message_id="m1", provider_message_id="SM1", attempt=3))
    world.take(world.callback("twilio", twilio("SM1")))
    (receipt,) = world.receipts()
    assert (receipt["message_id"], receipt["attempt"]) == ("m1", 3)


def test_an_id_never_crosses_accounts(world: CorrelationWorld) -> None:
    stolen = world.provider_id(account="other", message_id="m1", provider_message_id="SM1")
    world.take(stolen)
    world.take(world.callback("twilio", twilio("SM1")))
    assert world.receipts() == []
    world.take(world.callback("twilio-other", twilio("SM1")))
    assert world.messages() == {("other", "m1", "delivered"): 1}


def test_ids_are_compared_by_the_rule_of_the_endpoint(world: CorrelationWorld) -> None:
    world.take(*world.send_link("acme", "smsc", "33E95179", "m1"))
    world.take(world.callback("smsc", b"id:870928761 stat:DELIVRD done date:2609011200"))
    (receipt,) = world.receipts()
    assert (receipt["message_id"], receipt["provider_message_id"]) == ("m1", "870928761")


def test_an_id_of_a_batch_needs_the_recipient(world: CorrelationWorld) -> None:
    report = {"type": "recipient_delivery_report_sms", "batch_id": "b", "status": "Delivered"}
    world.take(world.provider_id(provider="sinch", message_id="m1", provider_message_id="b"))
    assert len(world.refused) == 1
    assert "recipient" in world.refused[0]
    for number, message_id in (("+447700900189", "m1"), ("+447700900187", "m2")):
        event = {"provider": "sinch", "provider_message_id": "b", "recipient": number}
        world.take(world.provider_id(message_id=message_id, **event))
    body = json.dumps({**report, "recipient": "447700900187"}).encode()
    world.take(world.callback("sinch", body))
    assert world.messages() == {("acme", "m2", "delivered"): 1}


def test_two_messages_with_one_id_are_the_first_one_s(world: CorrelationWorld) -> None:
    first = world.provider_id(message_id="m1", provider_message_id="SM1")
    world.now += 1_000
    second = world.provider_id(message_id="m0", provider_message_id="SM1")
    for order in ((first, second), (second, first)):
        world = CorrelationWorld(MemoryStore())
        for each in order:
            world.take(each)
        world.take(world.callback("twilio", twilio("SM1")))
        assert world.messages() == {("acme", "m1", "delivered"): 1}


def test_a_reference_of_a_campaign_names_no_message(world: CorrelationWorld) -> None:
    """Tags and callback data are often those of a campaign: the id decides, and nothing is lost."""
    count = 2 * MAX_WAITING
    for number in range(count):
        world.take(world.callback("meta", whatsapp(f"w{number}", reference="spring")))
    assert world.refused == []
    for number in range(count):
        found = world.send_link("acme", "whatsapp", f"w{number}", f"m{number}", "spring")
        world.take(*(each for each in found if b"reference" not in (each.key or b"")))
    assert world.messages() == {("acme", f"m{number}", "read"): 1 for number in range(count)}
    world.tick(days(UNMATCHED_DAYS))
    assert world.unmatched() == {}


def test_a_reference_of_several_messages_decides_nothing(world: CorrelationWorld) -> None:
    for number in range(3):
        world.take(*world.send_link("acme", "whatsapp", "", f"m{number}", "spring"))
    world.take(world.callback("meta", whatsapp("w9", reference="spring")))
    assert world.receipts() == []
    world.take(world.provider_id(provider="whatsapp", message_id="m9", provider_message_id="w9"))
    assert world.messages() == {("acme", "m9", "read"): 1}


def test_attempts_with_one_id_are_told_apart_by_time(world: CorrelationWorld) -> None:
    """The contract finds the attempt of a receipt that names none."""
    for attempt in (1, 2):
        world.now += 1_000
        event = {"message_id": "m1", "provider_message_id": "SM1", "attempt": attempt}
        world.take(world.provider_id(**event))
        world.take(world.callback("twilio", twilio("SM1", ("sent", "delivered")[attempt - 1])))
    first, second = world.receipts()
    assert (first["attempt"], second.get("attempt")) == (1, None)


def test_the_257th_receipt_of_an_id_is_a_dead_letter_and_repeats_are_not(
    world: CorrelationWorld,
) -> None:
    flood = [
        world.callback("smsc", b"id:1 stat:DELIVRD err:%03d" % number)
        for number in range(MAX_WAITING + 1)
    ]
    for _ in range(2):
        for each in flood:
            world.take(each)
    assert len(world.refused) == 2
    assert str(MAX_WAITING) in world.refused[0]
    world.take(world.provider_id(provider="smpp", message_id="m1", provider_message_id="1"))
    assert len(world.receipts()) == MAX_WAITING
    world.take(flood[-1])
    assert len(world.receipts()) == MAX_WAITING + 1, "after its id it is taken"


# --- never ----------------------------------------------------------------------------------------


def test_an_unmatched_receipt_is_reported_and_still_matched_later(world: CorrelationWorld) -> None:
    world.take(world.callback("twilio", twilio("SM1", To="%2B447700900123")))
    world.tick(days(UNMATCHED_DAYS) - 1)
    assert world.unmatched() == {}
    world.tick(1)
    (row,) = world.unmatched().values()
    assert (row["endpoint"], row["provider_message_id"], row["recipient"]) == (
        "twilio", "SM1", "+447700900123")  # fmt: skip
    world.tick(days(1))
    assert len(world.produced["unmatched-receipts"]) == 1, "it is reported once"
    world.take(world.provider_id(message_id="m1", provider_message_id="SM1"))
    assert world.messages() == {("acme", "m1", "delivered"): 1}
    assert world.unmatched() == {}
    found = decode_unmatched(world.produced["unmatched-receipts"][-1][1])
    assert (found.message_id, found.reported) == ("m1", True)


def test_nothing_is_kept_for_longer_than_the_retention(world: CorrelationWorld) -> None:
    world.take(world.callback("twilio", twilio("SM1")))
    world.take(world.provider_id(message_id="m2", provider_message_id="SM2"))
    world.tick(days(RETENTION_DAYS))
    world.tick()
    assert len(world.store) == 0
    assert len(world.unmatched()) == 1


# --- bad input ------------------------------------------------------------------------------------


def test_what_cannot_be_read_is_a_dead_letter_and_costs_itself_alone(
    world: CorrelationWorld,
) -> None:
    world.take(
        world.callback("nobody", b""),
        world.callback("twilio", b"MessageSid=SM1"),
        world.callback("twilio", twilio("SM2"), reference="acme/m2"),
    )
    assert world.messages() == {("acme", "m2", "delivered"): 1}
    assert len(world.refused) == 2
    assert "endpoint" in world.refused[0]
    assert "MessageStatus" in world.refused[1]


def test_a_callback_is_one_dead_letter_however_much_of_it_cannot_be_read(
    world: CorrelationWorld,
) -> None:
    good = {"id": "w", "status": "sent", "biz_opaque_callback_data": "acme/m1"}
    statuses = [good, {"status": "sent"}, {}, {"id": {}}, {**good, "status": "read"}]
    body = {"entry": [{"changes": [{"value": {"statuses": statuses}}]}]}
    world.take(world.callback("meta", json.dumps(body).encode()))
    assert world.messages() == {("acme", "m1", "sent"): 1, ("acme", "m1", "read"): 1}
    (detail,) = world.refused
    assert detail.startswith("statuses.id: missing")
    assert detail.endswith("; and 2 more of its 5 items")


def test_a_receipt_that_a_rule_raises_on_costs_itself_alone(
    world: CorrelationWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    def raising(receipt: ProviderReceipt, *rest: Any) -> ReceivedReceipt:
        assert receipt.word != "read"
        return received(receipt, *rest)

    monkeypatch.setattr(reading, "received", raising)
    status = {"id": "w", "biz_opaque_callback_data": "acme/m1"}
    statuses = [{**status, "status": word} for word in ("sent", "read", "delivered")]
    body = {"entry": [{"changes": [{"value": {"statuses": statuses}}]}]}
    world.take(world.callback("meta", json.dumps(body).encode()))
    assert world.messages() == {("acme", "m1", "sent"): 1, ("acme", "m1", "delivered"): 1}
    assert len(world.refused) == 1


@pytest.mark.parametrize("ahead_ms", [days(0.5), days(2), days(300), -days(10_000)])
def test_a_time_that_cannot_be_costs_itself_alone(world: CorrelationWorld, ahead_ms: int) -> None:
    at = rfc3339(world.now + ahead_ms)
    body = {"type": "recipient_delivery_report_sms", "batch_id": "b", "status": "Delivered",
            "client_reference": "acme/m1", "recipient": "447700900187", "at": at}  # fmt: skip
    world.take(world.callback("sinch", json.dumps(body).encode()))
    ((_, value),) = world.produced["receipts"]
    receipt = parse_receipt(value, world.now)
    assert not isinstance(receipt, Refusal)
    expected = world.now + ahead_ms if 0 < ahead_ms <= days(0.5) else world.now
    assert receipt.occurred_at == expected


@pytest.mark.parametrize("named", ["acme/m\x07", "acme/m1/101", "acme/" + "m" * 129])
def test_a_reference_that_cannot_be_a_message_names_none(
    world: CorrelationWorld, named: str
) -> None:
    world.take(world.callback("twilio", twilio("SM1"), reference=named))
    assert world.receipts() == []
    world.take(world.provider_id(message_id="m1", provider_message_id="SM1"))
    assert world.messages() == {("acme", "m1", "delivered"): 1}


def test_a_message_to_us_becomes_an_inbound_send(world: CorrelationWorld) -> None:
    message = {"id": "wamid.2/x=", "from": "447700900321", "timestamp": "1790000000",
               "type": "text", "text": {"body": "STOP"}}  # fmt: skip
    body = {"entry": [{"changes": [{"field": "messages", "value": {"messages": [message]}}]}]}
    world.take(world.callback("meta", json.dumps(body).encode()))
    ((_, value),) = world.produced["sends"]
    send = parse_send(value, world.now)
    assert (send.direction, send.recipient, send.text) == ("inbound", "+447700900321", "STOP")
    assert (send.message_id, send.provider_message_id) == ("wamid.2_x=", "wamid.2/x=")


@pytest.mark.parametrize("timestamp", [-1, START_MS + days(900)])
def test_a_record_whose_time_cannot_be_is_of_now(timestamp: int) -> None:
    world = CorrelationWorld(MemoryStore())
    world.take(world.provider_id(message_id="m1", provider_message_id="SM1")._replace(
        timestamp=timestamp))  # fmt: skip
    world.take(world.callback("twilio", twilio("SM2"))._replace(timestamp=timestamp, headers=(
        ("endpoint", b"twilio"), ("received-at", b"9999999999999"))))  # fmt: skip
    world.tick(days(1))
    world.take(world.callback("twilio", twilio("SM1")))
    assert world.messages() == {("acme", "m1", "delivered"): 1}
    world.tick(days(RETENTION_DAYS))
    world.tick(0)
    assert len(world.store) == 0


def test_records_of_our_topics_that_are_not_ours_are_refused(world: CorrelationWorld) -> None:
    world.take(world.callback("twilio", twilio("SM1")))
    (stored,) = (decode(value) for _, value in world.store.items_of(b""))
    (receipt,) = stored.waiting
    link = Link(START_MS, "m1", 1)
    keys = [b"\xff/twilio/SM1", b"acme", b"/x", b"acme/", b"", None]
    flawed = [
        *(("provider-receipts", key, receipt) for key in keys),
        *(("provider-links", key, link) for key in keys),
        ("provider-links", b"acme/x", replace(link, message_id="a/b")),
        ("provider-links", b"acme/x", replace(link, message_id="")),
        ("provider-links", b"acme/x", replace(link, attempt=101)),
        ("provider-links", b"acme/x", replace(link, at=-1)),
        ("provider-receipts", b"acme/x", replace(receipt, received_at=1)),
    ]
    for topic, key, fact in flawed:
        world.take(Record(topic, 0, 0, world.now, key, encode(fact)))
    assert len(world.refused) == len(flawed)
    assert len(world.store) == 1


@pytest.mark.parametrize("topic", ["provider-receipts", "provider-links"])
@given(key=st.none() | st.binary(max_size=20), value=st.none() | st.binary(max_size=60))
def test_garbage_in_our_own_topics_stops_nothing(
    topic: str, key: bytes | None, value: bytes | None
) -> None:
    world = CorrelationWorld(MemoryStore())
    world.take(Record(topic, 0, 0, world.now, key, value))


# --- replays --------------------------------------------------------------------------------------


def test_receipts_are_of_the_contract_and_equal_when_read_again(world: CorrelationWorld) -> None:
    first = world.callback("twilio", twilio("SM1", "undelivered", ErrorCode="30005"))
    world.now += 5_000
    world.take(first)
    world.take(world.provider_id(message_id="m1", provider_message_id="SM1"))
    world.take(first)
    one, again = (value for _, value in world.produced["receipts"])
    assert one == again
    receipt = parse_receipt(one, world.now)
    assert not isinstance(receipt, Refusal)
    assert not receipt.repaired
    assert receipt.occurred_at == first.timestamp


LINKS = [("twilio", "SM1", "m1"), ("twilio", "SM2", "m2"), ("smsc", "33E95179", "m3")]
CALLBACKS = [
    ("twilio", twilio("SM1", "sent")),
    ("twilio", twilio("SM1", "delivered")),
    ("twilio", twilio("SM2", "undelivered")),
    ("smsc", b"id:870928761 stat:UNDELIV err:001"),
    ("twilio-other", twilio("SM1", "read")),
]


@given(
    order=st.permutations(range(len(LINKS) + len(CALLBACKS))),
    again=st.lists(st.integers(0, len(LINKS) + len(CALLBACKS) - 1), max_size=4),
    restarts=st.sets(st.integers(0, 12), max_size=3),
)
def test_any_order_with_repeats_and_restarts_ends_in_the_same_receipts(
    order: list[int], again: list[int], restarts: set[int]
) -> None:
    world = CorrelationWorld(MemoryStore())
    for step, number in enumerate(itertools.chain(order, again)):
        world.now += 1_000
        if step in restarts:
            world.start()
        if number < len(LINKS):
            provider, provider_id, message_id = LINKS[number]
            event = {"provider": provider, "provider_message_id": provider_id}
            world.take(world.provider_id(message_id=message_id, **event))
        else:
            world.take(world.callback(*CALLBACKS[number - len(LINKS)]))
    assert world.messages() == {
        ("acme", "m1", "sent"): 1,
        ("acme", "m1", "delivered"): 1,
        ("acme", "m2", "undelivered"): 1,
        ("acme", "m3", "undelivered"): 1,
    }
    world.tick(days(UNMATCHED_DAYS))
    assert [row["account"] for row in world.unmatched().values()] == ["other"]
