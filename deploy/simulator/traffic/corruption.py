"""Invalid input of many kinds, each with its refusal reason (docs/runbook.md, dead letters).

A corrupted event is a changed copy of a valid one with the same record key, so that it could
change a real message if it were not refused.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from random import Random
from typing import NamedTuple

from deploy.simulator.event import (
    ACCOUNTS,
    CAMPAIGNS,
    COMPACTED,
    ENGAGEMENTS,
    RECEIPTS,
    REQUESTS,
    SENDS,
    Event,
)
from deploy.simulator.traffic.encoding import Fields, stamp, to_json

MAX_EVENT_BYTES = 524_288
DAY_MS = 86_400_000

Corrupt = Callable[[bytes, int], bytes | None]  # valid value, arrival (ms) -> invalid value


class Corruption(NamedTuple):
    """One kind of invalid input: its topics and the reason of its refusal.

    reason "": unusual input that is valid.
    """

    name: str
    topics: tuple[str, ...]
    reason: str
    corrupt: Corrupt


def _set(**changes: object) -> Corrupt:
    return lambda value, _: to_json({**json.loads(value), **changes})


def _drop(*names: str) -> Corrupt:
    def corrupt(value: bytes, _: int) -> bytes:
        fields: Fields = json.loads(value)
        return to_json({k: v for k, v in fields.items() if k not in names})

    return corrupt


def _raw(invalid: bytes | None) -> Corrupt:
    return lambda value, _: invalid


def _time(field: str, offset_ms: int) -> Corrupt:
    """A well-formed time, `offset_ms` away from the record's own timestamp."""
    return lambda value, now: to_json({**json.loads(value), field: stamp(now + offset_ms, "Z")})


def _padded(size: int) -> Corrupt:
    """An unknown field makes the value exactly `size` bytes long."""

    def corrupt(value: bytes, _: int) -> bytes:
        fields: Fields = {**json.loads(value), "padding": ""}
        fields["padding"] = "x" * (size - len(to_json(fields)))
        return to_json(fields)

    return corrupt


