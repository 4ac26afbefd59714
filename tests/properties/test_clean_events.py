"""Whatever is in a value: a clean event is exactly what the contract's models make of it."""

import json
from collections.abc import Callable, Mapping
from typing import Any, Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deploy.simulator.traffic.generate import generate
from deploy.simulator.traffic.load_profiles import SHAPES
from models.clean_events import clean_engagement, clean_receipt, clean_send
from models.codes import STATUSES
from models.contract import MAX_EVENT_BYTES, Engagement, Event, Receipt, Send
from models.parsing import validated
from models.refusal import Refusal
from tests.properties.events import NOON_MS
from tests.properties.hostile import VALUES

Clean = Callable[[bytes | None, int], Event | None]
CLEAN: Final[Mapping[type[Event], Clean]] = {
    Send: clean_send,
    Receipt: clean_receipt,
    Engagement: clean_engagement,
}
KINDS: Final = {"sends": Send, "receipts": Receipt, "engagements": Engagement}

#: Of each field: values that are taken, and values at the edge of what is.
TIMES = [
    "2026-11-20T12:00:00Z", "2026-11-20T12:00:59.999Z", "2026-11-20T12:00:60Z",
    "2026-11-20t12:00:00z", "2026-11-20 12:00:00.5+05:30",
    "2026-11-20T12:00:00.123456789-00:00", "2026-11-20T12:00:00.1234Z", "2026-11-20T12:00:00",
    "2026-11-20T12:00:00.123", "2026-11-20T12:00:00+0530", "2026-11-20T12:00Z",
    "2026-02-31T12:00:00Z", "2026-11-20T24:00:00Z", "2026-11-20T12:00:00.Z",
    "2026-11-20T12:00:0Z", "2026-W47-5T12:00:00.123Z", "20261120T120000.123456Z",
    "٢٠٢٦-11-20T12:00:00Z", "2026-11-20T12:00:٠٠Z", "2026-11-20T12:00:00.٠٠٠Z",
    "2026-11-20T12:00:00Z\n", "2026-11-20T12:00:00.264+25:00", "0000-01-01T00:00:00Z",
    "2026-11-20T12:00:00.264+05:30", "2026-11-20T12:00:00+05:30", "2026-11-20T12:00:00.264Z ",
    "1795176000000", 0, 1, -1, 1_795_176_000_000, 1_795_176_000, 253_402_300_799_999,
    253_402_300_800_000, 1.5, 10**30,
]  # fmt: skip
TEXTS = [
    "", "a", "a b", "a/b", "/", " a", "a ", "\x7f", "\t", "é", "\u00a0", "\u00ad", "\u2028",
    "\U000e0001", "😀", "x" * 64, "x" * 65, "é" * 64, "x" * 128, "x" * 129, "x" * 256,
    "x" * 257, "x" * 1_024, "x" * 1_025, "x" * 2_048, "x" * 2_049, "\\u0000", "a\x00b",
    "A-Z_0.9", "a\n", "ａ",
]  # fmt: skip
PEOPLE = [
    "+447700900123", "+4477009001234567", "+0447700900123", "447700900123", "+44 7700 900123",
    "+٤٤٧٧٠٠٩٠٠١٢٣", "+447700900123\n", "US.13491208655302741918", "US.ENT.1349", "us.1349",
    "US.", "ACME", "",
]  # fmt: skip
AMOUNTS = [
    0, 0.04, "0.0925", "1e2", 1e2, 1e-7, -0.0, -0.05, "-0.05", 123_456_789.123456,
    1_234_567_890.1, "NaN", "Infinity", " 1", "1_0", "+1", "0.100000", "0.1000000",
    0.1234567890123, "0.1234567890123", 999.123456789012, 1_000.5, 123_456.123456789012,
    "0.1234567", "١", True, 10**30, 0.30000000000000004, "0.0000001", "1.", ".5", "",
]  # fmt: skip
NUMBERS = [0, 1, 100, 101, 255, 256, -1, 1.0, "1", True, 10**30]
EDGES: Final[Mapping[str, list[Any]]] = {
    **dict.fromkeys(("sent_at", "first_sent_at", "occurred_at", "received_at"), TIMES),
    **dict.fromkeys(("recipient",), PEOPLE),
    **dict.fromkeys(("credits", "price"), AMOUNTS),
    "status": [*STATUSES, "delivered", "DELIVERED", "Delivered", "dELIVERED", "unknown", "sent "],
    "mccmnc": ["23415", "234150", "2341", "2341500", "٢٣٤١٥", "23415\n", 23415],
    "currency": ["EUR", "eur", "EURO", "EUR\n", "ＥＵＲ"],
    "country": ["GB", "gb", "XX", "UK", "GB "],
    "channel": ["sms", "whatsapp", "rcs", "SMS"],
    "direction": ["outbound", "inbound", "out"],
    "source": ["direct", "campaign", "new"],
    "bounce": ["soft", "hard", "HARD", "none"],
    "scope": ["recipient", "time", "moon"],
    "type": ["click", "unsubscribe", "resubscribe", "conversion", "open"],
    "automated": [True, False, 0, "true"],
    "part": [1, 2, 3, 0, 255, 256, 1.0, True],
    "parts": [1, 2, 255, 256, 0],
    **dict.fromkeys(("attempt", "segments"), NUMBERS),
    "validity_s": [59, 60, 604_800, 604_801],
}  # fmt: skip
NEEDED: Final[Mapping[type[Event], dict[str, Any]]] = {
    Send: {"account": "acme", "message_id": "m-1", "channel": "sms", "recipient": "+447700900123"}
    | {"sent_at": "2026-11-20T12:00:00.264Z"},
    Receipt: {"account": "acme", "message_id": "m-1", "status": "delivered"}
    | {"occurred_at": "2026-11-20T12:00:00.264Z"},
    Engagement: {"account": "acme", "event_id": "e-1", "type": "click", "message_id": "m-1"}
    | {"occurred_at": "2026-11-20T12:00:00.264Z"},
}
PIECES = [
    b"", b"\xff", b"\xed\xa0\x80", b"\x00", b"\\u0000", b"\\ud800", b'"', b"\\", b",", b"{",
    b"}", b"[", b" ", b"\t", b"0", b"-", b"1e999", b"NaN", b"null", b"\xef\xbb\xbf", b"\\n",
    b"\xc0\x80",
]  # fmt: skip
#: Members of an object that no event has, or that another one repeats.
EXTRAS = [
    b'"x":"\xff"', b'"x":"\xed\xa0\x80"', b'"\xff":1', b'"x":"\xc0\x80"', b'"x":"\\ud800"',
    b'"x":NaN', b'"x":' + b"9" * 5_000, b'"x":-' + b"9" * 4_400,
    b'"x":' + b"[" * 300 + b"]" * 300, b'"x":' + b'{"a":' * 300 + b"1" + b"}" * 300,
    b'"x":' + b"[" * 150 + b"]" * 150, b'"x":1e400', b'"x":1e999', b'"x":01', b'"x":1.',
    b'"x":"\x01"', b'"x":"\\x"', b'"x":[1,]', b'"account":"b"', b'"account":1',
    b'"account":1,"account":"a"', b'"repaired":["x"]', b'"acc\\u006funt":"b"',
]  # fmt: skip
FIELDS: Final = [(kind, name) for kind in CLEAN for name in kind.model_fields]


