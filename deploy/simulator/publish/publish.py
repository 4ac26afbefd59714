"""Publishes simulated or recorded events to Kafka; writes acknowledged records to a truth file.

Publishes whole batches with acks=all. Records of a partition keep their order; partitions advance
together, chunk by chunk.
"""

from __future__ import annotations

import asyncio
import signal
import time
from collections import Counter, deque
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any, TextIO

import aiohttp
from aiokafka.errors import KafkaError
from murmurhash2 import murmurhash2

from deploy.simulator.event import ACCOUNTS, CALLBACKS, EVERY_KIND, KINDS, Event, Published
from deploy.simulator.publish.batching import (
    Batch,
    OutgoingRecord,
    PacedRecords,
    acknowledged_records,
    append,
)
from deploy.simulator.publish.posting import TIMEOUT, CallbackPoster, PostError, events_in
from deploy.simulator.publish.recording import Recorded, read_recording, to_line
from deploy.simulator.traffic.callbacks import with_callbacks
from deploy.simulator.traffic.generate import generate
from deploy.simulator.traffic.load_profiles import SHAPES, Shape
from streams.kafka import clients
from streams.kafka.authorized import absence
from streams.kafka.refusals import denied_right, no_answer, user_of
from streams.kafka.security import Access

AHEAD_S = 0.05  # records due within this time are sent together
BATCH_BYTES = 512 * 1024
SETTINGS_LEAD_S = 1.0  # from the account settings to the first traffic
IN_FLIGHT = 2  # chunks not yet acknowledged
KAFKA_SEED = 0x9747B28C

OnProgress = Callable[[int, int], None]  # events acknowledged, events in all (0: unknown)


class PublishError(RuntimeError):
    """The broker refused a batch, or a topic is missing. The truth file has the acknowledged
    records."""


@dataclass(frozen=True, slots=True)
class SimulateOptions:
    """What to simulate.

    access: how to reach Kafka. topics: topic name of each kind of event. rate: events a
    second (None: as fast as possible). as_of_ms: the end of the traffic, epoch ms (None: now).
    truth_path: where to write the truth file (None: nowhere). idempotent: for Apache Kafka; the
    embedded broker cannot. compression: gzip, snappy, lz4 or zstd (None: not at all). callbacks:
    address of a listener, to which providers post some of the receipts (None: all are published).
    """

    access: Access
    seed: int = 1
    events: int = 50_000
    rate: float | None = None
    shape: Shape = SHAPES["days"]
    as_of_ms: int | None = None
    truth_path: Path | None = None
    topics: Mapping[str, str] = field(default_factory=lambda: {kind: kind for kind in EVERY_KIND})
    idempotent: bool = False
    compression: str | None = None
    callbacks: str | None = None


@dataclass(frozen=True, slots=True)
class ReplayOptions:
    """A recording to publish again.

    speed: None as fast as possible, 1.0 at the pace of its timestamps, 2.0 twice as fast.
    now: give records the time of sending instead of their recorded timestamp.
    """

    access: Access
    path: Path
    speed: float | None = None
    now: bool = False
    truth_path: Path | None = None
    idempotent: bool = False
    compression: str | None = None


@dataclass(frozen=True, slots=True)
class Summary:
    """Acknowledged events in all and by kind, and the duration."""

    events: int
    seconds: float
    by_kind: Mapping[str, int]
    interrupted: bool
    as_of_ms: int


def partition_of(key: bytes, partitions: int) -> int:
    """The partition of a key as Kafka's own clients choose it (murmur2)."""
    return (int(murmurhash2(key, KAFKA_SEED)) & 0x7FFFFFFF) % partitions


async def simulate(
    options: SimulateOptions, progress: OnProgress | None = None, stop: asyncio.Event | None = None
) -> Summary:
    """Publishes `options.events` events of seeded traffic.

    Setting `stop` ends it early: the truth file has the acknowledged records, and the summary has
    `interrupted`. Raises `PublishError` when the broker refuses a batch or is unavailable, and
    ValueError for options out of range.
    """
    as_of_ms = options.as_of_ms or time.time_ns() // 1_000_000
    events = _events(options, as_of_ms)
    if options.rate is not None and options.rate <= 0:
        raise ValueError(f"rate: {options.rate} is not above 0 events a second")
    async with _publisher(options) as publisher:
        counts: dict[str, int] = {
            kind: await publisher.partitions(options.topics[kind])
            for kind in (EVERY_KIND if options.callbacks else KINDS)
        }
        outgoing = _simulated(options, events, counts)
        return await publisher.run(outgoing, options.events, progress, stop, as_of_ms)


