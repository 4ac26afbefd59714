"""Records on their way to the broker: when they are due, and how they share batches."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

from deploy.simulator.event import Published
from deploy.simulator.publish.recording import Header

CHUNK = 4000  # most events handed over at once


class OutgoingRecord(NamedTuple):
    """A record on its way: `record.offset` is -1 until the broker names it."""

    record: Published
    headers: tuple[Header, ...] = ()
    due_s: float = 0.0  # seconds after the start, when the own pace is kept


class Batch(NamedTuple):
    """One batch on its way: the places of its records in the chunk, the records, the answer."""

    places: list[int]
    records: list[Published]
    answer: Any  # a future of RecordMetadata


class PacedRecords:
    """Hands out events in chunks, none before it is due."""

    def __init__(self, outgoing: Iterator[OutgoingRecord]) -> None:
        self._outgoing = outgoing
        self.next: OutgoingRecord | None = next(outgoing, None)

    def take(self, until_s: float) -> list[OutgoingRecord]:
        """What is due until then, at most a chunk."""
        chunk: list[OutgoingRecord] = []
        while self.next and self.next.due_s <= until_s and len(chunk) < CHUNK:
            chunk.append(self.next)
            self.next = next(self._outgoing, None)
        return chunk


def append(batch: Any, item: OutgoingRecord) -> bool:
    """False when the batch is full."""
    record = item.record
    taken = batch.append(timestamp=record.timestamp, key=record.key, value=record.value,
                         headers=list(item.headers))  # fmt: skip
    return taken is not None


def acknowledged_records(batch: Batch, base: int) -> Iterator[tuple[int, Published]]:
    """The records of an acknowledged batch with their offsets, under their place in the chunk."""
    for n, (place, record) in enumerate(zip(batch.places, batch.records, strict=True)):
        yield place, record._replace(offset=base + n)