def is_taken(kind: type[Event], value: bytes | None) -> bool:
    """Whether it is read as clean; then the model must read the same, with nothing to mend."""
    clean = CLEAN[kind](value, MAX_EVENT_BYTES)
    if clean is None:
        return False
    judged = validated(kind, value, MAX_EVENT_BYTES)
    assert not isinstance(judged, Refusal), (value, judged)
    assert judged.repaired == clean.repaired == ()
    for name in kind.model_fields:
        read, expected = getattr(clean, name), getattr(judged, name)
        assert (read, type(read)) == (expected, type(expected)), (value, name)
        assert getattr(read, "word", None) == getattr(expected, "word", None)
    return True


def encoded(fields: Mapping[str, Any]) -> bytes:
    return json.dumps(fields, ensure_ascii=False).encode("utf-8", "surrogatepass")


@pytest.mark.parametrize(("kind", "name"), FIELDS, ids=lambda part: getattr(part, "__name__", part))
def test_each_field_with_each_value_at_its_edges(kind, name):
    base = NEEDED[kind] | ({"currency": "EUR"} if name == "price" else {})
    assert is_taken(kind, encoded(base))
    others = [1, "1", 1.5, [], {}, None, True, "x" * 40_000, "\ud83d", "", -1]
    for value in [*EDGES.get(name, []), *TEXTS, *others]:
        for fields in (base | {name: value}, base | {name: value, "parts": 2}):
            is_taken(kind, encoded(fields))
            is_taken(kind, json.dumps(fields).encode())


