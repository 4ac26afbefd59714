"""Raw callbacks, and what became of them, directly from Kafka."""

import asyncio
import time
from collections.abc import AsyncGenerator, Callable, Collection, Mapping
from contextlib import aclosing, suppress
from typing import Any, Final, NamedTuple

from aiokafka import TopicPartition

from deploy.kafka.command_clients import (
    CommandError,
    consumer_of,
    partitions_of,
    producer_of,
    records_of,
)
from deploy.kafka.whole_partitions import POLL_MS
from models.callbacks import RawCallback, headers_of_copy, raw_callback
from models.correlation import Correlation, decode
from models.keys import partition_of
from models.settings import Settings
from streams.kafka.reading import UnreadableRecord

#: Records that are read at first from the end of a partition; then twice as many each time.
_FIRST_WINDOW: Final = 256
_LARGEST_WINDOW: Final = 65_536
#: Copies that wait for their acknowledgement at a time.
_MOST_WAITING: Final = 1_000

OnRead = Callable[[int, int], None]
"""Called with the records read so far, and how many there are at most; 0: not known."""


class Position(NamedTuple):
    """Of a record of `callbacks`."""

    partition: int
    offset: int

    def __str__(self) -> str:
        return f"{self.partition}:{self.offset}"


class KeptCallback(NamedTuple):
    """A callback as Kafka keeps it.

    record: of aiokafka. fault: why it cannot be read; "": it can
    """

    position: Position
    raw: RawCallback
    record: Any
    fault: str = ""


class Span(NamedTuple):
    """Times of callbacks, epoch ms; until: not included."""

    since: int
    until: int

    def has(self, raw: RawCallback) -> bool:
        """Whether a callback came within it."""
        return self.since <= raw.received_at < self.until


def parse_position(written: str) -> Position:
    """PARTITION:OFFSET. Raises ValueError."""
    partition, _, offset = written.partition(":")
    if not all(part.isascii() and part.isdigit() for part in (partition, offset)):
        raise ValueError(f"{written!r} is not PARTITION:OFFSET, such as 3:1042")
    return Position(int(partition), int(offset))


def _kept(record: Any) -> KeptCallback:
    fault = record.fault if isinstance(record, UnreadableRecord) else ""
    raw = raw_callback(record.value, record.headers or (), record.timestamp)
    return KeptCallback(Position(record.partition, record.offset), raw, record, fault)


# --- reading --------------------------------------------------------------------------------------


async def callback_at(settings: Settings, position: Position) -> KeptCallback:
    """The callback at a position. Raises CommandError where there is none."""
    topic = settings.topic("callbacks")
    async with consumer_of(settings) as consumer:
        count = await partitions_of(consumer._client, topic, "READ")
        if position.partition >= count:
            raise CommandError(f"{position}: {topic} has partitions 0 to {count - 1}")
        tp = TopicPartition(topic, position.partition)
        begin, end = await _bounds(consumer, tp)
        if not begin <= position.offset < end:
            there = f"has offsets {begin} to {end - 1}" if begin < end else "is empty"
            kept = f"callbacks are kept for {settings.callback_days} days"
            raise CommandError(f"{position}: partition {tp.partition} of {topic} {there}; {kept}")
        async for record in records_of(consumer, tp, position.offset, position.offset + 1):
            return _kept(record)
    raise CommandError(f"{position}: Kafka has no callback there")


async def newest_callbacks(
    settings: Settings,
    span: Span,
    limit: int,
    is_wanted: Callable[[KeptCallback], bool],
    on_read: OnRead,
) -> list[KeptCallback]:
    """The newest callbacks of a span that are wanted, the newest first. Raises CommandError.

    Partitions are read from their ends backwards, until each has given enough.
    """
    topic, found, read = settings.topic("callbacks"), list[KeptCallback](), 0
    async with consumer_of(settings) as consumer:
        for partition in range(await partitions_of(consumer._client, topic, "READ")):
            tp = TopicPartition(topic, partition)
            begin, end = await _since(consumer, tp, span.since)
            size, of_partition = _FIRST_WINDOW, list[KeptCallback]()
            while begin < end and len(of_partition) < limit:
                start, window = max(begin, end - size), list[KeptCallback]()
                async for record in records_of(consumer, tp, start, end):
                    read += 1
                    kept = _kept(record)
                    if span.has(kept.raw) and is_wanted(kept):
                        window.append(kept)
                on_read(read, 0)
                of_partition = window + of_partition
                end, size = start, min(2 * size, _LARGEST_WINDOW)
            found += of_partition[-limit:]
    found.sort(key=lambda kept: (kept.raw.received_at, kept.position), reverse=True)
    return found[:limit]


