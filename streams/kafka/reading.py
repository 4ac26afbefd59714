"""Reads fetch responses of brokers without ever stopping at damaged bytes.

aiokafka raises at a batch or record it cannot read, and raises again at every start, since no
offset moves past it. Here such bytes become an UnreadableRecord in their place: its consumer keeps
it as a dead letter and continues.

The fetcher of aiokafka makes its iterators by name (aiokafka/consumer/fetcher.py:845), so the two
classes below take the place of its own, for all consumers of the process.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib.metadata import version
from struct import Struct
from typing import Any, Final, NamedTuple

from aiokafka import ConsumerRecord, TopicPartition
from aiokafka.consumer import fetcher
from aiokafka.record.default_records import DefaultRecordBatch
from aiokafka.record.legacy_records import LegacyRecordBatch

from streams.kafka.private_names import missing_names
from streams.kafka.records import Parsed, parse_records
from streams.kafka.unpacking import MAX_UNPACKED_BYTES, Damaged, missing_codecs, unpack

#: Fetches of a damaged batch: it may be intact the next time if it was damaged on the network.
FETCHES: Final = 3

_SHOWN_KEY_BYTES: Final = 64
_HEAD: Final = Struct(">qi")  # base offset, length of what follows
_OFFSETS: Final = Struct(">q15xi30xi")  # base offset, last offset's distance, number of records
_MAGIC_AT: Final = 16
_ATTRIBUTES_AT: Final = 21
_HEADER_BYTES: Final = 61
_CODEC_BITS: Final = 0x07
_READ_COMMITTED: Final = fetcher.READ_COMMITTED


class UnusableClient(RuntimeError):
    """The installed Kafka client cannot be used; the text names what to install."""


@dataclass
class UnreadableRecord(ConsumerRecord):  # type: ignore[misc]  # aiokafka has no types
    """A record that cannot be read, or a whole batch of them.

    fault: what is wrong, in words. key, value: those of the record as far as they could be read; of
    a batch the value is its bytes as the broker sent them. timestamp: -1 where it is not known
    """

    fault: str = ""


class Place(NamedTuple):
    """Where a record is; by its key where the offset is not known any more."""

    topic: str
    partition: int
    offset: int | None = None
    key: bytes | None = None

    def shown(self, mask: Callable[[bytes], str]) -> str:
        """The place in words. mask: what a log may show of a key"""
        key = (self.key or b"")[:_SHOWN_KEY_BYTES]
        at = f"key {mask(key)}" if self.offset is None else f"offset {self.offset}"
        return f"topic {self.topic}, partition {self.partition}, {at}"


def place_of(record: Any) -> Place:
    """Where a consumed record is."""
    return Place(record.topic, record.partition, record.offset, record.key)


class FetchedRecords:
    """The bytes of one partition in a fetch response; replaces aiokafka's MemoryRecords."""

    __slots__ = ("data",)

    def __init__(self, data: bytes | None) -> None:
        self.data = data or b""

    def has_next(self) -> bool:
        """Whether there are any bytes, damaged ones included."""
        return bool(self.data)

    def size_in_bytes(self) -> int:
        """Bytes received."""
        return len(self.data)


