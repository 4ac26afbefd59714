"""Hypothesis strategies: what nobody should publish, and what comes close to being valid."""

import json
from typing import Any

import msgspec
from hypothesis import strategies as st

from tests.properties.events import NOON_MS
from tests.support.records import Record

TIMESTAMPS = st.sampled_from([NOON_MS, NOON_MS, NOON_MS, -1, 0, 1, -(2**63), 2**63 - 1])
INTEGERS = st.sampled_from(
    [0, 1, -1, 2, 3, 101, 2**15, 2**31, 2**32, 2**63 - 1, 2**63, 2**64, 10**30, -(2**63), NOON_MS]
)
TEXTS = st.one_of(
    st.sampled_from(
        ["", "acme", "m1", "+46701234567", "a/b", "\x00", "\u2028", "é" * 128, "x" * 2000]
    ),
    st.sampled_from(["2026-11-20T12:00:00Z", "9999-12-31T23:59:59Z", "0001-01-01T00:00:00+23:59"]),
    st.text(max_size=8),
)
VALUES = st.recursive(
    st.one_of(st.none(), st.booleans(), INTEGERS, TEXTS, st.floats()),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(TEXTS, inner, max_size=3)),
    max_leaves=6,
)
VALID: dict[str, Any] = {
    "account": "acme",
    "message_id": "m1",
    "channel": "sms",
    "recipient": "+46701234567",
    "sent_at": NOON_MS,
    "occurred_at": NOON_MS,
    "event_id": "e1",
    "campaign_id": "c1",
    "name": "spring",
    "updated_at": NOON_MS,
    "at": NOON_MS,
    "version": (1 << 32) + 1,
}
WORDS: dict[str, list[Any]] = {
    "status": ["delivered", "read", "undelivered", "rejected", "deleted", "sent", "new"],
    "bounce": ["soft", "hard", "new", None],
    "scope": ["recipient", "content", "new", None],
    "type": ["click", "unsubscribe"],
    "action": ["suppress", "release", "unsubscribe", "resubscribe", "new"],
    "kind": ["struck", "withdrawn", "delivered", "new"],
    "direction": ["outbound", "inbound"],
    "attempt": [1, 2, 100],
    "first_sent_at": [NOON_MS, NOON_MS - 1, None],
    "reasons": [["manual"], ["new"], []],
    "suppressed": [True, False],
}
FIELDS = [*VALID, *WORDS, "credits", "segments", "validity_s", "reason", "error_code", "who", "why"]
FIELDS += [
    "since",
    "until",
    "strikes",
    "facts",
    "due_at",
    "strike_limit",
    "time_zone",
    "text",
    "code",
]


@st.composite
def documents(draw: st.DrawFn) -> bytes:
    """A JSON object that is nearly an event: some fields changed, missing or added."""
    event = {**VALID, **{name: draw(st.sampled_from(words)) for name, words in WORDS.items()}}
    for name in draw(st.lists(st.sampled_from(FIELDS), max_size=3)):
        event[name] = draw(VALUES)
    for name in draw(st.lists(st.sampled_from(FIELDS), max_size=1)):
        event.pop(name, None)
    return json.dumps(event).encode()


BYTES = st.one_of(
    st.none(),
    st.binary(max_size=40),
    st.sampled_from(
        [b"", b"{", b"[]", b"null", b"\xff\xfe", b"[" * 5000, b'{"a":1e999}', b"0" * 70_000]
    ),
    VALUES.map(lambda value: json.dumps(value).encode()),
)
KEYS = st.one_of(
    st.sampled_from([b"acme/m1", b"acme/+46701234567", b"acme", None, b"", b"/", b"\xff"]),
    st.binary(max_size=8),
)
HEADERS: st.SearchStrategy[Any] = st.lists(
    st.tuples(st.sampled_from(["receipts-forwarded", "", "reason", "x" * 20_000]), BYTES),
    max_size=2,
).map(tuple)


@st.composite
def records(draw: st.DrawFn, topic: str) -> Record:
    value = draw(st.one_of(documents(), documents(), BYTES))
    return Record(topic, 0, 0, draw(TIMESTAMPS), draw(KEYS), value, draw(HEADERS))


@st.composite
def stored(draw: st.DrawFn) -> bytes:
    """Nearly a stored state, from a msgpack array of the right shape to any bytes."""
    fact = [1, NOON_MS, NOON_MS, "sms", "outbound", "direct", "+46701234567", "SE"]
    outcome = [1, draw(st.integers(-1, 9)), draw(st.integers(-1, 4)), NOON_MS, "recipient", "9"]
    state: list[Any] = [(1 << 32) + 5, [fact], outcome, *[0] * 7, False, False, []]
    for place in draw(st.lists(st.integers(0, len(state) - 1), max_size=2)):
        state[place] = draw(st.one_of(INTEGERS.filter(lambda n: -(2**63) <= n < 2**64), TEXTS))
    for place in draw(st.lists(st.integers(0, len(fact) - 1), max_size=1)):
        fact[place] = draw(st.one_of(INTEGERS.filter(lambda n: -(2**63) <= n < 2**64), TEXTS))
    whole = msgspec.msgpack.encode(state)
    return draw(st.sampled_from([whole, whole, whole[:9], b"", b"\x90", b"\x91\xcf" + b"\xff" * 8]))
