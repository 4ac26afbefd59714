"""The published JSON Schemas describe what is read as it is: no more of what decides, no less."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
import regress
from jsonschema import Draft202012Validator, ValidationError
from jsonschema.validators import extend

from models.codes import STATUSES
from models.parsing import parse_campaign, parse_engagement, parse_receipt, parse_send
from models.provider_ids import ProviderId, parse_provider_id
from models.refusal import Refusal
from models.schemas import EVENTS, schema_text
from tests.models.test_contract import CAMPAIGN, ENGAGEMENT, NOW_MS, RECEIPT, SEND
from tests.models.test_repair import WHOLE

PARSE = {
    "sends": parse_send,
    "receipts": parse_receipt,
    "engagements": parse_engagement,
    "campaigns": parse_campaign,
    "provider-ids": lambda value, _: parse_provider_id(value),
}
PROVIDER_ID = {
    "account": "acme",
    "message_id": "m1",
    "provider": "twilio",
    "provider_message_id": "SM1",
}
BASE = {
    "sends": SEND,
    "receipts": RECEIPT,
    "engagements": ENGAGEMENT,
    "campaigns": CAMPAIGN,
    "provider-ids": PROVIDER_ID,
}


def _pattern(_: object, pattern: str, text: object, __: object) -> Iterator[ValidationError]:
    """Patterns of JSON Schema are those of ECMAScript, which has classes of Unicode."""
    if isinstance(text, str) and regress.Regex(pattern, "u").find(text) is None:
        yield ValidationError(f"{text!r} does not match {pattern}")


Validator = extend(Draft202012Validator, {"pattern": _pattern})
SCHEMAS = {topic: Validator(json.loads(schema_text(topic))) for topic in EVENTS}

BR = "BR.1393"
READ: list[tuple[str, dict[str, Any], bool]] = [
    *((topic, {}, True) for topic in EVENTS),
    ("sends", {"recipient": BR}, False),
    ("sends", {"recipient": BR, "channel": "whatsapp"}, True),
    ("sends", {"recipient": "US.ENT.118", "channel": "whatsapp"}, True),
    ("sends", {"recipient": BR, "direction": "inbound"}, True),
    ("sends", {"recipient": "68849"}, False),
    ("sends", {"recipient": "68849", "channel": "whatsapp"}, False),
    ("sends", {"recipient": "68849", "direction": "inbound"}, True),
    ("sends", {"recipient": "SUPPORT", "direction": "inbound"}, True),
    ("sends", {"recipient": "x" * 33, "direction": "inbound"}, False),
    ("sends", {"recipient": "", "direction": "inbound"}, False),
    ("sends", {"recipient": "a\nb", "direction": "inbound"}, False),
    ("sends", {"recipient": "+447700900123", "direction": "inbound"}, True),
    ("sends", {"attempt": 2}, False),
    ("sends", {"attempt": 2, "first_sent_at": NOW_MS}, True),
    ("sends", {"campaign_id": "spring/2026"}, True),
    ("sends", {"message_id": "m/1"}, False),
    ("receipts", {"status": "unknown"}, True),
    ("receipts", {"status": "DELIVRD"}, True),
    ("receipts", {"part": 1, "parts": 2, "price": 0.05, "currency": "EUR"}, True),
    ("engagements", {"type": "conversion", "channel": "sms", "automated": True}, True),
    ("engagements", {"message_id": None, "recipient": BR}, True),
]


@pytest.mark.parametrize(("topic", "changes", "valid"), READ)
def test_the_schema_and_the_parser_agree(topic, changes, valid):
    event = {k: v for k, v in {**BASE[topic], **changes}.items() if v is not None}
    read = PARSE[topic](json.dumps(event).encode(), NOW_MS)
    assert SCHEMAS[topic].is_valid(event) is valid
    assert isinstance(read, Refusal) is not valid


@pytest.mark.parametrize(
    ("topic", "changes"),
    [
        ("receipts", {"part": 1}),
        ("receipts", {"price": 0.05}),
        ("receipts", {"bounce": "medium"}),
        ("receipts", {"error_code": 30005}),
        ("receipts", {"mccmnc": 23415}),
        ("receipts", {"recipient": "447700900123"}),
        ("sends", {"text": "x" * 32_769}),
        ("sends", {"recipient": "447700900123"}),
        ("sends", {"country": "gb"}),
    ],
)
def test_what_is_mended_does_not_fit_the_schema(topic, changes):
    event = {**BASE[topic], **changes}
    read = PARSE[topic](json.dumps(event).encode(), NOW_MS)
    assert read.repaired
    assert not SCHEMAS[topic].is_valid(event)


@pytest.mark.parametrize("topic", EVENTS)
def test_an_event_with_every_field_fits(topic):
    whole = {**WHOLE, ProviderId: {**PROVIDER_ID, "attempt": 2, "recipient": "+447700900123"}}
    event = whole[EVENTS[topic]]
    assert set(event) == set(SCHEMAS[topic].schema["properties"])
    SCHEMAS[topic].validate(event)


def test_the_schema_lists_our_status_words():
    listed = SCHEMAS["receipts"].schema["properties"]["status"]["anyOf"][0]["enum"]
    assert set(listed) == set(STATUSES.values())