class GuardedRecords(fetcher.PartitionRecords):  # type: ignore[misc]  # aiokafka has no types
    """Iterates the records of one partition in a fetch response, UnreadableRecords among them."""

    fetched: Final[Counter[tuple[TopicPartition, int]]] = Counter()
    """How often a damaged batch was fetched, by partition and base offset."""

    def _unpack_records(self) -> Iterator[ConsumerRecord]:
        data, start, unpacked = self._records.data, 0, 0
        while start < len(data) and unpacked <= MAX_UNPACKED_BYTES:
            end = _end_of_batch(data, start)
            if end > len(data) and start:
                return  # the response was cut at its size limit: the rest comes with the next
            raw = memoryview(data)[start:end]
            if end < len(data) and self._is_behind(raw):
                start = end
                continue
            try:
                batch, size = self._open(raw, _base_offset(data, end), cut_off=end > len(data))
            except Damaged as damage:
                if self._fetch_again(raw):
                    return
                following = _next_offset(data, start, end, self.next_fetch_offset)
                yield self._unreadable_batch(raw, str(damage), following)
            else:
                unpacked += size  # what is left of a response that unpacks to more comes again
                yield from self._records_of(batch, raw)
            start = end

    def _is_behind(self, raw: memoryview) -> bool:
        """Whether a batch ends before what is to be read. Clients skip it; Kafka never sends it."""
        if len(raw) < _HEADER_BYTES or raw[_MAGIC_AT] != 2:
            return False
        base, delta, _ = _OFFSETS.unpack_from(raw)
        return bool(base <= base + delta < self.next_fetch_offset)

    def _open(self, raw: memoryview, following: int | None, *, cut_off: bool) -> tuple[Any, int]:
        """The batch, unpacked and checked, and its size. Raises Damaged.

        following: where the next batch begins, None: it did not come with this one
        """
        if cut_off or len(raw) <= _MAGIC_AT:
            raise Damaged(f"its length is wrong: {len(raw)} bytes are there")
        magic = raw[_MAGIC_AT]
        if magic > 2:
            raise Damaged(f"its format {magic} is unknown")
        if magic == 2 and len(raw) < _HEADER_BYTES:
            raise Damaged(f"it has {len(raw)} bytes, fewer than a header")
        try:
            batch = DefaultRecordBatch(raw) if magic == 2 else LegacyRecordBatch(raw, magic)
        except Exception as error:  # for formats 0 and 1 it parses the record at once
            raise Damaged(f"it cannot be read ({error!r})") from error
        if self._check_crcs and not batch.validate_crc():
            raise Damaged("its checksum is wrong")
        if magic == 2:
            self._check_offsets(batch.next_offset, following)
        if magic == 2 and batch.compression_type:
            payload = _payload(raw)
            return _unpacked(raw, payload), len(payload)
        return batch, len(raw)

    def _check_offsets(self, next_offset: int, following: int | None) -> None:
        at = self.next_fetch_offset
        if next_offset <= at or (following is not None and at < following < next_offset):
            raise Damaged(f"its last offset is {next_offset - 1}, read up to {at}")

    def _records_of(self, batch: Any, raw: memoryview) -> Iterator[ConsumerRecord]:
        try:
            skipped = self._is_aborted(batch) or batch.is_control_batch
        except Exception as error:  # noqa: BLE001  (a decoder may raise anything)
            fault = f"its control record cannot be read ({error!r})"
            yield self._unreadable_batch(raw, fault, batch.next_offset)
            return
        if skipped:
            self.next_fetch_offset = batch.next_offset
            return
        tp, end = self._tp, batch.next_offset
        previous = batch.base_offset - 1 if batch.magic == 2 else -1
        dense = batch.magic == 2 and _is_dense(raw)
        try:
            for record in batch:
                offset = record.offset
                if offset - previous != 1 and (dense or not previous < offset < end):
                    raise ValueError(f"offset {offset} behind {previous}")
                previous = offset
                if offset >= self.next_fetch_offset:  # else: the fetch began inside of the batch
                    self.next_fetch_offset = offset + 1
                    yield self._consumer_record(tp, record)
        except Exception as error:  # noqa: BLE001  (a decoder may raise anything)
            yield from self._one_by_one(batch, raw, error)
        self.next_fetch_offset = max(self.next_fetch_offset, batch.next_offset)

    def _is_aborted(self, batch: Any) -> bool:
        """As aiokafka's own (fetcher.py:243): whether the batch is of an aborted transaction."""
        if self._isolation_level != _READ_COMMITTED or batch.producer_id is None:
            return False
        self._consume_aborted_up_to(batch.base_offset)
        if batch.is_control_batch and self._contains_abort_marker(batch):
            self._aborted_producers.discard(batch.producer_id)
        return batch.is_transactional and batch.producer_id in self._aborted_producers

    def _one_by_one(self, batch: Any, raw: memoryview, error: Exception) -> Iterator[Any]:
        """The records from the one at which the client's decoder raised."""
        if batch.magic < 2:
            yield self._unreadable_batch(raw, f"it cannot be read ({error!r})", batch.next_offset)
            return
        for found in parse_records(_payload(raw), batch, dense=_is_dense(raw)):
            if found.offset < self.next_fetch_offset:
                continue
            self.next_fetch_offset = found.offset + 1
            yield self._placed(found)

    # --- what cannot be read -------------------------------------------------------------------

    def _fetch_again(self, raw: memoryview) -> bool:
        """Whether to end here, so that the same offset is fetched once more."""
        place = (self._tp, self.next_fetch_offset)
        self.fetched[place] += 1
        if self.fetched[place] < FETCHES:
            return True
        self.fetched.pop(place, None)
        return False

    def _unreadable_batch(self, raw: memoryview, fault: str, following: int) -> ConsumerRecord:
        first = self.next_fetch_offset
        self.next_fetch_offset = max(following, first + 1)
        fault = f"a batch, offsets {first} to {self.next_fetch_offset - 1}: {fault}"
        return self._placed(Parsed(first, -1, 0, None, bytes(raw), (), fault))

    def _placed(self, found: Parsed) -> ConsumerRecord:
        offset, timestamp, timestamp_type, key, value, headers, fault = found
        sizes = (_size(key), _size(value))
        fields = (offset, timestamp, timestamp_type, key, value, None, *sizes, headers)
        if fault:
            return UnreadableRecord(*self._tp, *fields, fault)
        return ConsumerRecord(*self._tp, *fields)


