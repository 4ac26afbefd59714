"""Faults of what lies in Kafka: hostile records, transactions, topics made again, offsets."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from signal import SIGTERM
from typing import Any, Final

from aiokafka import TopicPartition

from deploy.kafka.topics import create_topics
from deploy.simulator.event import ENGAGEMENTS, KINDS, RECEIPTS, SENDS, Published
from streams.kafka import clients
from streams.kafka.security import Access
from tests.chaos import hostile
from tests.chaos.faults import Stage, fault
from tests.chaos.installation import Installation, Late
from tests.chaos.process_faults import READY_S, STOP_S, restart
from tests.chaos.traffic import Publisher
from tests.chaos.verdict import Hostile, lag

SIDE_EVENTS: Final = 150
MOST_REQUEST_BYTES: Final = 16 << 20
WORKED_OFF_S: Final = 20.0
TRANSACTION_MS: Final = 5_000


@fault("codecs", "valid records in batches of every codec, on all input topics", short=True)
async def codecs(stage: Stage) -> None:
    system = stage.system
    for codec in stage.rng.sample(hostile.CODECS, len(hostile.CODECS)):
        records = system.side_events(SIDE_EVENTS)
        stage.say(f"{len(records)} events as {codec}")
        await system.publish(records, compression_type=codec)


@fault("huge-records", "values of 5 MB and keys of 2.5 MB that compress small", short=True)
async def huge_records(stage: Stage) -> None:
    system, settings = stage.system, stage.system.settings
    for what, records in (
        ("values", hostile.huge_values(settings)),
        ("keys", hostile.huge_keys(settings)),
    ):
        codec = stage.rng.choice(hostile.CODECS)
        stage.say(f"huge {what} as {codec}")
        await system.publish_hostile(
            records, lambda _: True, compression_type=codec, max_request_size=MOST_REQUEST_BYTES
        )


@fault("header-names", "header names that are not UTF-8, between valid records", short=True)
async def header_names(stage: Stage) -> None:
    system = stage.system
    for topic in KINDS:
        header = stage.rng.choice(hostile.HEADERS)
        stage.say(f"{header[0].encode()!r} on {topic}")
        key = f"{hostile.ACCOUNT}/header-{stage.rng.randrange(10**9)}".encode()
        bad = hostile.record(system.settings, topic, key, b"not json", "header name")
        around = _neighbours(system, topic, bad.partition)
        records = [*around[:1], bad, *around[1:]]
        first = await hostile.send_batch(
            system.brokers.bootstrap, [(r, (header,) if r is bad else ()) for r in records]
        )
        placed = [r._replace(offset=first + n) for n, r in enumerate(records)]
        system.hostile += [Hostile(r, must=True) for r in placed if r.note == bad.note]
        system.traffic.note([r for r in placed if r.note != bad.note])


def _neighbours(system: Installation, topic: str, partition: int) -> list[Published]:
    """Two valid events for the same batch, where the topic is one of messages."""
    if topic not in (SENDS, RECEIPTS, ENGAGEMENTS):
        return []
    return [hostile.marker(system.settings, topic, partition) for _ in range(2)]


@fault("garbage", "garbage and tombstones on all topics, then a restore over them", short=True)
async def garbage(stage: Stage) -> None:
    system = stage.system
    records = list(hostile.garbage(system.settings, stage.rng))
    stage.say(f"{len(records)} records on all {len({r.topic for r in records})} topics")
    await system.publish_hostile(records, hostile.must_be_dead_letter)
    await asyncio.sleep(1)
    await restart(stage, stage.rng.choice(system.of_kind("worker")))


@fault("transactions", "transactions committed, aborted, held open, and left open", short=True)
async def transactions(stage: Stage) -> None:
    system = stage.system
    for number in stage.times(2):
        for committed in stage.rng.sample((True, False), 2):
            async with _transaction(system, f"{number}-{committed}") as publisher:
                if committed:
                    await publisher.producer.commit_transaction()
                    system.traffic.note(publisher.acknowledged)
                else:
                    await publisher.producer.abort_transaction()
            stage.say(f"a transaction {'committed' if committed else 'aborted'}")
    if not stage.short:
        await _open_transactions(stage)


async def _open_transactions(stage: Stage) -> None:
    seconds = stage.seconds(2, 4)
    async with _transaction(stage.system, "held") as publisher:
        stage.say(f"a transaction held open for {seconds:g} s, then aborted")
        await asyncio.sleep(seconds)
        await publisher.producer.abort_transaction()
    async with _transaction(stage.system, "left"):
        stage.say(
            f"a producer leaves a transaction open; the broker ends it {TRANSACTION_MS} ms on"
        )


@asynccontextmanager
async def _transaction(system: Installation, name: str) -> AsyncIterator[Publisher]:
    """An open transaction with events that the brokers have."""
    options = {"transactional_id": f"{system.settings.app_id}-{name}"}
    async with Publisher(
        system.brokers.bootstrap, transaction_timeout_ms=TRANSACTION_MS, **options
    ) as publisher:
        await publisher.producer.begin_transaction()
        for record in system.side_events(SIDE_EVENTS):
            await publisher.send(record)
        await publisher.flush()
        yield publisher


# --- topics and offsets ---------------------------------------------------------------------------


@fault("topic-recreated", "an input topic is deleted and created again", may_end=["worker", "sink"])
async def topic_recreated(stage: Stage) -> None:
    """The new topic gets markers first and then as many copies of them as the old one had records:
    a dead letter is known by its origin, so none of the new topic may have the place of an old one.
    """
    system, topic = stage.system, stage.rng.choice((SENDS, RECEIPTS, ENGAGEMENTS))
    await system.traffic.stop()
    await _worked_off(system)
    ends = await _ends(system, topic)
    seconds = stage.seconds(2, 8)
    stage.say(f"{topic} deleted, and made again {seconds:g} s later")
    await _delete(system, topic)
    await asyncio.sleep(seconds)
    await create_topics(system.own_settings)
    markers = [hostile.marker(system.settings, topic, partition) for partition in ends]
    await system.publish(markers)
    await system.publish(_copies(markers, ends))
    system.traffic.start()


def _copies(markers: Iterable[Published], ends: dict[int, int]) -> Iterable[Published]:
    return (marker for marker in markers for _ in range(ends[marker.partition]))


async def _worked_off(system: Installation) -> None:
    give_up = time.monotonic() + WORKED_OFF_S
    while any((await lag(system.settings, system.brokers.bootstrap)).values()):
        if time.monotonic() > give_up:
            raise Late(f"lag is not 0 after {WORKED_OFF_S:g} s without traffic")
        await asyncio.sleep(0.5)


async def _ends(system: Installation, topic: str) -> dict[int, int]:
    """End offsets by partition."""
    name = system.settings.topic_prefix + topic
    async with _consumer(system) as consumer:
        wanted = [TopicPartition(name, number) for number in system.watch.partitions]
        return {tp.partition: end for tp, end in (await consumer.end_offsets(wanted)).items()}


async def _delete(system: Installation, topic: str) -> None:
    admin = clients.admin(Access(system.brokers.bootstrap))
    await admin.start()
    try:
        await admin.delete_topics([system.settings.topic_prefix + topic])
    finally:
        await admin.close()


@fault("full-replay", "offsets of both groups are set to the beginning")
async def full_replay(stage: Stage) -> None:
    system = stage.system
    for member in system.members:
        member.hold()
        member.send(SIGTERM)
    for member in system.members:
        await member.gone(STOP_S)
    for group in (system.settings.app_id, system.settings.sink_group):
        stage.say(f"{await _rewind(system, group)} partitions of group {group} to offset 0")
    for member in system.members:
        member.release()
    await system.until_ready(READY_S)


async def _rewind(system: Installation, group: str) -> int:
    """Commit offset 0 wherever the group, which is empty, has committed."""
    admin = clients.admin(Access(system.brokers.bootstrap))
    await admin.start()
    try:
        partitions = list(await admin.list_consumer_group_offsets(group))
    finally:
        await admin.close()
    async with _consumer(system, group_id=group) as consumer:
        consumer.assign(partitions)
        await consumer.commit(dict.fromkeys(partitions, 0))
    return len(partitions)


@asynccontextmanager
async def _consumer(system: Installation, **options: Any) -> AsyncIterator[Any]:
    consumer = clients.consumer(
        Access(system.brokers.bootstrap), isolation_level="read_uncommitted", **options
    )
    await consumer.start()
    try:
        yield consumer
    finally:
        await consumer.stop()
