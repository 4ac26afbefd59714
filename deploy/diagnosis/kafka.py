"""Reads topics, groups and lag from Kafka. It joins no group and commits nothing."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Iterable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager
from functools import partial
from typing import Any, Final, NamedTuple

from aiokafka import TopicPartition
from aiokafka.coordinator.protocol import ConsumerProtocolMemberAssignment
from aiokafka.errors import GroupAuthorizationFailedError, NoError, for_code

from deploy.diagnosis.readings import (
    DeadLetters,
    Group,
    GroupPartition,
    Kafka,
    Member,
    Process,
    Topic,
)
from deploy.diagnosis.steps import REQUEST_S, Steps
from deploy.kafka.access_rights import lacking_rights
from deploy.kafka.topics import actual_topics, differences, topic_specs
from models.access_rights import Right
from models.settings import Settings
from sinks.rows import TOPICS as SINK_TOPICS
from streams.correlation.agent import SOURCES as CORRELATION_TOPICS
from streams.kafka import clients
from streams.kafka.cluster_requests import release
from streams.kafka.refusals import AccessRefused, denial, user_of
from streams.kafka.security import kafka_access
from streams.lifecycle.agent import SOURCES as LIFECYCLE_TOPICS
from streams.suppression.agent import SOURCES as SUPPRESSION_TOPICS

_MINUTE_MS: Final = 60_000
_HOUR_MS: Final = 60 * _MINUTE_MS
_DAY_MS: Final = 24 * _HOUR_MS
#: One record of each partition is wanted: small answers.
_FETCH_BYTES: Final = 64 * 1024
_POLL_MS: Final = 200
#: A new cluster needs a moment until a group has a coordinator.
_COORDINATOR_S: Final = 2.0
_DEAD: Final = "Dead"
#: The newest dead letters whose reasons are read.
_LETTERS: Final = 1_000

Offsets = Mapping[TopicPartition, int]


class Reader(NamedTuple):
    """A group and the topics it reads, in full names."""

    process: Process
    group: str
    topics: frozenset[str]


class Ends(NamedTuple):
    """Of partitions: first offset, offset after the last record, and those at earlier times.

    None: they could not be read
    """

    begin: Offsets
    end: Offsets
    minute_ago: Offsets | None
    hour_ago: Offsets | None

    def since(self, topic: str, ago: Offsets | None) -> int | None:
        """Records of a topic since then."""
        places = [place for place in self.end if place.topic == topic]
        return sum(self.end[at] - ago[at] for at in places) if places and ago else None


class Membership(NamedTuple):
    """A group without its lag. owners: member id by partition."""

    state: str
    members: tuple[Member, ...]
    owners: Mapping[TopicPartition, str]
    committed: Offsets


def readers(settings: Settings) -> tuple[Reader, ...]:
    """The groups of workers and sinks."""

    def reads(topics: Iterable[Any]) -> frozenset[str]:
        return frozenset(map(settings.topic, topics))

    callbacks = CORRELATION_TOPICS if settings.endpoints else ()
    worker = (*LIFECYCLE_TOPICS, *SUPPRESSION_TOPICS, *callbacks)
    return (
        Reader("worker", settings.app_id, reads(worker)),
        Reader("sink", settings.sink_group, reads(t for t in SINK_TOPICS if t in settings.topics)),
    )


@asynccontextmanager
async def kafka_clients(settings: Settings) -> AsyncIterator[tuple[Any, Any]]:
    """An admin client and a consumer without a group.

    Raises KafkaError when no broker answers, UnusableFiles for files that cannot be used,
    UnusableClient when a codec is missing.
    """
    quick = {"request_timeout_ms": int(REQUEST_S * 1000), "client_id": "receipts-status"}
    access = kafka_access(settings)
    admin = clients.admin(access, **quick)
    consumer = clients.consumer(
        access,
        fetch_max_wait_ms=_POLL_MS // 2,
        max_partition_fetch_bytes=_FETCH_BYTES,
        **quick,
    )
    try:
        await asyncio.gather(admin.start(), consumer.start())
        yield admin, consumer
    finally:
        await asyncio.gather(admin.close(), consumer.stop())


async def read_kafka(settings: Settings, now_ms: int) -> Kafka:
    """Everything about Kafka. Raises as kafka_clients(), and OSError when no broker answers."""
    steps = Steps(settings.kafka_sasl_username)
    names = [spec.name for spec in topic_specs(settings)]
    async with kafka_clients(settings) as (admin, consumer):
        cluster = await admin.describe_cluster()
        lacking = await steps.take("rights", lacking_rights(admin, "status", settings))
        existing = {each["topic"]: each["partitions"] for each in await admin.describe_topics()}
        ours = {name: existing[name] for name in names if name in existing}
        spoken = await steps.take("release", release(admin._client))
        differing = await steps.take("configuration of topics", _differing(admin, settings))
        ends = await _ends(steps, consumer, _with_leader(ours), now_ms)
        dead = settings.topic("dead-letters")
        refused = {place: end for place, end in ends.end.items() if place.topic == dead}
        day_ago = await _offsets_at(steps, consumer, refused, now_ms - _DAY_MS)
        letters = await steps.take("dead letters", _letters(consumer, refused, day_ago, now_ms))
        groups = [
            await _group(steps, (admin, consumer), reader, ends, now_ms)
            for reader in readers(settings)
        ]
    return Kafka(
        brokers=len(cluster["brokers"]),
        release=spoken or "",
        topics=tuple(_topic(name, partitions, ends) for name, partitions in ours.items()),
        missing=_missing((name for name in names if name not in ours), lacking),
        differences=tuple(differing or ()),
        groups=tuple(groups),
        dead_letters_hour=ends.since(dead, ends.hour_ago),
        dead_letters_day=ends.since(dead, day_ago),
        dead_letters=letters or (),
        unread=_unread(steps.unread, lacking or [], settings.kafka_sasl_username),
    )


def _missing(absent: Iterable[str], lacking: list[Right] | None) -> tuple[str, ...]:
    """Topics that do not exist. lacking: None: it is not known which of the absent are hidden"""
    if lacking is None:
        return ()
    hidden = {right.name for right in lacking}
    return tuple(name for name in absent if name not in hidden)


def _unread(steps: list[str], lacking: list[Right], user: str) -> tuple[str, ...]:
    """Rights that are lacking, and failed steps without those that a lacking right explains."""
    at = [f" on {right.kind} {right.name}" for right in lacking]
    others = [text for text in steps if not any(f"{place} " in f"{text} " for place in at)]
    return (*_denials(lacking, user), *others)


def _denials(lacking: list[Right], user: str) -> Iterator[str]:
    """A line for all topics, and for all groups, that lack the same operations."""
    operations: dict[tuple[str, str], tuple[str, ...]] = {}
    for right in lacking:
        at = right.kind, right.name
        operations[at] = (*operations.get(at, ()), right.operation)
    names: dict[tuple[str, str], list[str]] = {}
    for (kind, name), denied in operations.items():
        names.setdefault((f"{', '.join(denied)}", kind), []).append(name)
    for (denied_all, kind), same in names.items():
        yield denial(f"{denied_all} on {kind} {', '.join(same)}", user)


async def _differing(admin: Any, settings: Settings) -> list[str]:
    specs = topic_specs(settings)
    return [str(issue) for issue in differences(specs, await actual_topics(admin, specs)).fatal]


# --- topics -------------------------------------------------------------------------------------


def _with_leader(topics: Mapping[str, Sequence[Mapping[str, Any]]]) -> list[TopicPartition]:
    return [
        TopicPartition(name, partition["partition"])
        for name, partitions in topics.items()
        for partition in partitions
        if partition["leader"] >= 0
    ]


async def _ends(steps: Steps, consumer: Any, places: list[TopicPartition], now_ms: int) -> Ends:
    begin = await steps.take("first offsets", consumer.beginning_offsets(places))
    end = await steps.take("end offsets", consumer.end_offsets(places))
    if begin is None or end is None:
        return Ends({}, {}, None, None)
    minute_ago = await _offsets_at(steps, consumer, end, now_ms - _MINUTE_MS)
    hour_ago = await _offsets_at(steps, consumer, end, now_ms - _HOUR_MS)
    return Ends(begin, end, minute_ago, hour_ago)


async def _offsets_at(steps: Steps, consumer: Any, end: Offsets, at_ms: int) -> Offsets | None:
    """First offset with a timestamp from at_ms by partition; the end where there is none."""
    found = await steps.take(
        "offsets by time", consumer.offsets_for_times(dict.fromkeys(end, at_ms))
    )
    if found is None:
        return None
    # The end was read earlier: an offset behind it is of a record that came since.
    return {
        place: min(found[place].offset, last) if found.get(place) else last
        for place, last in end.items()
    }


def _topic(name: str, partitions: Sequence[Mapping[str, Any]], ends: Ends) -> Topic:
    places = [TopicPartition(name, each["partition"]) for each in partitions]
    known = all(place in ends.end for place in places)
    return Topic(
        name=name,
        partitions=len(partitions),
        records=sum(ends.end[at] - ends.begin[at] for at in places) if known else None,
        per_minute=ends.since(name, ends.minute_ago) if known else None,
        per_hour=ends.since(name, ends.hour_ago) if known else None,
        without_leader=_numbers(each for each in partitions if each["leader"] < 0),
        under_replicated=_numbers(
            each for each in partitions if len(each["isr"]) < len(each["replicas"])
        ),
    )


def _numbers(partitions: Iterable[Mapping[str, Any]]) -> tuple[int, ...]:
    return tuple(sorted(each["partition"] for each in partitions))


# --- groups -------------------------------------------------------------------------------------


async def _group(
    steps: Steps, using: tuple[Any, Any], reader: Reader, ends: Ends, now_ms: int
) -> Group:
    admin, consumer = using
    name = f"group {reader.group}"
    found = await steps.take(name, _membership(admin, reader.group))
    if found is None:
        return Group(reader.process, reader.group, "", (), ())
    committed = found.committed
    reads = [place for place in ends.end if place.topic in reader.topics]
    lag = {at: _lag(committed.get(at), ends.begin[at], ends.end[at]) for at in reads}
    waiting = {at: max(committed.get(at, 0), ends.begin[at]) for at in reads if lag[at]}
    times = await steps.take(f"oldest records of {name}", timestamps(consumer, waiting)) or {}
    partitions = [
        GroupPartition(
            topic=at.topic,
            partition=at.partition,
            committed=committed.get(at),
            begin=ends.begin[at],
            end=ends.end[at],
            lag_records=lag[at],
            lag_seconds=_age(times.get(at), now_ms) if lag[at] else 0.0,
            owner=found.owners.get(at, ""),
        )
        for at in sorted(reads)
    ]
    return Group(reader.process, reader.group, found.state, found.members, tuple(partitions))


def _lag(committed: int | None, begin: int, end: int) -> int:
    return max(0, end - max(begin, committed or 0))


def _age(timestamp: int | None, now_ms: int) -> float | None:
    return None if timestamp is None else max(0.0, (now_ms - timestamp) / 1000)


async def _membership(admin: Any, group: str) -> Membership:
    """Raises KafkaError: AccessRefused without DESCRIBE on the group."""
    user = user_of(admin._client)
    try:
        return await _described(admin, group)
    except GroupAuthorizationFailedError as error:
        raise AccessRefused(denial(f"DESCRIBE on group {group}", user)) from error


async def _described(admin: Any, group: str) -> Membership:
    coordinator = await clients.retry_for_a_while(
        partial(admin.find_coordinator, group), _COORDINATOR_S
    )
    (response,) = await admin.describe_consumer_groups([group], coordinator)
    code, _, state, _, _, described, *_ = response.groups[0]
    if for_code(code) is not NoError:
        raise for_code(code)(group)
    owners: dict[TopicPartition, str] = {}
    members = []
    for member_id, _, host, _, assignment in described:
        places = (
            ConsumerProtocolMemberAssignment.decode(assignment).partitions() if assignment else []
        )
        owners |= dict.fromkeys(places, member_id)
        members.append(Member(member_id, host.lstrip("/"), len(places)))
    offsets = await admin.list_consumer_group_offsets(group, coordinator)
    committed = {place: found.offset for place, found in offsets.items() if found.offset >= 0}
    return Membership(state or _DEAD, tuple(members), owners, committed)


async def timestamps(consumer: Any, places: Offsets) -> dict[TopicPartition, int]:
    """Timestamp of the first record from each offset, as far as one comes in time."""
    found: dict[TopicPartition, int] = {}
    async for place, records in _fetched(consumer, places):
        found.setdefault(place, records[0].timestamp)
        consumer.pause(place)
        if len(found) == len(places):
            break
    return {place: at for place, at in found.items() if at >= 0}


async def _letters(
    consumer: Any, end: Offsets, since: Offsets | None, now_ms: int
) -> tuple[DeadLetters, ...]:
    """Dead letters by reason, of the newest between two offsets, as far as they come in time."""
    each = _LETTERS // max(1, len(end))
    first = {at: max((since or {}).get(at, 0), last - each) for at, last in end.items()}
    first = {at: offset for at, offset in first.items() if offset < end[at]}
    hour: Counter[tuple[str, str]] = Counter()
    day: Counter[tuple[str, str]] = Counter()
    async for place, records in _fetched(consumer, first):
        for record in records:
            headers = dict(record.headers)
            kind = (_text(headers.get("reason")), _text(headers.get("topic")))
            day[kind] += 1
            hour[kind] += record.timestamp >= now_ms - _HOUR_MS
        if records[-1].offset + 1 >= end[place]:
            first.pop(place, None)
            consumer.pause(place)
        if not first:
            break
    return tuple(DeadLetters(*kind, hour[kind], count) for kind, count in day.most_common())


def _text(header: bytes | None) -> str:
    return (header or b"unknown").decode(errors="replace")


async def _fetched(consumer: Any, places: Offsets) -> AsyncIterator[tuple[TopicPartition, Any]]:
    """Records from these offsets, batch by batch; it ends after half of REQUEST_S."""
    if not places:
        return
    consumer.assign(list(places))
    for place, offset in places.items():
        consumer.seek(place, offset)
    loop = asyncio.get_running_loop()
    ends = loop.time() + REQUEST_S / 2
    while loop.time() < ends:
        for place, records in (await consumer.getmany(timeout_ms=_POLL_MS)).items():
            yield place, records
