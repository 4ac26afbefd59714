"""Examines Kafka: addresses, rights, topics, times of records, log directories."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterable
from functools import partial
from typing import Any, Final

from aiokafka import TopicPartition
from aiokafka.errors import KafkaError

from deploy.diagnosis.examination import Address, Disk, ExaminedKafka, Held, Skipped
from deploy.diagnosis.kafka import kafka_clients, readers, timestamps
from deploy.diagnosis.steps import SOURCE_S, Steps, reason
from deploy.kafka.topics import actual_topics, differences, topic_specs
from models.settings import Settings
from streams.kafka import clients
from streams.kafka.cluster_requests import (
    LogDir,
    Rights,
    group_rights,
    log_dirs,
    release,
    topic_rights,
)

_CONNECT_S: Final = 3.0
_COORDINATOR_S: Final = 2.0


async def examine_kafka(settings: Settings) -> ExaminedKafka:
    """Everything about Kafka, or why it does not answer."""
    bootstrap = await connect_to_all(settings.brokers.split(","))
    try:
        async with asyncio.timeout(SOURCE_S * 2), kafka_clients(settings) as (admin, consumer):
            return await _examine(settings, admin, consumer, bootstrap)
    except (KafkaError, OSError) as error:
        nothing: tuple[Any, ...] = ((), 0, "", {}, (), (), (), None, (), ())
        return ExaminedKafka(reason(error), bootstrap, *nothing)


async def connect_to_all(addresses: Iterable[str]) -> tuple[Address, ...]:
    """Try host:port each, all at once."""
    return tuple(await asyncio.gather(*map(_connect, addresses)))


async def _connect(address: str) -> Address:
    host, _, port = address.rpartition(":")
    try:
        async with asyncio.timeout(_CONNECT_S):
            _, writer = await asyncio.open_connection(host.strip("[]"), int(port))
    except OSError as error:
        return Address(address, reason(error))
    writer.close()
    return Address(address, "")


async def _examine(
    settings: Settings, admin: Any, consumer: Any, bootstrap: tuple[Address, ...]
) -> ExaminedKafka:
    steps, specs = Steps(), topic_specs(settings)
    cluster = await admin.describe_cluster()
    brokers = {each["node_id"]: f"{each['host']}:{each['port']}" for each in cluster["brokers"]}
    advertised = await connect_to_all(sorted(set(brokers.values())))
    spoken = await steps.take("versions", release(admin._client))
    held = await _rights(steps, admin, settings)
    actual = await steps.take("topics", actual_topics(admin, specs))
    found = differences(specs, actual) if actual is not None else None
    missing = [spec.name for spec in specs if actual is not None and spec.name not in actual]
    ahead = await steps.take("clocks", _record_ahead_s(consumer, settings, actual or ()))
    return ExaminedKafka(
        problem="",
        bootstrap=bootstrap,
        advertised=advertised,
        brokers=len(brokers),
        release=spoken or "",
        held={each.name: each for each in held},
        missing=tuple(missing),
        fatal=tuple(found.fatal) if found else (),
        harmless=tuple(found.harmless) if found else (),
        record_ahead_s=ahead,
        disks=tuple(await _disks(steps, admin, brokers)),
        skipped=tuple(_skipped(steps.unread)),
    )


def _skipped(unread: Iterable[str]) -> Iterable[Skipped]:
    """Steps are named by their area."""
    for text in unread:
        area, _, why = text.partition(": ")
        yield Skipped(area, "Kafka", why)  # type: ignore[arg-type]


async def _rights(steps: Steps, admin: Any, settings: Settings) -> list[Held]:
    client, names = admin._client, [spec.name for spec in topic_specs(settings)]
    answer = await steps.take("rights", topic_rights(client, names))
    if answer is None:
        return []
    topics, _ = answer
    held = [_held(f"topic {name}", rights) for name, rights in topics.items()]
    for reader in readers(settings):
        found = await steps.take("rights", _of_group(admin, reader.group))
        held += [_held(f"group {reader.group}", found)] if found else []
    return held


def _held(name: str, rights: Rights) -> Held:
    return Held(name, rights.error, rights.operations)


async def _of_group(admin: Any, group: str) -> Rights:
    coordinator = await clients.retry_for_a_while(
        partial(admin.find_coordinator, group), _COORDINATOR_S
    )
    return await group_rights(admin._client, group, coordinator)


async def _record_ahead_s(consumer: Any, settings: Settings, topics: Iterable[str]) -> float | None:
    """How far the newest record of what others publish is ahead of this machine's clock."""
    names = {settings.topic(name) for name in ("sends", "receipts", "engagements")}
    places = [
        TopicPartition(name, n)
        for name in sorted(names & set(topics))
        for n in sorted(consumer.partitions_for_topic(name) or range(settings.partitions))
    ]
    if not places:
        return None
    begin, end = await consumer.beginning_offsets(places), await consumer.end_offsets(places)
    newest = {place: end[place] - 1 for place in places if end[place] > begin[place]}
    found = await timestamps(consumer, newest)
    return max(found.values()) / 1000 - time.time() if found else None


async def _disks(steps: Steps, admin: Any, brokers: dict[int, str]) -> list[Disk]:
    async def of_all() -> list[LogDir]:
        return [found for broker in brokers for found in await log_dirs(admin._client, broker)]

    found = await steps.take("disk", of_all()) or []
    if any("Authorization" in each.error for each in found):
        steps.unread.append("disk: needs DESCRIBE on the cluster")
    return [
        Disk(f"broker {each.broker}, {each.path}", each.total_bytes, each.free_bytes)
        for each in found
        if each.total_bytes is not None and each.free_bytes is not None
    ]