async def _bounds(consumer: Any, tp: TopicPartition) -> tuple[int, int]:
    """The first offset of a partition, and the one after its last."""
    begin = (await consumer.beginning_offsets([tp]))[tp]
    end = (await consumer.end_offsets([tp]))[tp]
    # ListOffsets of the embedded broker is too low; a fetch is not.
    consumer.assign([tp])
    consumer.seek(tp, end)
    await consumer.getmany(tp, timeout_ms=POLL_MS)
    return begin, max(end, consumer.highwater(tp) or 0)


async def _since(consumer: Any, tp: TopicPartition, since: int) -> tuple[int, int]:
    """The first offset of a partition that may be of this time (epoch ms) or later, and its end."""
    begin, end = await _bounds(consumer, tp)
    if since <= 0:
        return begin, end
    found = (await consumer.offsets_for_times({tp: since}))[tp]
    return (end if found is None else max(begin, found.offset)), end


class Bounds(NamedTuple):
    """Records of a partition: those that are there when it is made."""

    partition: TopicPartition
    begin: int
    end: int


async def bounds_since(settings: Settings, since: int) -> list[Bounds]:
    """Where the callbacks since a time (epoch ms) are now. Raises CommandError."""
    topic = settings.topic("callbacks")
    async with consumer_of(settings) as consumer:
        partitions = range(await partitions_of(consumer._client, topic, "READ"))
        tps = [TopicPartition(topic, partition) for partition in partitions]
        return [Bounds(tp, *await _since(consumer, tp, since)) for tp in tps]


async def callbacks_in(
    settings: Settings,
    bounds: Collection[Bounds],
    is_wanted: Callable[[KeptCallback], bool],
    on_read: OnRead,
) -> AsyncGenerator[KeptCallback, None]:
    """The callbacks within bounds that are wanted, without copies of a replay. Raises
    CommandError."""
    total, read = sum(each.end - each.begin for each in bounds), 0
    async with consumer_of(settings) as consumer:
        for tp, begin, end in bounds:
            async for record in records_of(consumer, tp, begin, end):
                read += 1
                kept = _kept(record)
                if read % 256 == 0:
                    on_read(read, total)
                if not kept.fault and not kept.raw.replayed_at and is_wanted(kept):
                    yield kept


# --- what became of them --------------------------------------------------------------------------


class Known(NamedTuple):
    """What the workers know under some keys.

    partitions: of `provider-correlations`, by key. read: records that were read of each of them
    """

    correlations: Mapping[bytes, Correlation]
    partitions: Mapping[bytes, int]
    read: Mapping[int, int]


async def known_under(settings: Settings, keys: Collection[bytes], on_read: OnRead) -> Known:
    """What the changelog of the workers has under keys. Raises CommandError.

    Reads the whole partition of each key: the topic is compacted, and has no index.
    """
    topic = settings.topic("provider-correlations")
    newest: dict[bytes, bytes] = {}
    read: dict[int, int] = {}
    async with consumer_of(settings) as consumer:
        count = await partitions_of(consumer._client, topic, "READ")
        homes = {key: partition_of(key, count) for key in keys}
        tps = [TopicPartition(topic, partition) for partition in sorted(set(homes.values()))]
        bounds = [Bounds(tp, *await _bounds(consumer, tp)) for tp in tps]
        total = sum(each.end - each.begin for each in bounds)
        for tp, begin, end in bounds:
            number = 0
            async for record in records_of(consumer, tp, begin, end):
                number += 1
                if number % 256 == 0:
                    on_read(sum(read.values()) + number, total)
                if record.key in keys and record.value is None:
                    newest.pop(record.key, None)
                elif record.key in keys:
                    newest[record.key] = record.value
            read[tp.partition] = number
    return Known({key: decode(value) for key, value in newest.items()}, homes, read)


