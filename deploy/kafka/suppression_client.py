"""Suppressed numbers, straight from Kafka: what the compacted topic `suppressions` says of one or
all of them, and decisions of people published to `suppression-requests`.

Nothing here needs a worker or ClickHouse; the worker decides what a request leads to.
"""

import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, NamedTuple

import msgspec
from aiokafka import TopicPartition
from aiokafka.errors import KafkaError
from pydantic import BaseModel, ValidationError

from models.contract import E164, Account
from models.keys import partition_of, recipient_key
from models.refusal import Refusal
from models.settings import Settings, Topic
from models.suppression import Facts, StrikeFact, Suppression, SuppressionStatus, decode, published
from models.suppression_requests import Action, parse_request
from streams.kafka import clients

POLL_MS = 200
SILENT_S = 30.0
"""A broker that brings nothing new for this long, though there is more, is given up."""
SEND_MS = 15_000


class SuppressionsError(RuntimeError):
    """Kafka gave no answer or holds something unreadable; the text says what to do."""


class BadNumber(ValueError):
    """No account or no number; the text names the field and what it must be like."""


class BadRequest(ValueError):
    """The contract refuses this request; the text names the field."""


class Placed(NamedTuple):
    """A request that the brokers acknowledged."""

    topic: str
    partition: int
    offset: int
    request: dict[str, Any]


class _Number(BaseModel):
    account: Account
    recipient: E164


_WANTED = {
    "account": "1 to 64 of A-Z a-z 0-9 . _ -",
    "recipient": "a number in E.164 form, such as +447700900123",
}


def key_of_number(account: str, recipient: str) -> bytes:
    """The record key of a number. Raises BadNumber."""
    try:
        number = _Number(account=account, recipient=recipient)
    except ValidationError as error:
        field = str(error.errors()[0]["loc"][0])
        given = {"account": account, "recipient": recipient}[field]
        raise BadNumber(f"{field}: {given!r} is not {_WANTED[field]}") from None
    return recipient_key(number.account, number.recipient)


# --- reading ----------------------------------------------------------------------------------


async def find(settings: Settings, account: str, recipient: str) -> Suppression:
    """What is published of one number; of one that was never heard of, that it is not suppressed.

    Reads the partition of its key. Raises BadNumber or SuppressionsError.
    """
    key, found = key_of_number(account, recipient), None
    topic = settings.topic("suppressions")
    async with _consumer(settings) as consumer:
        partitions = await _partitions(consumer._client, topic)
        home = TopicPartition(topic, partition_of(key, partitions))
        async for record in _records(consumer, home):
            if record.key == key:
                found = _later(found, record)
    nothing = published(account, recipient, Facts(), SuppressionStatus(False, (), 0, 0, 0), 0)
    return found or nothing


async def suppressed_numbers(
    settings: Settings, account: str | None = None
) -> AsyncIterator[Suppression]:
    """Every number that is suppressed, of one account or of all, partition by partition.

    Holds the suppressed numbers of one partition at a time. Raises SuppressionsError.
    """
    topic = settings.topic("suppressions")
    prefix = recipient_key(account, "") if account else b""
    async with _consumer(settings) as consumer:
        for number in range(await _partitions(consumer._client, topic)):
            found: dict[bytes, Suppression] = {}
            async for record in _records(consumer, TopicPartition(topic, number)):
                if record.key is not None and record.key.startswith(prefix):
                    _follow(found, record)
            for key in sorted(found):
                yield found[key]


def _follow(found: dict[bytes, Suppression], record: Any) -> None:
    later = _later(found.get(record.key), record)
    if later is not None and later.suppressed:
        found[record.key] = later
    else:
        found.pop(record.key, None)


def _later(known: Suppression | None, record: Any) -> Suppression | None:
    """What stands after a record: the highest version, as readers of the topic must do it."""
    if record.value is None:
        return None
    try:
        read = decode(record.value)
    except msgspec.MsgspecError as error:
        at = f"topic {record.topic}, partition {record.partition}, offset {record.offset}"
        raise SuppressionsError(f"{at} is no suppression: {error}") from error
    return known if known is not None and known.version > read.version else read


