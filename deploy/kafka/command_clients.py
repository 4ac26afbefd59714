"""Clients of commands that read or write a few records and end."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, Final

from aiokafka import TopicPartition
from aiokafka.errors import KafkaError

from deploy.kafka.whole_partitions import POLL_MS, PartitionUnread, batches_of
from models.settings import Settings
from streams.kafka import clients
from streams.kafka.authorized import absence
from streams.kafka.refusals import no_answer
from streams.kafka.security import kafka_access

SEND_MS: Final = 15_000


class CommandError(RuntimeError):
    """Kafka did not answer, or a record cannot be read; the text names the fix."""


async def partitions_of(client: Any, topic: str, operation: str) -> int:
    """The number of a topic's partitions. Raises CommandError: it is missing, or may not be seen.

    client: of a consumer or producer. operation: what is to be done, such as READ
    """
    # Metadata of all topics: a request by name would create the topic on the embedded broker.
    cluster = await client.fetch_all_metadata()
    found = cluster.partitions_for_topic(topic)
    if not found:
        raise CommandError(await absence(client, topic, operation))
    return len(found)


async def records_of(
    consumer: Any, partition: TopicPartition, start: int | None = None, end: int | None = None
) -> AsyncIterator[Any]:
    """The records of a partition; bounds as for batches_of(). Raises CommandError."""
    try:
        async for records in batches_of(consumer, partition, start, end):
            for record in records:
                yield record
    except PartitionUnread as error:
        raise CommandError(str(error)) from error


@asynccontextmanager
async def consumer_of(settings: Settings) -> AsyncIterator[Any]:
    """A consumer without a group. Raises CommandError."""
    consumer = clients.consumer(kafka_access(settings), fetch_max_wait_ms=POLL_MS // 2)
    async with _started(settings, consumer, "READ"):
        yield consumer


@asynccontextmanager
async def producer_of(settings: Settings, **options: Any) -> AsyncIterator[Any]:
    """A producer with acks from all in-sync replicas. Raises CommandError."""
    access = kafka_access(settings)
    producer = clients.producer(access, request_timeout_ms=SEND_MS, **options)
    async with _started(settings, producer, "WRITE"):
        yield producer


@asynccontextmanager
async def _started(settings: Settings, client: Any, operation: str) -> AsyncIterator[None]:
    try:
        await client.start()
        await asyncio.sleep(0)  # aiokafka's stop() raises where its tasks have not begun yet
        yield
    except (KafkaError, OSError) as error:
        user = settings.kafka_sasl_username
        raise CommandError(no_answer(settings.brokers, error, operation, user)) from error
    finally:
        await client.stop()