def _truncated(value: bytes, _: int) -> bytes:
    return value[: len(value) * 2 // 3]


def _bad_utf8(value: bytes, _: int) -> bytes:
    return value.replace(b'"message_id":"', b'"message_id":"\xff\xfe', 1)


def _nul_inside(value: bytes, _: int) -> bytes:
    return value.replace(b'"message_id":"', b'"message_id":"\x00', 1)


def _long_ago(value: bytes, now: int) -> bytes:
    """A first attempt a month ago: its day is retired."""
    fields: Fields = {**json.loads(value), "sent_at": stamp(now - 30 * DAY_MS, "Z"), "attempt": 1}
    fields.pop("first_sent_at", None)
    return to_json(fields)


def _retry_without_first(value: bytes, _: int) -> bytes:
    fields: Fields = {**json.loads(value), "attempt": 2}
    fields.pop("first_sent_at", None)
    return to_json(fields)


_DEEP = b'{"account":' * 5_000 + b"1" + b"}" * 5_000
EVENTS = (SENDS, RECEIPTS, ENGAGEMENTS, REQUESTS)
ALL = (*EVENTS, CAMPAIGNS, ACCOUNTS)
_TIMED = ((SENDS, "sent_at"), (RECEIPTS, "occurred_at"), (ENGAGEMENTS, "occurred_at"),
          (REQUESTS, "at"))  # fmt: skip
_REQUIRED = (
    (SENDS, ("account", "message_id", "channel", "recipient", "sent_at")),
    (RECEIPTS, ("account", "message_id", "status", "occurred_at")),
    (ENGAGEMENTS, ("account", "event_id", "type", "occurred_at")),
    (CAMPAIGNS, ("account", "campaign_id", "name", "updated_at")),
    (ACCOUNTS, ("account",)),
    (REQUESTS, ("account", "recipient", "action", "at")),
)


def _times() -> list[Corruption]:
    kinds: list[Corruption] = []
    for topic, field in _TIMED:
        for name, value in (
            ("no_zone", "2026-11-20T10:00:00"), ("not_a_time", "yesterday"),
            ("month_13", "2026-13-01T10:00:00Z"), ("huge", 10**30), ("year_1999", 915_148_800_000),
            ("year_1970", "1970-01-01T00:00:00Z"),
        ):  # fmt: skip
            kinds.append(Corruption(f"time_{name}", (topic,), "bad_time", _set(**{field: value})))
        ahead = _time(field, DAY_MS + 3_600_000)
        kinds.append(Corruption("time_ahead", (topic,), "bad_time", ahead))
    return kinds


def _missing() -> list[Corruption]:
    return [
        Corruption(f"missing_{name}", (topic,), "missing_field", _drop(name))
        for topic, names in _REQUIRED
        for name in names
    ]


def _values() -> list[Corruption]:
    """Values of the right type and out of range: (topics, name, change)."""
    bad: list[tuple[tuple[str, ...], str, dict[str, object]]] = [
        ((SENDS,), "channel", {"channel": "fax"}),
        ((SENDS, RECEIPTS), "attempt_zero", {"attempt": 0}),
        ((SENDS, RECEIPTS), "attempt_101", {"attempt": 101}),
        ((SENDS, RECEIPTS), "attempt_huge", {"attempt": 10**25}),
        ((SENDS, RECEIPTS), "id_with_slash", {"message_id": "a/b"}),
        ((SENDS, RECEIPTS), "id_long", {"message_id": "m" * 129}),
        ((SENDS, RECEIPTS), "id_empty", {"message_id": ""}),
        ((SENDS, RECEIPTS), "id_control", {"message_id": "a\u0007b"}),
        (ALL, "account_illegal", {"account": "acme corp!"}),
        (ALL, "account_long", {"account": "a" * 65}),
        ((RECEIPTS,), "status_word", {"status": "gone fishing"}),
        ((RECEIPTS,), "status_null", {"status": None}),
        ((RECEIPTS,), "status_object", {"status": {"id": 5, "name": "DELIVERED"}}),
        ((ENGAGEMENTS,), "type_word", {"type": "open"}),
        ((REQUESTS,), "action_word", {"action": "forget"}),
        ((ACCOUNTS,), "limit_zero", {"strike_limit": 0}),
        ((ACCOUNTS,), "limit_high", {"strike_limit": 21}),
        ((ACCOUNTS,), "zone_unknown", {"time_zone": "Mars/Olympus"}),
        ((ACCOUNTS,), "validity_account", {"validity_s": 604_801}),
        ((ACCOUNTS,), "every_short", {"retry_every_s": 59}),
        ((ACCOUNTS,), "days_zero", {"suppression_days": 0}),
    ]
    return [Corruption(name, topics, "bad_value", _set(**change)) for topics, name, change in bad]


def _types() -> list[Corruption]:
    wrong: list[tuple[tuple[str, ...], str, dict[str, object]]] = [
        ((SENDS, RECEIPTS), "attempt_text", {"attempt": "1"}),
        ((SENDS, RECEIPTS), "attempt_true", {"attempt": True}),
        (ALL, "account_object", {"account": {"name": "acme"}}),
        ((ACCOUNTS,), "switch_text", {"suppress_hard_bounces": "no"}),
        ((ACCOUNTS,), "every_text", {"retry_every_s": "3600"}),
        ((ACCOUNTS,), "reasons_list", {"fail_reasons": ["27"]}),
    ]
    return [
        Corruption(name, topics, "wrong_type", _set(**change)) for topics, name, change in wrong
    ]


def _numbers() -> list[Corruption]:
    """Recipients that are no number in any spelling."""
    numbers: dict[str, object] = {
        "national": "07911 123456", "letters": "+4479x1123456", "long": "+44740012345678901234",
        "empty": "", "short": "+12",
    }  # fmt: skip
    return [
        Corruption(f"number_{name}", (topic,), "bad_number", _set(recipient=number))
        for name, number in numbers.items()
        for topic in (SENDS, REQUESTS)
    ]


CORRUPTIONS: tuple[Corruption, ...] = (
    Corruption("null", EVENTS, "empty", _raw(None)),  # on a compacted topic it would be a tombstone
    Corruption("empty", EVENTS, "empty", _raw(b"")),
    Corruption("text", ALL, "not_json", _raw(b"hello, is this thing on?")),
    Corruption("xml", EVENTS, "not_json", _raw(b"<dlr status='DELIVRD'/>")),
    Corruption("truncated", ALL, "not_json", _truncated),
    Corruption("bad_utf8", (SENDS, RECEIPTS), "not_json", _bad_utf8),
    Corruption("nul_bytes", EVENTS, "not_json", _raw(b"\x00" * 16)),
    Corruption("nul_inside", (SENDS, RECEIPTS), "not_json", _nul_inside),
    Corruption("deep", EVENTS, "not_json", _raw(_DEEP)),
    Corruption("array", EVENTS, "not_object", _raw(b'[{"account":"acme"}]')),
    Corruption("string", EVENTS, "not_object", _raw(b'"delivered"')),
    Corruption("number", EVENTS, "not_object", _raw(b"42")),
    Corruption("json_null", EVENTS, "not_object", _raw(b"null")),
    Corruption("oversized", (RECEIPTS,), "oversized", _padded(MAX_EVENT_BYTES + 1)),
    Corruption("oversized_text", (SENDS,), "oversized", _set(text="x" * 530_000)),
    Corruption("at_limit", (SENDS,), "", _padded(MAX_EVENT_BYTES)),
    Corruption("retry_without_first", (SENDS,), "missing_field", _retry_without_first),
    Corruption("nobody", (ENGAGEMENTS,), "missing_field", _drop("message_id", "recipient")),
    Corruption("long_ago", (SENDS,), "too_late", _long_ago),
    Corruption("account_no_zone", (ACCOUNTS,), "bad_time", _set(updated_at="2026-11-20T10:00:00")),
    Corruption(
        "campaign_no_zone", (CAMPAIGNS,), "bad_time", _set(updated_at="2026-11-20T10:00:00")
    ),
    *_times(), *_missing(), *_values(), *_types(), *_numbers(),
)  # fmt: skip


class Corrupter:
    """Makes corrupted copies of events, in random order, every kind once before any comes again."""

    def __init__(self, rng: Random) -> None:
        self._rng = rng
        self._originals: dict[str, Event] = {}
        self._deck: list[tuple[Corruption, str]] = []

    def remember(self, event: Event) -> None:
        """Keep a valid event as the original of the next copy of its kind.

        Not a received message: its sender may be nearly anything, so that a wrong one is valid.
        """
        if b'"direction":"inbound"' not in (event.value or b""):
            self._originals[event.kind] = event

    def next_corrupted(self, arrival_ms: int, seq: int) -> Event | None:
        """The next corrupted event; None when there is no original for it yet."""
        if not self._deck:
            self._deck = [(kind, topic) for kind in CORRUPTIONS for topic in kind.topics]
            self._rng.shuffle(self._deck)
        kind, topic = self._deck.pop()
        original = self._originals.get(topic)
        if original is None or original.value is None or original.key is None:
            return None
        value = kind.corrupt(original.value, arrival_ms)
        # In a compacted topic a corrupted record must not replace the valid one.
        key = original.key + b"-%d" % seq if topic in COMPACTED else original.key
        note = f"broken:{kind.name}" if kind.reason else f"odd:{kind.name}"
        return Event(arrival_ms, seq, topic, key, value, note, kind.reason)
