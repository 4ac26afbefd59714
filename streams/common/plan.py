"""What one batch leads to, as values: shards decide it, `delivery` does it."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from typing import Final, Protocol

import msgspec

from models.contract import Engagement, Receipt, Send
from models.dead_letters import Refused
from models.keys import partition_of
from models.refusal import Reason, Refusal
from streams.kafka.reading import UnreadableRecord

Event = Send | Receipt | Engagement
Headers = Sequence[tuple[str, bytes]]
KeyValue = tuple[bytes, bytes]

#: States looked at between two yields to the loop, so that heartbeats go on during long work.
CHUNK_SIZE: Final = 2_000

#: A timer whose rule raised is tried again after this time of the partition's clock.
RETRY_MS: Final = 300_000

#: On a record that was sent on to where it belongs: it is not sent on again.
FORWARDED = "receipts-forwarded"

#: Bytes of a header beside its name and value, at most.
HEADER_OVERHEAD = 10

#: Bytes of headers with which a record is sent on: more could exceed what the broker takes.
MAX_HEADERS = 16_384


class Incoming(Refused, Protocol):
    """A Kafka record as consumed: what a dead letter keeps of it, and its headers."""

    @property
    def headers(self) -> Headers: ...


class DeadLetter(msgspec.Struct, frozen=True):
    """A refused record and why."""

    record: Incoming
    refusal: Refusal


class MisroutedRecord(msgspec.Struct, frozen=True):
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
    told: keys of the messages that these tell of
    words: what each accepted event is counted as: a receipt's status, an engagement's type, a
        send's direction
    statuses: changed states by the slot they now count in
    delays: seconds from sent to delivered, by channel and provider
    """

    def __init__(self) -> None:
        self.changes: dict[bytes, bytes | None] = {}
        self.dead_letters: list[DeadLetter] = []
        self.rerouted: list[MisroutedRecord] = []
        self.accepted_kinds: list[str] = []
        self.statuses: Counter[int] = Counter()
        self.delays: defaultdict[tuple[str, str], list[float]] = defaultdict(list)
        self.strikes: list[KeyValue] = []
        self.deferred_keys: set[bytes] = set()
        self.requests: list[KeyValue] = []
        self.retries: list[KeyValue] = []
        self.failures: list[tuple[bytes, Exception]] = []
        self.conflicts = 0
        self.to_suppressed = 0
        self.newly_suppressed = 0
        self.newly_released = 0
        self.expired = 0

    def reject_events(self, key: bytes, records: Sequence["Incoming"], error: Exception) -> None:
        """A rule raised on what became of a message or number: refuse what led to it.

        Without records it was a timer: it is told, and the message stays as it was.
        """
        self.failures.append((key, error))
        for record in records:
            self.refuse(record, internal(error))

    def readable(self, records: Iterable[Incoming]) -> Iterator[Incoming]:
        """The records, without those that the Kafka client cannot read: they are refused."""
        for record in records:
            if type(record) is UnreadableRecord:
                self.refuse(record, Refusal(Reason.UNREADABLE, record.fault))
            else:
                yield record

    def refuse(self, record: Incoming, refusal: Refusal) -> None:
        """Put a record among the dead letters."""
        self.dead_letters.append(DeadLetter(record, refusal))


def is_misrouted(plan: Plan, record: Incoming, key: bytes, partition: int, partitions: int) -> bool:
    """Whether a record's key or partition is not `key`'s; it is then rerouted once."""
    home = partition_of(key, partitions)
    if record.key == key and home == partition:
        return False
    size = sum(
        len(name.encode()) + len(value or b"") + HEADER_OVERHEAD for name, value in record.headers
    )
    if size > MAX_HEADERS:
        detail = f"headers: {size} bytes; a record astray is sent on with at most {MAX_HEADERS}"
        plan.refuse(record, Refusal(Reason.OVERSIZED, detail))
    elif any(name == FORWARDED for name, _ in record.headers):
        detail = f"key: sent on once and still not in its partition {home}"
        plan.refuse(record, Refusal(Reason.MISROUTED, detail))
    else:
        plan.rerouted.append(MisroutedRecord(record, key, home))
    return True


def internal(error: Exception) -> Refusal:
    """The refusal of an event whose rule raised."""
    return Refusal(Reason.INTERNAL_ERROR, f"{type(error).__name__}: {error}")
