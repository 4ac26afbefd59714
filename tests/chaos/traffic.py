"""Records for the brokers, and a truth file of those they acknowledged."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from aiokafka.errors import KafkaTimeoutError, UnknownTopicOrPartitionError

from deploy.simulator.event import ACCOUNTS, Event, Published
from deploy.simulator.publish.publish import PublishError, partition_of
from deploy.simulator.publish.recording import Header, write_lines
from deploy.simulator.traffic.generate import generate
from models.settings import Settings
from streams.kafka import clients
from streams.kafka.security import Access

REQUEST_TIMEOUT_MS = 5_000
BATCH_BYTES = 512 * 1024
NEVER_S = 120.0
FLUSH_S = 40.0
LEARN_S = 1.0  # from the last account settings to the traffic they are for
TICK_S = 0.02
SEGMENT_S = 30  # traffic of one seed; then the next one
#: What a producer raises before it has taken a record: it has no room while a broker is away, and a
#: broker that comes back does not know its topics for a moment.
NOT_TAKEN = (KafkaTimeoutError, UnknownTopicOrPartitionError)


class Publisher:
    """A producer that waits for a broker that is away, and writes nothing twice."""

    def __init__(self, brokers: str, **options: Any) -> None:
        defaults: dict[str, Any] = {
            "request_timeout_ms": REQUEST_TIMEOUT_MS,
            "enable_idempotence": True,
            "max_batch_size": BATCH_BYTES,
        }
        self.producer = clients.producer(Access(brokers), **{**defaults, **options})
        # A batch whose leader is away is given up after this long, a request much sooner.
        self.producer._message_accumulator._batch_ttl = NEVER_S
        self.acknowledged: list[Published] = []
        self._failures: list[BaseException] = []
        self._waiting: set[asyncio.Future[Any]] = set()

    async def send(self, record: Published, headers: Iterable[Header] = ()) -> None:
        """Hand over a record; once the brokers have it, it is in `acknowledged`."""
        answer = await self._hand_over(record, list(headers))
        self._waiting.add(answer)
        answer.add_done_callback(lambda done: self._note(done, record))

    async def _hand_over(self, record: Published, headers: list[Header]) -> asyncio.Future[Any]:
        give_up = time.monotonic() + NEVER_S
        while True:
            try:
                answer: asyncio.Future[Any] = await self.producer.send(
                    record.topic, record.value, record.key, record.partition, record.timestamp,
                    headers,
                )  # fmt: skip
                return answer
            except NOT_TAKEN:
                if time.monotonic() > give_up:
                    raise
                await asyncio.sleep(TICK_S)

    def _note(self, done: asyncio.Future[Any], record: Published) -> None:
        self._waiting.discard(done)
        if done.cancelled():
            return
        if error := done.exception():
            self._failures.append(error)
        else:
            self.acknowledged.append(record._replace(offset=done.result().offset))

    async def flush(self) -> None:
        """Wait for the acknowledgements. Raises PublishError when there is one missing."""
        if self._waiting:
            await asyncio.wait(self._waiting, timeout=FLUSH_S)
        if self._failures or self._waiting:
            why = self._failures[0] if self._failures else f"no answer within {FLUSH_S:g} s"
            raise PublishError(f"the driver's own records were not taken: {why!r}")

    async def __aenter__(self) -> Self:
        await self.producer.start()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        with suppress(TimeoutError):
            await asyncio.wait_for(self.producer.stop(), 5)


def published(events: Iterable[Event], settings: Settings) -> Iterator[Published]:
    """Events as records of their topics and partitions."""
    for event in events:
        home = 0 if event.key is None else partition_of(event.key, settings.partitions)
        yield Published(
            settings.topic(event.kind), (home + event.shift) % settings.partitions, -1,  # type: ignore[arg-type]
            event.arrival_ms, event.key, event.value, event.kind, event.note, event.expect,
        )  # fmt: skip


def events(seed: int, count: int) -> Iterator[Event]:
    """Simulated events up to now; other seeds have other messages."""
    return generate(seed, count, time.time_ns() // 1_000_000)


class Traffic:
    """Simulated events at a steady rate, from start() to stop(), any number of times."""

    def __init__(
        self, brokers: str, settings: Settings, rate: int, folder: Path, seed: int
    ) -> None:
        """seed: of the first segment; the following ones take the following numbers."""
        self._brokers = brokers
        self._settings = settings
        self._rate = rate
        self._folder = folder
        self._seed = seed
        self._stop = asyncio.Event()
        self._flowing: asyncio.Task[None] | None = None
        self.truths: list[Path] = []
        self.events = 0

    def start(self) -> None:
        """Begin (again)."""
        self._stop.clear()
        self._flowing = asyncio.create_task(self._flow())

    async def stop(self) -> None:
        """End, and wait for what is on its way. Raises PublishError, as the brokers give reason."""
        self._stop.set()
        flowing, self._flowing = self._flowing, None
        if flowing is not None:
            await flowing

    def check(self) -> None:
        """Raises what ended it, when something did."""
        if self._flowing is not None and self._flowing.done():
            self._flowing.result()

    def note(self, records: list[Published]) -> None:
        """Records that are in Kafka and belong to the truth."""
        truth = self._folder / f"truth-{len(self.truths)}.jsonl"
        write_lines(truth, records)
        self.truths.append(truth)
        self.events += len(records)

    async def _flow(self) -> None:
        async with Publisher(self._brokers) as publisher:
            try:
                while not self._stop.is_set():
                    self._seed += 1
                    await self._segment(publisher)
            finally:
                try:
                    await publisher.flush()
                finally:
                    self.note(publisher.acknowledged)

    async def _segment(self, publisher: Publisher) -> None:
        begun, before = time.monotonic(), ""
        records = published(events(self._seed, self._rate * SEGMENT_S), self._settings)
        for number, record in enumerate(records):
            if before == ACCOUNTS != record.kind:
                begun += LEARN_S
            before = record.kind
            wait = begun + number / self._rate - time.monotonic()
            if wait > TICK_S or number % 100 == 0:
                await asyncio.sleep(max(wait, 0))
            if self._stop.is_set():
                return
            await publisher.send(record)