class DeadLetter(NamedTuple):
    """A refusal of a callback, at this partition and offset of `dead-letters`."""

    partition: int
    offset: int
    reason: str
    detail: str


async def dead_letters_of(
    settings: Settings, kept: KeptCallback, on_read: OnRead
) -> tuple[list[DeadLetter], int]:
    """The dead letters of a callback, and how many records were read for them.

    Workers put it into the partition with the number of its own. Raises CommandError.
    """
    topic, found, read = settings.topic("dead-letters"), list[DeadLetter](), 0
    origin = {
        "topic": settings.topic("callbacks").encode(),
        "partition": str(kept.position.partition).encode(),
        "offset": str(kept.position.offset).encode(),
    }
    async with consumer_of(settings) as consumer:
        await partitions_of(consumer._client, topic, "READ")
        tp = TopicPartition(topic, kept.position.partition)
        begin, end = await _since(consumer, tp, kept.record.timestamp)
        async for record in records_of(consumer, tp, begin, end):
            read += 1
            if read % 256 == 0:
                on_read(read, end - begin)
            headers = dict(record.headers or ())
            if all(headers.get(name) == value for name, value in origin.items()):
                reason, detail = (headers.get(name, b"") for name in ("reason", "detail"))
                texts = (text.decode("utf-8", "replace") for text in (reason, detail))
                found.append(DeadLetter(tp.partition, record.offset, *texts))
    return found, read


# --- reading them again ---------------------------------------------------------------------------


async def replay(
    settings: Settings,
    callbacks: AsyncGenerator[KeptCallback, None],
    rate: float,
    on_sent: Callable[[int], None],
    stop: asyncio.Event,
) -> int:
    """Produce copies of callbacks, each to the partition of its original; how many Kafka has.

    rate: per second. stop: ends it early; what is under way is acknowledged first. Raises
    CommandError.

    A copy keeps the time of its original, so it is not kept for longer. Copies that are produced
    twice change nothing, so the producer need not be idempotent.
    """
    topic, at, began = settings.topic("callbacks"), now_ms(), time.monotonic()
    waiting: set[asyncio.Future[Any]] = set()
    sent = 0
    async with producer_of(settings, linger_ms=5) as producer:
        await partitions_of(producer.client, topic, "WRITE")
        async with aclosing(callbacks):
            async for kept in callbacks:
                await _pause(began + sent / rate, stop)
                if stop.is_set():
                    break
                waiting.add(await producer.send(topic, **_copy(kept, at)))
                sent += 1
                on_sent(sent)
                if len(waiting) >= _MOST_WAITING:
                    waiting = await _acknowledged(waiting, asyncio.FIRST_COMPLETED)
        await _acknowledged(waiting, asyncio.ALL_COMPLETED)
    return sent


def _copy(kept: KeptCallback, at: int) -> dict[str, Any]:
    record = kept.record
    headers = headers_of_copy(kept.raw, record.headers, str(kept.position), at)
    return {
        "value": record.value,
        "key": record.key,
        "partition": kept.position.partition,
        "timestamp_ms": record.timestamp if record.timestamp >= 0 else None,
        "headers": headers,
    }


async def _pause(until: float, stop: asyncio.Event) -> None:
    """Until a time of the monotonic clock, or a stop."""
    if (seconds := until - time.monotonic()) > 0:
        with suppress(TimeoutError):
            await asyncio.wait_for(stop.wait(), seconds)


async def _acknowledged(waiting: set[asyncio.Future[Any]], when: str) -> set[asyncio.Future[Any]]:
    """Those that still wait. Raises the error of one that failed."""
    if not waiting:
        return waiting
    done, rest = await asyncio.wait(waiting, return_when=when)
    for each in done:
        each.result()
    return rest


def now_ms() -> int:
    """Epoch ms."""
    return time.time_ns() // 1_000_000