def guard_reading() -> None:
    """Let every consumer of this process read by the classes above; may be called again.

    Raises UnusableClient when a codec is missing, or a name of aiokafka that is relied on.
    """
    if unknown := missing_names():
        raise UnusableClient(
            f"aiokafka {version('aiokafka')} lacks {', '.join(unknown)}: install the version that "
            "pyproject.toml pins"
        )
    if missing := missing_codecs():
        raise UnusableClient(
            f"batches of {', '.join(missing)} cannot be read: install the version of cramjam that "
            "pyproject.toml pins"
        )
    fetcher.MemoryRecords = FetchedRecords
    fetcher.PartitionRecords = GuardedRecords


def _end_of_batch(data: bytes, start: int) -> int:
    if len(data) - start < _HEAD.size:
        return len(data) + 1
    length: int = _HEAD.unpack_from(data, start)[1]
    return start + _HEAD.size + length if length > 0 else len(data) + 1


def _base_offset(data: bytes, start: int) -> int | None:
    return _HEAD.unpack_from(data, start)[0] if start + _HEAD.size <= len(data) else None


def _next_offset(data: bytes, start: int, end: int, first: int) -> int:
    """The offset behind a damaged batch that may begin at `first`.

    It is where the next batch begins, if one came with it; else that of the damaged header, if its
    two fields agree; else first + 1: the broker then sends the same batch again.
    """
    following = _base_offset(data, end)
    if following is not None:
        return following
    if start + _HEADER_BYTES <= len(data):
        base, delta, count = _OFFSETS.unpack_from(data, start)
        if count == delta + 1 and base <= first <= base + delta:
            return int(base + delta + 1)
    return first + 1


def _is_dense(raw: memoryview) -> bool:
    """Whether a batch has a record for each of its offsets: compaction took none."""
    _, delta, count = _OFFSETS.unpack_from(raw)
    return bool(count == delta + 1)


def _size(content: bytes | None) -> int:
    return -1 if content is None else len(content)


def _payload(raw: memoryview) -> bytes:
    packed = raw[_HEADER_BYTES:]
    codec = raw[_ATTRIBUTES_AT + 1] & _CODEC_BITS
    return bytes(unpack(codec, packed) if codec else packed)


def _unpacked(raw: memoryview, payload: bytes) -> Any:
    """The same batch as if it had been sent uncompressed."""
    header = bytearray(raw[:_HEADER_BYTES])
    header[_ATTRIBUTES_AT + 1] &= ~_CODEC_BITS & 0xFF
    return DefaultRecordBatch(b"".join((header, payload)))
