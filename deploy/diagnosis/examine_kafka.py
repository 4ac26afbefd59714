"""Examines Kafka: addresses, rights, topics, times of records, log directories."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterable, Sequence
from typing import Any, Final

from aiokafka import TopicPartition
from aiokafka.errors import KafkaError

from deploy.diagnosis.examination import Address, Disk, ExaminedKafka, Skipped
from deploy.diagnosis.kafka import kafka_clients, timestamps
from deploy.diagnosis.readings import Process
from deploy.diagnosis.steps import SOURCE_S, Steps, kafka_finding, reason
from deploy.kafka.access_rights import lacking_rights
from deploy.kafka.topics import TopicSpec, actual_topics, differences, topic_specs
from models.access_rights import rights_of
from models.settings import Settings
from streams.kafka.authorized import hidden_topics
from streams.kafka.cluster_requests import LogDir, log_dirs, release
from streams.kafka.reading import UnusableClient
from streams.kafka.refusals import denial, user_of

_CONNECT_S: Final = 3.0
_LOOK: Final = "look at the addresses above; if they accept connections: at the broker's log"


async def examine_kafka(settings: Settings, processes: Sequence[Process]) -> ExaminedKafka:
    """Everything about Kafka that these processes use, or why it cannot be read."""
    bootstrap = await connect_to_all(settings.brokers.split(","))
    try:
        async with asyncio.timeout(SOURCE_S * 2), kafka_clients(settings) as (admin, consumer):
            return await _examine(settings, processes, admin, consumer, bootstrap)
    except (KafkaError, OSError, UnusableClient) as error:
        user = settings.kafka_sasl_username
        return ExaminedKafka(kafka_finding(settings.brokers, error, _LOOK, user), bootstrap)


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


def _specs(settings: Settings, processes: Iterable[Process]) -> list[TopicSpec]:
    """The topics that these processes may use: the others are hidden from their users."""
    rights = (right for process in processes for right in rights_of(process, settings))
    used = {right.name for right in rights if right.kind == "topic"}
    return [spec for spec in topic_specs(settings) if spec.name in used]


async def _examine(
    settings: Settings,
    processes: Sequence[Process],
    admin: Any,
    consumer: Any,
    bootstrap: tuple[Address, ...],
) -> ExaminedKafka:
    steps, specs = Steps(settings.kafka_sasl_username), _specs(settings, processes)
    cluster = await admin.describe_cluster()
    brokers = {each["node_id"]: f"{each['host']}:{each['port']}" for each in cluster["brokers"]}
    advertised = await connect_to_all(sorted(set(brokers.values())))
    spoken = await steps.take("versions", release(admin._client))
    actual = await steps.take("topics", actual_topics(admin, specs))
    found = differences(specs, actual) if actual is not None else None
    absent = [spec.name for spec in specs if actual is not None and spec.name not in actual]
    ahead = await steps.take("clocks", _record_ahead_s(consumer, settings, actual or ()))
    return ExaminedKafka(
        problem=None,
        bootstrap=bootstrap,
        advertised=advertised,
        brokers=len(brokers),
        release=spoken or "",
        lacking=await _lacking(steps, admin, settings, processes),
        missing=await _missing(steps, admin, absent),
        fatal=tuple(found.fatal) if found else (),
        harmless=tuple(found.harmless) if found else (),
        record_ahead_s=ahead,
        disks=tuple(await _disks(steps, admin, brokers)),
        skipped=tuple(_skipped(steps.unread)),
    )


async def _missing(steps: Steps, admin: Any, absent: Sequence[str]) -> tuple[str, ...]:
    """Those of the topics which Kafka does not list that do not exist.

    That others are hidden from this user, or that this is not known, is a step that failed.
    """
    hidden = await steps.take("topics", hidden_topics(admin._client, absent))
    if hidden:
        right = f"DESCRIBE on topic {', '.join(hidden)}"
        steps.unread.append(f"topics: {denial(right, user_of(admin._client))}")
    return tuple(name for name in absent if name not in hidden) if hidden is not None else ()


def _skipped(unread: Iterable[str]) -> Iterable[Skipped]:
    """Steps are named by their area."""
    for text in unread:
        area, _, why = text.partition(": ")
        yield Skipped(area, "Kafka", why)  # type: ignore[arg-type]


async def _lacking(
    steps: Steps, admin: Any, settings: Settings, processes: Iterable[Process]
) -> dict[Process, dict[str, tuple[str, ...]]] | None:
    """Operations that the user lacks, by process and topic or group."""
    if settings.kafka_security_protocol == "PLAINTEXT":
        return None
    lacking: dict[Process, dict[str, tuple[str, ...]]] = {}
    for process in processes:
        rights = await steps.take("rights", lacking_rights(admin, process, settings))
        if rights is not None:
            named: dict[str, tuple[str, ...]] = {}
            for right in rights:
                name = f"{right.kind} {right.name}"
                named[name] = (*named.get(name, ()), right.operation)
            lacking[process] = named
    return lacking


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