def _events(options: SimulateOptions, as_of_ms: int) -> Iterator[Event]:
    events = generate(options.seed, options.events, as_of_ms, options.shape)
    if options.callbacks is None:
        return events
    return islice(with_callbacks(events, options.seed), options.events)


async def replay(
    options: ReplayOptions, progress: OnProgress | None = None, stop: asyncio.Event | None = None
) -> Summary:
    """Publishes a recording. Errors and `stop` as for `simulate`; raises `BadRecording` for a
    line that cannot be read."""
    if options.speed is not None and options.speed <= 0:
        raise ValueError(f"speed: {options.speed} is not above 0")
    as_of_ms = time.time_ns() // 1_000_000
    async with _publisher(options) as publisher:
        topics = {record.topic for record in read_recording(options.path)}
        counts = {topic: await publisher.partitions(topic) for topic in sorted(topics)}
        outgoing = _replayed(options, read_recording(options.path), counts)
        return await publisher.run(outgoing, 0, progress, stop, as_of_ms)


def run(work: Callable[[asyncio.Event], Awaitable[Summary]]) -> Summary:
    """Runs `simulate` or `replay`; Ctrl-C and SIGTERM set their `stop`.

    Example: `run(lambda stop: simulate(options, progress, stop))`.
    """

    async def main() -> Summary:
        stop = asyncio.Event()
        loop = asyncio.get_running_loop()
        for signum in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(signum, stop.set)
        return await work(stop)

    return asyncio.run(main())


def _simulated(
    options: SimulateOptions, events: Iterable[Event], partitions: Mapping[str, int]
) -> Iterator[OutgoingRecord]:
    """At the requested rate; a pause after account settings, so that workers read them first."""
    before, lead_s = "", 0.0
    for number, event in enumerate(events):
        if before == ACCOUNTS != event.kind:
            lead_s = SETTINGS_LEAD_S
        before = event.kind
        due_s = lead_s + (number / options.rate if options.rate else 0.0)
        record = _record_of(event, options.topics[event.kind], partitions[event.kind])
        yield OutgoingRecord(record, due_s=due_s)


def _record_of(event: Event, topic: str, partitions: int) -> Published:
    home = 0 if event.key is None else partition_of(event.key, partitions)
    return Published(
        topic, (home + event.shift) % partitions, -1, event.arrival_ms, event.key, event.value,
        event.kind, event.note, event.expect,
    )  # fmt: skip


def _replayed(
    options: ReplayOptions, records: Iterable[Recorded], partitions: Mapping[str, int]
) -> Iterator[OutgoingRecord]:
    first_ms: int | None = None
    for number, line in enumerate(records):
        if line.kind == CALLBACKS:
            continue  # it was posted, not published
        at = line.timestamp_ms
        if first_ms is None:
            first_ms = at
        due_s = (at - first_ms) / 1000 / options.speed if options.speed and at and first_ms else 0.0
        partition = line.partition
        if partition is None:
            spread = number % partitions[line.topic]
            partition = spread if line.key is None else partition_of(
                line.key, partitions[line.topic])  # fmt: skip
        elif partition >= partitions[line.topic]:
            raise PublishError(
                f"partition {partition} of topic {line.topic} does not exist: it has "
                f"{partitions[line.topic]}. Leave partition out to place records by their key"
            )
        timestamp = time.time_ns() // 1_000_000 if options.now or at is None else at
        record = Published(line.topic, partition, -1, timestamp, line.key, line.value,
                           line.kind, line.note, line.expect)  # fmt: skip
        yield OutgoingRecord(record, line.headers, due_s)


@asynccontextmanager
async def _publisher(options: SimulateOptions | ReplayOptions) -> AsyncIterator[_Publisher]:
    producer = clients.producer(
        options.access, enable_idempotence=options.idempotent, max_batch_size=BATCH_BYTES,
        max_request_size=4 * BATCH_BYTES, request_timeout_ms=30_000,
        compression_type=options.compression,
    )  # fmt: skip
    try:
        await producer.start()
        # A metadata request for one topic may create it; one for all topics does not.
        cluster = await producer.client.fetch_all_metadata()
    except KafkaError as error:
        await producer.stop()
        raise PublishError(
            no_answer(options.access.brokers, error, user=options.access.username)
        ) from error
    path = options.truth_path
    truth = path.open("w", encoding="utf-8") if path else None
    listener = options.callbacks if isinstance(options, SimulateOptions) else None
    try:
        async with aiohttp.ClientSession(timeout=TIMEOUT) as http:
            yield _Publisher(producer, cluster, truth, CallbackPoster(http, listener or ""))
    except PostError as error:
        raise PublishError(str(error)) from error
    finally:
        if truth:
            truth.close()
        await producer.stop()


