"""What one batch leads to, as values: decided by the shards, done by `delivery` (DESIGN §5)."""

from collections import Counter, defaultdict
from collections.abc import Sequence
from typing import Protocol

import msgspec

from models.keys import partition_of
from models.refusal import Reason, Refusal

Headers = Sequence[tuple[str, bytes]]
KeyValue = tuple[bytes, bytes]

#: On a record that was sent on to where it belongs: it is not sent on again.
FORWARDED = "receipts-forwarded"


class Incoming(Protocol):
    """A Kafka record as consumed; `timestamp` in epoch ms, -1 when it has none."""

    @property
    def topic(self) -> str: ...
    @property
    def partition(self) -> int: ...
    @property
    def offset(self) -> int: ...
    @property
    def timestamp(self) -> int: ...
    @property
    def key(self) -> bytes | None: ...
    @property
    def value(self) -> bytes | None: ...
    @property
    def headers(self) -> Headers: ...


class DeadLetter(msgspec.Struct, frozen=True):
    """A refused record and why (issue: dead letters)."""

    record: Incoming
    refusal: Refusal

    def headers(self) -> list[tuple[str, bytes]]:
        """Reason, detail and origin, as UTF-8 text."""
        said = {
            "reason": self.refusal.reason.value,
            "detail": self.refusal.detail,
            "topic": self.record.topic,
            "partition": str(self.record.partition),
            "offset": str(self.record.offset),
            "time": str(self.record.timestamp),
        }
        return [(name, text.encode("utf-8", "replace")) for name, text in said.items()]


class Stray(msgspec.Struct, frozen=True):
    """A record to send on once: right key and partition, value and timestamp unchanged."""

    record: Incoming
    key: bytes
    partition: int

    def headers(self) -> list[tuple[str, bytes]]:
        """The record's own headers and the mark that prevents loops."""
        return [*self.record.headers, (FORWARDED, b"1")]


class Plan:
    """What follows from a batch or from the clock.

    changes: new stored states by message key; None is a tombstone
    dead_letters, strays: records that go elsewhere
    strikes, requests, retries: what others must know before the states are written: records of
        `strikes`, `suppression-requests` and `retry-requests`
    words: what each accepted event is counted as: a receipt's status, an engagement's type, a
        send's direction
    statuses: changed states by the slot they now count in
    delays: seconds from sent to delivered, by channel and provider
    """

    def __init__(self) -> None:
        self.changes: dict[bytes, bytes | None] = {}
        self.dead_letters: list[DeadLetter] = []
        self.strays: list[Stray] = []
        self.words: list[str] = []
        self.statuses: Counter[int] = Counter()
        self.delays: defaultdict[tuple[str, str], list[float]] = defaultdict(list)
        self.strikes: list[KeyValue] = []
        self.requests: list[KeyValue] = []
        self.retries: list[KeyValue] = []
        self.conflicts = 0
        self.to_suppressed = 0
        self.newly_suppressed = 0
        self.newly_released = 0
        self.expired = 0

    def refuse(self, record: Incoming, refusal: Refusal) -> None:
        """Put a record among the dead letters."""
        self.dead_letters.append(DeadLetter(record, refusal))


def is_stray(plan: Plan, record: Incoming, key: bytes, partition: int, partitions: int) -> bool:
    """Whether a record's key or partition is not `key`'s; it is then sent on once (DESIGN §3)."""
    home = partition_of(key, partitions)
    if record.key == key and home == partition:
        return False
    if any(name == FORWARDED for name, _ in record.headers):
        detail = f"key: sent on once and still not in its partition {home}"
        plan.refuse(record, Refusal(Reason.MISROUTED, detail))
    else:
        plan.strays.append(Stray(record, key, home))
    return True


def internal(error: Exception) -> Refusal:
    """The refusal of an event whose rule raised."""
    return Refusal(Reason.INTERNAL_ERROR, f"{type(error).__name__}: {error}")
