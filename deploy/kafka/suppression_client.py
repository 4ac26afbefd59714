"""Suppressed recipients, directly from Kafka.

Reads the compacted topic `suppressions` and publishes manual decisions to `suppression-requests`.
Needs neither a worker nor ClickHouse; a worker decides what a request changes.
"""

import time
from collections.abc import AsyncIterator
from typing import Any, NamedTuple

import msgspec
from aiokafka import TopicPartition
from pydantic import TypeAdapter, ValidationError

from deploy.kafka.command_clients import (
    CommandError,
    consumer_of,
    partitions_of,
    producer_of,
    records_of,
)
from models.contract import Account
from models.keys import message_key, partition_of, recipient_key
from models.numbers import person_from, person_of, spellings_of
from models.refusal import Refusal
from models.settings import Settings
from models.suppression import ChannelStatus, Suppression, decode, of_any, published
from models.suppression_facts import Facts
from models.suppression_requests import Action, parse_request
from models.vocabulary import CHANNELS, Channel

LONGEST = {"who": "256 characters", "why": "1024 characters"}


class InvalidRecipient(ValueError):
    """Account, recipient or channel is invalid; the text names the field and the form wanted."""


class InvalidRequest(ValueError):
    """The event contract refuses this request; the text names the field."""


class PublishedRequest(NamedTuple):
    """A request that the brokers acknowledged."""

    topic: str
    partition: int
    offset: int
    request: dict[str, Any]


_is_account = TypeAdapter(Account).validate_python

ACCOUNT_FORM = "1 to 64 of A-Z a-z 0-9 . _ -"
RECIPIENT_FORM = (
    "a number with its country code, such as +447700900123, or a user id of WhatsApp, such as "
    "US.13491208655302741918"
)


def checked_account(account: str) -> str:
    """Raises InvalidRecipient."""
    try:
        return _is_account(account)
    except ValidationError:
        raise InvalidRecipient(f"account: {account!r} is not {ACCOUNT_FORM}") from None


def checked_recipient(recipient: str) -> str:
    """A number as people write it, in E.164, or a user id. Raises InvalidRecipient."""
    read = person_from(recipient)
    if read is None:
        raise InvalidRecipient(f"recipient: {recipient!r} is not {RECIPIENT_FORM}")
    return read


def checked_channel(channel: str) -> Channel:
    """Raises InvalidRecipient."""
    for known in CHANNELS:
        if channel == known:
            return known
    raise InvalidRecipient(f"channel: {channel!r} is not {' or '.join(CHANNELS)}")


def channel_fields(status: ChannelStatus) -> dict[str, Any]:
    """The status on one channel as answers give it, with what it binds."""
    return {**msgspec.structs.asdict(status), "binds": status.binds}


# --- reading ----------------------------------------------------------------------------------


async def find(settings: Settings, account: str, recipient: str) -> Suppression:
    """The published record of a recipient, written in any way; without one, a record that is not
    suppressed.

    Reads the partition of its person's key, and those of its other spellings, under which 0.1.0 may
    have stored it. Raises InvalidRecipient or CommandError.
    """
    account, recipient = checked_account(account), checked_recipient(recipient)
    found = []
    async with consumer_of(settings) as consumer:
        for spelling in spellings_of(recipient):
            known = await _find(consumer, settings, message_key(account, spelling))
            found += [known] if known is not None else []
    nothing = published(account, person_of(recipient), Facts(), of_any(()), 0)
    return max(found, key=lambda record: record.suppressed, default=nothing)


async def _find(consumer: Any, settings: Settings, key: bytes) -> Suppression | None:
    topic, newest = settings.topic("suppressions"), None
    partitions = await partitions_of(consumer._client, topic, "READ")
    async for record in records_of(consumer, TopicPartition(topic, partition_of(key, partitions))):
        if record.key == key:
            newest = _newer(newest, record)
    return newest


async def suppressed_recipients(
    settings: Settings, account: str | None = None
) -> AsyncIterator[Suppression]:
    """Every suppressed recipient, of one account or of all, partition by partition.

    Holds the records of one partition at a time. Raises CommandError.
    """
    topic = settings.topic("suppressions")
    prefix = message_key(account, "") if account else b""
    async with consumer_of(settings) as consumer:
        for partition in range(await partitions_of(consumer._client, topic, "READ")):
            newest: dict[bytes, Suppression] = {}
            async for record in records_of(consumer, TopicPartition(topic, partition)):
                if record.key is not None and record.key.startswith(prefix):
                    _keep_newest(newest, record)
            for key in sorted(newest):
                yield newest[key]


def _keep_newest(newest: dict[bytes, Suppression], record: Any) -> None:
    newer = _newer(newest.get(record.key), record)
    if newer is not None and newer.suppressed:
        newest[record.key] = newer
    else:
        newest.pop(record.key, None)


def _newer(known: Suppression | None, record: Any) -> Suppression | None:
    """The known record or this one: the highest version wins, as for every reader of the topic."""
    if record.value is None:
        return None
    try:
        read = decode(record.value)
    except msgspec.MsgspecError as error:
        at = f"topic {record.topic}, partition {record.partition}, offset {record.offset}"
        raise CommandError(f"{at} is not a suppression: {error}") from error
    return known if known is not None and known.version > read.version else read


# --- publishing ---------------------------------------------------------------------------------


def request_value(
    account: str,
    recipient: str,
    action: Action,
    at: int | str,
    who: str,
    why: str,
    channel: Channel | None = None,
) -> bytes:
    """The value of a record of `suppression-requests`. Raises InvalidRecipient, InvalidRequest.

    at: epoch ms, or RFC 3339 with a zone. channel: None: all
    """
    account, recipient = checked_account(account), checked_recipient(recipient)
    what = {"account": account, "recipient": recipient, "action": action, "channel": channel}
    value = msgspec.json.encode({**what, "at": at, "who": who, "why": why})
    request = parse_request(value, now_ms())
    if isinstance(request, Refusal):
        raise InvalidRequest(request.detail.replace("the record's timestamp", "now"))
    if request.repaired:  # the workers would cut it; who types it can write less
        field = request.repaired[0]
        raise InvalidRequest(f"{field}: too long, or not text. Fix: write at most {LONGEST[field]}")
    return msgspec.json.encode(request.model_dump())


def now_ms() -> int:
    """Now, in epoch ms."""
    return time.time_ns() // 1_000_000


async def publish(settings: Settings, value: bytes) -> PublishedRequest:
    """Publish a value of `request_value` and wait for the acknowledgement of all copies.

    Raises CommandError.
    """
    request = msgspec.json.decode(value)
    key = recipient_key(request["account"], request["recipient"])
    topic = settings.topic("suppression-requests")
    async with producer_of(settings) as producer:
        partition = partition_of(key, await partitions_of(producer.client, topic, "WRITE"))
        sent = await producer.send_and_wait(topic, value, key=key, partition=partition)
    return PublishedRequest(topic, partition, sent.offset, request)