def strikes_behind(number: Suppression) -> tuple[list[StrikeFact], list[StrikeFact]]:
    """The strikes that count, and those that were struck and do not count (any more), by time.

    The newest count, as many as the record says, without those from before the last release: so
    the account's settings, by which the worker counted them, are not needed here.
    """
    struck = sorted(
        (strike for strike in number.facts.strikes if strike.struck),
        key=lambda strike: (strike.occurred_at, strike.place),
    )
    eligible = [strike for strike in struck if strike.sent_at >= number.facts.released.at]
    counted = eligible[len(eligible) - number.strikes :] if number.strikes else []
    return counted, [strike for strike in struck if strike not in counted]


async def _records(consumer: Any, partition: TopicPartition) -> AsyncIterator[Any]:
    """The records of a partition from its beginning to the end it had when the reading began.

    The end is the high watermark of the first fetch: the embedded broker's ListOffsets is short.
    """
    consumer.assign([partition])
    await consumer.seek_to_beginning(partition)
    end, heard = None, time.monotonic()
    while end is None or await consumer.position(partition) < end:
        batches = await consumer.getmany(timeout_ms=POLL_MS)
        for record in batches.get(partition, ()):
            yield record
        if end is None:
            end = consumer.highwater(partition)
        if batches:
            heard = time.monotonic()
        elif time.monotonic() - heard > SILENT_S:
            where = f"partition {partition.partition} of topic {partition.topic}"
            raise SuppressionsError(f"{where} could not be read to its end within {SILENT_S:g} s")


# --- publishing ---------------------------------------------------------------------------------


def request_value(
    account: str, recipient: str, action: Action, at: int | str, who: str, why: str
) -> bytes:
    """A record of `suppression-requests` as the contract wants it. Raises BadNumber, BadRequest.

    at: epoch ms, or RFC 3339 with a zone
    """
    key_of_number(account, recipient)
    said = {"account": account, "recipient": recipient, "action": action}
    value = msgspec.json.encode({**said, "at": at, "who": who, "why": why})
    request = parse_request(value, now_ms())
    if isinstance(request, Refusal):
        raise BadRequest(request.detail.replace("the record's timestamp", "now"))
    return msgspec.json.encode(request.model_dump())


def now_ms() -> int:
    """Now, in epoch ms."""
    return time.time_ns() // 1_000_000


async def publish(settings: Settings, value: bytes) -> Placed:
    """Publish a value that `request_value` made, and wait until all copies have it.

    Raises SuppressionsError.
    """
    request = msgspec.json.decode(value)
    key, topic = (
        recipient_key(request["account"], request["recipient"]),
        settings.topic("suppression-requests"),
    )
    async with _producer(settings) as producer:
        partition = partition_of(key, await _partitions(producer.client, topic))
        sent = await producer.send_and_wait(topic, value, key=key, partition=partition)
    return Placed(topic, partition, sent.offset, request)


# --- clients ------------------------------------------------------------------------------------


async def _partitions(client: Any, topic: Topic | str) -> int:
    # All topics are listed: asking by name would create it on the embedded broker.
    cluster = await client.fetch_all_metadata()
    found = cluster.partitions_for_topic(topic)
    if not found:
        raise SuppressionsError(f"topic {topic} is missing. Fix: run `receipts topics`")
    return len(found)


@asynccontextmanager
async def _consumer(settings: Settings) -> AsyncIterator[Any]:
    consumer = clients.consumer(settings.brokers, fetch_max_wait_ms=POLL_MS // 2)
    async with _started(settings, consumer):
        yield consumer


@asynccontextmanager
async def _producer(settings: Settings) -> AsyncIterator[Any]:
    producer = clients.producer(settings.brokers, request_timeout_ms=SEND_MS)
    async with _started(settings, producer):
        yield producer


@asynccontextmanager
async def _started(settings: Settings, client: Any) -> AsyncIterator[None]:
    try:
        await client.start()
        yield
    except (KafkaError, OSError) as error:
        raise SuppressionsError(
            f"Kafka at {settings.brokers} gives no answer ({error}). "
            "Fix: start it, or set RECEIPTS_BROKERS"
        ) from error
    finally:
        await client.stop()
