"""What follows from one batch, as a value: shards decide it, `delivery` carries it out."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from typing import Final, Protocol

import msgspec

from models.contract import Engagement, Receipt, Send
from models.counters import OUTCOMES, Contribution
from models.dead_letters import Refused
from models.keys import FORWARDED, partition_of
from models.refusal import Reason, Refusal
from models.settings import Topic
from streams.kafka.reading import UnreadableRecord

Event = Send | Receipt | Engagement
Headers = Sequence[tuple[str, bytes]]
KeyValue = tuple[bytes, bytes]
#: Name of a counter in `models/metrics.py`, then the values of its labels in their order; or
#: RECEIPT, a status and a provider.
Count = tuple[str, ...]
#: One receipt raises two counters: one entry for both costs half.
RECEIPT: Final = "receipt"

#: Bytes that a header adds to its name and value, at most.
HEADER_OVERHEAD: Final = 10

#: Bytes of headers with which a record is rerouted: more could exceed what the broker takes.
MAX_HEADERS: Final = 16_384


class Incoming(Refused, Protocol):
    """A Kafka record as consumed: what a dead letter keeps of it, and its headers."""

    @property
    def headers(self) -> Headers: ...


class DeadLetter(msgspec.Struct, frozen=True):
    """A refused record and why."""

    record: Incoming
    refusal: Refusal


class MisroutedRecord(msgspec.Struct, frozen=True):
    """A record to reroute once: right key and partition, value and timestamp unchanged."""

    record: Incoming
    key: bytes
    partition: int

    def headers(self) -> list[tuple[str, bytes]]:
        """The record's own headers and the mark that prevents loops."""
        return [*self.record.headers, (FORWARDED, b"1")]


class Plan:
    """What follows from a batch or from the clock.

    topic: plain name of the batch's topic; "" for timers
    changes: new stored values by key; None is a tombstone
    dead_letters, rerouted: records that are produced to `dead-letters`, or to their partition
    strikes, requests, retries: side outputs: records of `strikes`, `suppression-requests` and
        `retry-requests`
    outputs: side outputs to other topics, by their plain names
    deferred_keys: keys of the messages whose side outputs are in this plan; their states are
        logged only after those are acknowledged
    counted: counters of `models/metrics.py`, each once for every one that it rises by
    finished: what messages are counted under whose outcome became final for the first time
    delays: seconds from sent to delivered, by channel and provider
    failures: rules that raised, with the key of the message or recipient
    """

    def __init__(self, topic: str = "") -> None:
        self.topic = topic
        self.changes: dict[bytes, bytes | None] = {}
        self.dead_letters: list[DeadLetter] = []
        self.rerouted: list[MisroutedRecord] = []
        self.strikes: list[KeyValue] = []
        self.requests: list[KeyValue] = []
        self.retries: list[KeyValue] = []
        self.outputs: defaultdict[Topic, list[KeyValue]] = defaultdict(list)
        self.deferred_keys: set[bytes] = set()
        self.counted: list[Count] = []
        self.finished: list[Contribution] = []
        self.delays: defaultdict[tuple[str, str], list[float]] = defaultdict(list)
        self.failures: list[tuple[bytes, Exception]] = []

    def count(self, *count: str) -> None:
        """Raise a counter by one: its name, then the values of its labels in their order."""
        self.counted.append(count)

    @property
    def counts(self) -> Counter[Count]:
        """What each counter rises by."""
        counts = Counter(self.counted)
        for entry in [entry for entry in counts if entry[0] == RECEIPT]:
            (_, status, provider), number = entry, counts.pop(entry)
            counts["receipts_events_total", "receipts", status] += number
            counts["receipts_provider_receipts_total", provider] += number
        finished = Counter((of[5], of[4], index) for of, index, _, _ in self.finished)
        for (provider, country, index), number in finished.items():
            outcome = OUTCOMES[index]
            counts["receipts_finished_messages_total", provider, country, outcome] += number
        return counts

    def refuse(self, record: Incoming, refusal: Refusal) -> None:
        """Put a record among the dead letters."""
        self.dead_letters.append(DeadLetter(record, refusal))
        self.count("receipts_dead_letters_total", self.topic, refusal.reason.value)

    def reroute(self, record: Incoming, key: bytes, partition: int) -> None:
        """Produce a record again under its right key, to its right partition."""
        self.rerouted.append(MisroutedRecord(record, key, partition))
        self.count("receipts_strays_total", self.topic)

    def reject_events(self, key: bytes, records: Sequence[Incoming], error: Exception) -> None:
        """A rule raised on a message or recipient: refuse the events that led to it.

        Without records it was a timer: then nothing is refused and the value stays as it was.
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


def reroute_if_misrouted(
    plan: Plan, record: Incoming, key: bytes, partition: int, partitions: int
) -> bool:
    """Reroute a record whose key or partition is not that of `key`, once; False: it is right."""
    home = partition_of(key, partitions)
    if record.key == key and home == partition:
        return False
    size = sum(
        len(name.encode()) + len(value or b"") + HEADER_OVERHEAD for name, value in record.headers
    )
    if size > MAX_HEADERS:
        detail = f"headers: {size} bytes; a misrouted record is rerouted with at most {MAX_HEADERS}"
        plan.refuse(record, Refusal(Reason.OVERSIZED, detail))
    elif any(name == FORWARDED for name, _ in record.headers):
        detail = f"key: rerouted once and still not in its partition {home}"
        plan.refuse(record, Refusal(Reason.MISROUTED, detail))
    else:
        plan.reroute(record, key, home)
    return True


def internal(error: Exception) -> Refusal:
    """The refusal of an event whose rule raised."""
    return Refusal(Reason.INTERNAL_ERROR, f"{type(error).__name__}: {error}")


def repaired_counts(topic: str, fields: Iterable[str]) -> list[Count]:
    """Counts of the fields of an event that were mended or left out."""
    return [("receipts_repaired_fields_total", topic, field) for field in fields]
