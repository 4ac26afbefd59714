"""Simulated traffic for the benchmarks, published once and read by every run.

The simulator's events in order of arrival, without campaigns (the worker does not read them) and
without strays (0.06 % of the events: a worker sends them on into the input topics, which the runs
share). Broken input (0.5 %) stays.
"""

import json
import time
from collections import defaultdict, deque
from collections.abc import AsyncIterator, Iterable, Iterator
from contextlib import asynccontextmanager
from itertools import islice
from typing import Any, NamedTuple

from aiokafka import AIOKafkaProducer

from deploy.simulator.event import Event
from deploy.simulator.traffic.generate import generate
from deploy.simulator.traffic.load_profiles import SHAPES
from models.keys import partition_of
from tests.bench.cluster import INPUTS

CHUNK = 4000
IN_FLIGHT = 4
BATCH_BYTES = 512 * 1024


class Outgoing(NamedTuple):
    """A record to publish; `timestamp` in epoch ms."""

    topic: str
    partition: int
    timestamp: int
    key: bytes | None
    value: bytes | None


class Truth(NamedTuple):
    """What was published, and what every run must end with."""

    events: int
    messages: int
    dead_letters: int


def events(count: int, shape: str, seed: int = 1, as_of_ms: int = 0) -> Iterator[Event]:
    """`count` simulated events, the last of them at a moment. as_of_ms: epoch ms; 0: now"""
    as_of_ms = as_of_ms or time.time_ns() // 1_000_000
    spare = count + count // 50 + 1000  # for the campaigns and strays left out
    wanted = (
        event
        for event in generate(seed, spare, as_of_ms, SHAPES[shape])
        if event.kind in INPUTS and not event.note.startswith("misrouted")
    )
    yield from islice(wanted, count)


def place(event: Event, prefix: str, partitions: int) -> Outgoing:
    """The record of an event, in its key's own partition."""
    home = 0 if event.key is None else partition_of(event.key, partitions)
    return Outgoing(prefix + event.kind, home, event.arrival_ms, event.key, event.value)


async def publish(
    brokers: str, prefix: str, partitions: int, count: int, shape: str, seed: int = 1
) -> Truth:
    """Publish `count` events and count what must come of them.

    Expected messages: distinct keys of good events that name a message.
    """
    keys: set[bytes | None] = set()
    dead = published = 0

    def outgoing() -> Iterator[Outgoing]:
        nonlocal dead, published
        for event in events(count, shape, seed):
            published += 1
            if event.expect:
                dead += 1
            elif event.kind != "engagements" or json.loads(event.value or b"{}").get("message_id"):
                keys.add(event.key)
            yield place(event, prefix, partitions)

    async with producing(brokers) as producer:
        await send_all(producer, outgoing())
    return Truth(published, len(keys), dead)


@asynccontextmanager
async def producing(brokers: str) -> AsyncIterator[Any]:
    """A producer of large batches, acks=all."""
    producer = AIOKafkaProducer(
        bootstrap_servers=brokers,
        acks="all",
        max_batch_size=BATCH_BYTES,
        max_request_size=8 * BATCH_BYTES,
    )
    await producer.start()
    try:
        yield producer
    finally:
        await producer.stop()


async def send_all(producer: Any, records: Iterable[Outgoing]) -> None:
    """Publish all records, in order within each partition; raises when one is not taken."""
    flying: deque[list[Any]] = deque()
    waiting = iter(records)
    while chunk := list(islice(waiting, CHUNK)):
        flying.append(await send_chunk(producer, chunk))
        if len(flying) > IN_FLIGHT:
            await settled(flying.popleft())
    for futures in flying:
        await settled(futures)


async def send_chunk(producer: Any, records: Iterable[Outgoing]) -> list[Any]:
    """Hand records over as whole batches; returns the batches' futures."""
    shares: dict[tuple[str, int], list[Outgoing]] = defaultdict(list)
    for record in records:
        shares[record.topic, record.partition].append(record)
    futures = []
    for (topic, partition), share in shares.items():
        for batch in _batches(producer, share):
            future = await producer.send_batch(batch, topic, partition=partition)
            futures.append(future)
    return futures


def _batches(producer: Any, records: list[Outgoing]) -> Iterator[Any]:
    batch = producer.create_batch()
    for record in records:
        _, _, timestamp, key, value = record
        if batch.append(timestamp=timestamp, key=key, value=value) is None:
            yield batch
            batch = producer.create_batch()
            if batch.append(timestamp=timestamp, key=key, value=value) is None:
                raise ValueError(f"a record of {len(value or b'')} bytes fits into no batch")
    yield batch


async def settled(futures: list[Any]) -> None:
    """Wait until batches are acknowledged; raises when one is not."""
    for future in futures:
        await future
