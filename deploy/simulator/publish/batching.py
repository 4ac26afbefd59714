"""Records to publish: when they are due, and how they share batches."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

from deploy.simulator.event import Published
from deploy.simulator.publish.recording import Header

CHUNK = 4000  # most records in flight as one chunk


class OutgoingRecord(NamedTuple):
    """A record to publish; `record.offset` is -1 until the broker acknowledges it."""

    record: Published
    headers: tuple[Header, ...] = ()
    due_s: float = 0.0  # seconds after the start


class Batch(NamedTuple):
    """One batch in flight, with the places of its records in the chunk."""

    places: list[int]
    records: list[Published]
    future: Any  # of RecordMetadata


class PacedRecords:
    """Returns records in chunks, none before it is due."""

    def __init__(self, outgoing: Iterator[OutgoingRecord]) -> None:
        self._outgoing = outgoing
        self.next: OutgoingRecord | None = next(outgoing, None)

    def take(self, until_s: float) -> list[OutgoingRecord]:
        """The records that are due until then, at most a chunk."""
        chunk: list[OutgoingRecord] = []
        while self.next and self.next.due_s <= until_s and len(chunk) < CHUNK:
            chunk.append(self.next)
            self.next = next(self._outgoing, None)
        return chunk


def append(batch: Any, item: OutgoingRecord) -> bool:
    """False when the batch is full."""
    record = item.record
    metadata = batch.append(timestamp=record.timestamp, key=record.key, value=record.value,
                            headers=list(item.headers))  # fmt: skip
    return metadata is not None


def acknowledged_records(batch: Batch, base_offset: int) -> Iterator[tuple[int, Published]]:
    """(place in the chunk, record with its offset) of an acknowledged batch."""
    for n, (place, record) in enumerate(zip(batch.places, batch.records, strict=True)):
        yield place, record._replace(offset=base_offset + n)
