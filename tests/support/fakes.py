"""A meter and a health that remember, and records, states and letters made by hand."""

import time
from collections import Counter
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any

from models.contract import Receipt, Send
from models.counters import COUNT_NAMES
from models.facts import outcome_of, send_fact
from models.joining import add_receipt, add_send, decide
from models.metrics import BY_NAME
from models.refusal import Refusal
from models.state import MessageState, encode
from tests.support.records import Record

DAY = 20_000
"""A UTC day, in days since 1970."""
T0 = DAY * 86_400_000 + 10 * 3_600_000
"""10:00 of that day, in epoch ms."""
AT_T0 = datetime.fromtimestamp(T0 / 1000, UTC).replace(tzinfo=None)
"""The same as the client returns it."""


def counts_of(**numbers: int) -> list[int]:
    """The numbers of a cell, 0 where none is given."""
    assert numbers.keys() <= set(COUNT_NAMES)
    return [numbers.get(name, 0) for name in COUNT_NAMES]


class Meter:
    """Refuses what is not in the table of metrics, as the real one does."""

    def __init__(self) -> None:
        self.sums: Counter[tuple[str, tuple[str, ...]]] = Counter()

    def _key(self, kind: str, name: str, labels: dict[str, str]) -> tuple[str, tuple[str, ...]]:
        metric = BY_NAME[name]
        assert metric.kind == kind, name
        assert set(labels) == set(metric.labels), name
        return name, tuple(labels[label] for label in metric.labels)

    def add(self, name: str, value: float = 1, **labels: str) -> None:
        self.sums[self._key("counter", name, labels)] += value  # type: ignore[assignment]

    def set(self, name: str, value: float, **labels: str) -> None:
        self.sums[self._key("gauge", name, labels)] = value  # type: ignore[assignment]

    def set_age(self, name: str, since_s: float | None, **labels: str) -> None:
        key = self._key("gauge", name, labels)
        self.sums[key] = 0 if since_s is None else time.time() - since_s  # type: ignore[assignment]

    def forget(self, name: str, **labels: str) -> None:
        del self.sums[self._key("gauge", name, labels)]

    def observe(self, name: str, value: float, **labels: str) -> None:
        self.sums[self._key("histogram", name, labels)] += 1

    def observe_many(self, name: str, values: Iterable[float], **labels: str) -> None:
        for value in values:
            self.observe(name, value, **labels)

    def value(self, name: str, *labels: str) -> float:
        return self.sums[name, labels]


class Health:
    """Remembers why the process was not ready, and since when nothing stands in the way."""

    def __init__(self) -> None:
        self.reasons: dict[str, str] = {}
        self.history: list[tuple[str, str]] = []
        self.beats = 0

    def beat(self, part: str) -> None:
        self.beats += 1

    def ready(self, part: str) -> None:
        self.reasons.pop(part, None)
        self.history.append((part, ""))

    def unready(self, part: str, reason: str) -> None:
        self.reasons[part] = reason
        self.history.append((part, reason))


def send(message_id: str = "m1", **fields: Any) -> Send:
    """A send of account acme."""
    given = {
        "account": "acme",
        "message_id": message_id,
        "channel": "sms",
        "recipient": "+4915112345678",
        "sent_at": T0,
        **fields,
    }
    return Send.model_validate(given)


def receipt(status: str, message_id: str = "m1", **fields: Any) -> Receipt:
    """A receipt of account acme."""
    given = {
        "account": "acme",
        "message_id": message_id,
        "status": status,
        "occurred_at": T0 + 5000,
        **fields,
    }
    return Receipt.model_validate(given)


def state(version: int, *events: Send | Receipt, **published: Any) -> MessageState:
    """The join of some events, with what else was published of it."""
    joined = MessageState(version=version, **published)
    for event in events:
        if isinstance(event, Send):
            add_send(joined, send_fact(event))
        else:
            add_receipt(joined, event, outcome_of(event), DAY)
    decide(joined)
    return joined


def state_record(given: MessageState, message_id: str = "m1", offset: int = 0) -> Record:
    """The record of `message-states` that carries a state."""
    key = f"acme/{message_id}".encode()
    return Record("message-states", 0, offset, T0, key, encode(given))


def headers_of(record: Record, refusal: Refusal) -> tuple[tuple[str, bytes], ...]:
    """Headers of the dead letter of a refused record."""
    return tuple(refusal.headers(record.topic, record.partition, record.offset, record.timestamp))
