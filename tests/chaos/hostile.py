"""Records that no producer should write, and some do."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from random import Random
from typing import Final

from deploy.simulator.event import CAMPAIGNS, ENGAGEMENTS, KINDS, RECEIPTS, SENDS, Published
from deploy.simulator.publish.publish import partition_of
from deploy.simulator.publish.recording import Header
from models.settings import Settings
from tests.support.kafka_batches import RawName, batch, produce_raw

ACCOUNT: Final = "chaos"
CODECS: Final = ("gzip", "snappy", "lz4", "zstd")
HUGE_BYTES: Final = 5_000_000
HUGE_KEY_BYTES: Final = 2_500_000
GARBAGE: Final = (
    b"\x00" * 16, b"{", b"\xff\xfe\xfd", b'{"account":' * 2_000, b"\x1f\x8b\x08broken", b"null",
    b"[" * 60_000,
)  # fmt: skip
_COMPACTED_INPUT: Final = ("campaigns", "accounts")


def record(settings: Settings, topic: str, key: bytes, value: bytes | None, note: str) -> Published:
    """A record of now, in the partition of its key. topic: without the prefix."""
    partition = partition_of(key, settings.partitions)
    now = time.time_ns() // 1_000_000
    return Published(settings.topic_prefix + topic, partition, -1, now, key, value, topic, note)


def garbage(settings: Settings, rng: Random) -> Iterator[Published]:
    """Values that nothing can read and tombstones, on all topics, under keys of their own."""
    for topic in settings.topics:
        for value in (*rng.sample(GARBAGE, 3), rng.randbytes(200), None):
            key = b"%s/%s-%d" % (ACCOUNT.encode(), topic.encode(), rng.randrange(10**9))
            yield record(settings, topic, key, value, "tombstone" if value is None else "garbage")


def must_be_dead_letter(made: Published) -> bool:
    """Whether garbage has to become a dead letter: on input topics, but for tombstones there."""
    return made.kind in KINDS and not (made.value is None and made.kind in _COMPACTED_INPUT)


def huge_values(settings: Settings) -> Iterator[Published]:
    """Values of 5 MB that compress to a few KB, on every input topic."""
    text = b"a" * (HUGE_BYTES - 40)
    for topic in KINDS:
        key = f"{ACCOUNT}/huge-{topic}".encode()
        value = b'{"account":"%s","text":"%s"}' % (ACCOUNT.encode(), text)
        yield record(settings, topic, key, value, "huge value")


def huge_keys(settings: Settings) -> Iterator[Published]:
    """Keys of 2.5 MB on every input topic."""
    for topic in KINDS:
        yield record(settings, topic, b"k" * HUGE_KEY_BYTES, b"not json", "huge key")


HEADERS: Final[tuple[Header, ...]] = (
    (RawName(b"\xff\xfe\x80"), b"header"),
    (RawName(b"trace\xc3"), b"cut in the middle of a character"),
)


async def send_batch(brokers: str, records: list[tuple[Published, tuple[Header, ...]]]) -> int:
    """Write records of one partition as one batch; header names may be RawName. The first offset.

    Raises AssertionError when the broker refuses the batch.
    """
    first = records[0][0]
    contents = [(made.key, made.value, headers) for made, headers in records]
    data = batch(0, contents, timestamp_ms=first.timestamp)
    return await produce_raw(brokers, first.topic, first.partition, data)


def marker(settings: Settings, topic: str, partition: int) -> Published:
    """A valid event of one of the topics of messages that lies in that partition."""
    now = time.time_ns() // 1_000_000
    number = 0
    while True:
        name = f"marker-{now}-{number}"
        key = f"{ACCOUNT}/{name}".encode()
        if partition_of(key, settings.partitions) == partition:
            break
        number += 1
    value = json.dumps({"account": ACCOUNT, "message_id": name, **_FIELDS[topic](name, now)})
    return record(settings, topic, key, value.encode(), "marker")


_FIELDS: Final = {
    SENDS: lambda name, now: {"channel": "sms", "recipient": "+4915112345678", "sent_at": now},
    RECEIPTS: lambda name, now: {"status": "delivered", "occurred_at": now},
    ENGAGEMENTS: lambda name, now: {"event_id": name, "type": "click", "occurred_at": now},
}
assert CAMPAIGNS not in _FIELDS