class _Publisher:
    def __init__(
        self, producer: Any, cluster: Any, truth: TextIO | None, poster: CallbackPoster
    ) -> None:
        self._poster = poster
        self._producer = producer
        self._cluster = cluster
        self._truth = truth
        self._in_flight: deque[list[Batch]] = deque()
        self._by_kind: Counter[str] = Counter()

    async def partitions(self, topic: str) -> int:
        """Number of partitions. Raises PublishError for a missing topic; never creates it."""
        found = self._cluster.partitions_for_topic(topic)
        if not found:
            raise PublishError(await absence(self._producer.client, topic, "WRITE"))
        return len(found)

    async def run(
        self, outgoing: Iterator[OutgoingRecord], total: int, progress: OnProgress | None,
        stop: asyncio.Event | None, as_of_ms: int,
    ) -> Summary:  # fmt: skip
        """Publishes all records in chunks, each when it is due."""
        stop = stop or asyncio.Event()
        started = time.monotonic()
        paced = PacedRecords(outgoing)
        while paced.next and not stop.is_set():
            await _sleep_until(started + paced.next.due_s, stop)
            chunk = paced.take(time.monotonic() - started + AHEAD_S)
            if stop.is_set():
                break
            calls = [item.record for item in chunk if item.record.kind == CALLBACKS]
            self._in_flight.append(await self._send(chunk))
            if calls:
                self._write_down(list(enumerate(await self._poster.post(calls))))
            await self._await_acknowledged(IN_FLIGHT)
            if progress:
                progress(self._by_kind.total(), total)
        interrupted = stop.is_set()
        await self._await_acknowledged(0)
        if progress:
            progress(self._by_kind.total(), total)
        seconds = time.monotonic() - started
        by_kind = dict(self._by_kind)
        return Summary(self._by_kind.total(), seconds, by_kind, interrupted, as_of_ms)

    async def _send(self, chunk: list[OutgoingRecord]) -> list[Batch]:
        """Gives one chunk to the producer, one or more batches for each partition."""
        shares: dict[tuple[str, int], list[int]] = {}
        for place, (record, _, _) in enumerate(chunk):
            if record.kind == CALLBACKS:
                continue
            shares.setdefault((record.topic, record.partition), []).append(place)
        sent: list[Batch] = []
        for (topic, partition), places in shares.items():
            for batch, taken in self._batches(chunk, places):
                future = await self._producer.send_batch(batch, topic, partition=partition)
                sent.append(Batch(taken, [chunk[place].record for place in taken], future))
        return sent

    def _batches(
        self, chunk: list[OutgoingRecord], places: list[int]
    ) -> Iterator[tuple[Any, list[int]]]:
        batch, taken = self._producer.create_batch(), list[int]()
        for place in places:
            if not append(batch, chunk[place]):
                yield batch, taken
                batch, taken = self._producer.create_batch(), []
                if not append(batch, chunk[place]):
                    topic = chunk[place].record.topic
                    raise PublishError(f"a record of topic {topic} is too large for a batch")
            taken.append(place)
        yield batch, taken

    async def _await_acknowledged(self, allowed: int) -> None:
        """Waits until at most `allowed` chunks are in flight; writes the others to the truth."""
        while len(self._in_flight) > allowed:
            sent = self._in_flight.popleft()
            answers = await asyncio.gather(*(b.future for b in sent), return_exceptions=True)
            acknowledged: list[tuple[int, Published]] = []
            for batch, answer in zip(sent, answers, strict=True):
                if not isinstance(answer, BaseException):
                    acknowledged += acknowledged_records(batch, answer.offset)
            self._write_down(sorted(acknowledged))
            if failures := [a for a in answers if isinstance(a, BaseException)]:
                refused = denied_right(failures[0], "WRITE", user_of(self._producer.client))
                raise PublishError(str(refused or f"the broker refused a batch: {failures[0]}"))

    def _write_down(self, acknowledged: list[tuple[int, Published]]) -> None:
        for _, record in acknowledged:
            self._by_kind[record.kind] += events_in(record)
        if self._truth:
            self._truth.writelines(to_line(record) + "\n" for _, record in acknowledged)


async def _sleep_until(moment: float, stop: asyncio.Event) -> None:
    """Waits until a time of the monotonic clock, or until `stop`."""
    if (wait := moment - time.monotonic()) > 0:
        try:
            await asyncio.wait_for(stop.wait(), wait)
        except TimeoutError:
            return
