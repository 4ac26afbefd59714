"""A sink at work beside the test, on topics of its own."""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from typing import Any

import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition

from deploy.embedded.brokers import Broker, EmbeddedBroker
from models.settings import Settings, Topic
from sinks.client import ClickHouse
from sinks.rows import TOPICS
from sinks.run import run_sink
from tests.support.fakes import Health, Meter, receipt, send, state, state_record
from tests.support.records import Record
from tests.support.topics import create_topics

PARTITIONS = 2

#: For tests of the sink, not of the engine: the real HTTP driver alone.
one_way = pytest.mark.parametrize("way", ["http"], indirect=True)


#: Joining the embedded broker's group takes half of it. Real Kafka takes nothing below 6 s.
EMBEDDED_SESSION_S = 3


async def settings_for(broker: Broker, prefix: str, url: str, **given: Any) -> Settings:
    """Settings of one test, its topics created. There are endpoints unless `given` has none."""
    settings = Settings(
        brokers=broker.bootstrap,
        app_id=f"{prefix}app",
        topic_prefix=prefix,
        partitions=PARTITIONS,
        clickhouse_url=url,
        sink_max_wait_s=0.1,
        **{"endpoints": "not-opened.toml", **given},
    )
    if isinstance(broker, EmbeddedBroker):
        settings = settings.model_copy(update={"session_timeout_s": EMBEDDED_SESSION_S})
    names = [settings.topic(name) for name in TOPICS if name in settings.topics]
    await create_topics(broker.bootstrap, *names, partitions=PARTITIONS)
    return settings


class Running:
    """One sink in this process; `end` asks it to stop and waits."""

    def __init__(self, settings: Settings) -> None:
        self.meter, self.health, self.stop = Meter(), Health(), asyncio.Event()
        self.task = asyncio.create_task(run_sink(settings, self.meter, self.health, self.stop))

    def rows(self, table: str) -> float:
        """Rows this sink wrote into a table."""
        return self.meter.value("receipts_sink_rows_total", table)

    async def until(self, true: Callable[[], object], seconds: float = 30) -> None:
        """Wait until it is true; the sink's failure is the test's."""
        ends = time.monotonic() + seconds
        while not true():
            if self.task.done():
                self.task.result()
                raise AssertionError("the sink ended")
            assert time.monotonic() < ends, f"still not: {self.health.reasons} {self.meter.sums}"
            await asyncio.sleep(0.02)

    async def joined(self) -> None:
        """Wait until nothing stands in the sink's way."""
        await self.until(lambda: ("kafka", "") in self.health.history and not self.health.reasons)

    async def end(self) -> float:
        """Stop; the seconds it took."""
        began = time.monotonic()
        self.stop.set()
        await asyncio.wait_for(self.task, 20)
        return time.monotonic() - began


@contextlib.asynccontextmanager
async def running(settings: Settings) -> AsyncIterator[Running]:
    """A sink that has its partitions; ended with the block."""
    sink = Running(settings)
    try:
        await sink.joined()
        yield sink
    finally:
        sink.stop.set()
        await asyncio.wait_for(sink.task, 20)


async def publish(settings: Settings, records: Iterable[Record]) -> None:
    """Produce records to the partitions and topics they name (modulo, prefixed)."""
    producer = AIOKafkaProducer(bootstrap_servers=settings.brokers, acks="all")
    await producer.start()
    try:
        sent = [
            await producer.send(
                settings.topic_prefix + record.topic,
                key=record.key,
                value=record.value,
                partition=record.partition % PARTITIONS,
                timestamp_ms=record.timestamp,
                headers=list(record.headers),
            )
            for record in records
        ]
        await asyncio.gather(*sent)
    finally:
        await producer.stop()


async def committed(settings: Settings, topic: Topic) -> int:
    """Sum of the sink group's offsets over the partitions of a topic."""
    consumer = AIOKafkaConsumer(bootstrap_servers=settings.brokers, group_id=settings.sink_group)
    await consumer.start()
    try:
        places = [TopicPartition(settings.topic(topic), n) for n in range(PARTITIONS)]
        return sum([await consumer.committed(place) or 0 for place in places])
    finally:
        await consumer.stop()


async def consumed(settings: Settings, topic: Topic, count: int) -> Sequence[Any]:
    """The first records of a topic, over all partitions."""
    consumer = AIOKafkaConsumer(
        settings.topic(topic), bootstrap_servers=settings.brokers, auto_offset_reset="earliest"
    )
    await consumer.start()
    try:
        found: list[Any] = []
        ends = time.monotonic() + 20
        while len(found) < count:
            assert time.monotonic() < ends, found
            for batch in (await consumer.getmany(timeout_ms=200)).values():
                found += batch
        return found
    finally:
        await consumer.stop()


def count(clickhouse: ClickHouse, view: str) -> int:
    """Rows of a view."""
    return int(clickhouse.rows(f"SELECT count() FROM {view}")[0][0])


def states(count: int, first: int = 0) -> list[Record]:
    """Delivered messages, spread over the partitions."""
    made = []
    for n in range(first, first + count):
        known = state(1, send(f"m{n}"), receipt("delivered", f"m{n}"))
        made.append(state_record(known, f"m{n}")._replace(partition=n))
    return made