@given(st.data(), st.sampled_from(list(CLEAN)))
def test_any_values_of_any_fields(data: st.DataObject, kind: type[Event]) -> None:
    fields = NEEDED[kind].copy()
    for name in data.draw(st.lists(st.sampled_from([*kind.model_fields, "new"]), max_size=6)):
        near = st.sampled_from([*EDGES.get(name, TEXTS), *TEXTS])
        fields[name] = data.draw(near | near | VALUES)
    is_taken(kind, encoded(fields))


@given(st.data(), st.sampled_from(list(CLEAN)))
def test_any_bytes_in_any_place(data: st.DataObject, kind: type[Event]) -> None:
    value = bytearray(encoded(NEEDED[kind] | {"new": ["é", {"a": 1.5}], "provider": "twilio"}))
    piece = st.sampled_from(PIECES) | st.binary(max_size=3)
    for _ in range(data.draw(st.integers(1, 3))):
        start = data.draw(st.integers(0, len(value)))
        value[start : start + data.draw(st.integers(0, 3))] = data.draw(piece)
    is_taken(kind, bytes(value))


@pytest.mark.parametrize("extra", EXTRAS)
@pytest.mark.parametrize("kind", list(CLEAN))
def test_what_stands_in_fields_that_nobody_reads(kind, extra):
    value = encoded(NEEDED[kind])
    is_taken(kind, value[:-1] + b"," + extra + b"}")
    is_taken(kind, b"{" + extra + b"," + value[1:])


@pytest.mark.parametrize("kind", list(CLEAN))
@pytest.mark.parametrize("value", [None, b"", b"{}", b"[]", b"null", b"1", b"\xef\xbb\xbf{}"])
def test_what_is_no_event_is_not_taken(kind, value):
    assert not is_taken(kind, value)


def test_a_time_is_not_read_by_what_another_one_left():
    for written in ("2026-11-20T13:00:00.1234Z", "2026-11-20T13:00:264Z", "2026-11-20T13:00:004Z"):
        is_taken(Receipt, encoded(NEEDED[Receipt] | {"occurred_at": written}))


@pytest.mark.parametrize("kind", list(CLEAN))
def test_a_value_above_the_limit_is_not_taken(kind):
    value = encoded(NEEDED[kind])
    assert CLEAN[kind](value, len(value)) is not None
    assert CLEAN[kind](value, len(value) - 1) is None


@pytest.mark.parametrize("shape", list(SHAPES))
def test_simulated_traffic_is_read_the_same_and_most_of_it_is_taken(shape):
    taken = [
        is_taken(KINDS[event.kind], event.value)
        for event in generate(3, 3_000, NOON_MS, SHAPES[shape])
        if event.kind in KINDS
    ]
    assert sum(taken) > 0.95 * len(taken)
