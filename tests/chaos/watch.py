"""How long each partition had no new state, and no commit of the sink behind a state.

States are seen in the topic message-states, commits in Kafka's own topic of offsets: both tell the
moment, and neither asks the processes under test.
"""

from __future__ import annotations

import asyncio
import struct
import time
from bisect import bisect_left, bisect_right
from collections import defaultdict
from collections.abc import Iterable
from itertools import pairwise
from typing import Any, NamedTuple

from aiokafka import ConsumerRecord, TopicPartition
from aiokafka.errors import KafkaError

from models.settings import Settings
from streams.kafka import clients
from streams.kafka.security import Access

OFFSETS, OFFSETS_PARTITIONS = "__consumer_offsets", 5  # as deploy.embedded.brokers sets them
#: A broker that does not answer this soon is asked again, or another one: outages are not to be
#: made longer by those who watch.
REQUEST_TIMEOUT_MS = 1_500
WORKER, SINK = "worker", "sink"


class Commit(NamedTuple):
    """One record of the topic of offsets."""

    group: str
    topic: str
    partition: int
    offset: int


def parse_commit(key: bytes | None, value: bytes | None) -> Commit | None:
    """A commit of an offset; None for every other record of the topic."""
    if not key or not value or struct.unpack_from(">h", key)[0] > 1:
        return None
    group, position = _text(key, 2)
    topic, position = _text(key, position)
    (partition,) = struct.unpack_from(">i", key, position)
    (offset,) = struct.unpack_from(">q", value, 2)
    return Commit(group, topic, partition, offset)


def _text(data: bytes, position: int) -> tuple[str, int]:
    """A text with its length before it, and the position behind it."""
    (length,) = struct.unpack_from(">h", data, position)
    end = position + 2 + length
    return data[position + 2 : end].decode(), end


class Gaps:
    """Moments (seconds of one clock, in order) by what they are of."""

    def __init__(self) -> None:
        self._moments: defaultdict[tuple[str, int], list[float]] = defaultdict(list)

    def note(self, kind: str, partition: int, at: float) -> None:
        """Something happened."""
        self._moments[kind, partition].append(at)

    def longest(self, kind: str, partitions: Iterable[int], begin: float, end: float) -> float:
        """The longest time without a moment between two of the clock, over all partitions."""
        return max((self._longest(kind, p, begin, end) for p in partitions), default=0.0)

    def _longest(self, kind: str, partition: int, begin: float, end: float) -> float:
        moments = self._moments[kind, partition]
        inside = moments[bisect_left(moments, begin) : bisect_right(moments, end)]
        edges = [begin, *inside, max(end, begin)]
        return max(after - before for before, after in pairwise(edges))

    def silent_since(self, kind: str, partitions: Iterable[int], since: float) -> list[int]:
        """Partitions without a moment after that one."""
        moments = self._moments
        return [p for p in partitions if not moments[kind, p] or moments[kind, p][-1] <= since]


class Watch:
    """Follows one installation from start() to stop()."""

    def __init__(self, brokers: str, settings: Settings) -> None:
        self.gaps = Gaps()
        self.partitions = range(settings.partitions)
        self._states = settings.topic("message-states")
        self._group = settings.sink_group
        self._committed: dict[int, int] = {}
        self._following: asyncio.Task[None] | None = None
        self._consumer = clients.consumer(
            Access(brokers), isolation_level="read_uncommitted",
            request_timeout_ms=REQUEST_TIMEOUT_MS,
            fetch_max_wait_ms=100, metadata_max_age_ms=2_000, auto_offset_reset="latest",
        )  # fmt: skip

    async def start(self) -> None:
        """Follow from the ends of the topics, which must exist."""
        consumer = self._consumer
        await consumer.start()
        partitions = [TopicPartition(OFFSETS, number) for number in range(OFFSETS_PARTITIONS)]
        partitions += [TopicPartition(self._states, number) for number in self.partitions]
        consumer.assign(partitions)
        await consumer.seek_to_end()
        self._following = asyncio.create_task(self._follow())

    async def stop(self) -> None:
        """End."""
        if self._following is not None:
            self._following.cancel()
        await asyncio.wait_for(self._consumer.stop(), 5)

    async def _follow(self) -> None:
        while True:
            try:
                found = await self._consumer.getmany(timeout_ms=100)
            except KafkaError:  # a broker is away: that is the purpose
                await asyncio.sleep(0.1)
                continue
            now = time.monotonic()
            for tp, records in found.items():
                self._note(tp, records, now)

    def _note(
        self, tp: TopicPartition, records: list[ConsumerRecord[Any, Any]], now: float
    ) -> None:
        if tp.topic == self._states:
            self.gaps.note(WORKER, tp.partition, now)
            return
        for record in records:
            commit = parse_commit(record.key, record.value)
            if commit and (commit.group, commit.topic) == (self._group, self._states):
                if self._committed.get(commit.partition) != commit.offset:
                    self.gaps.note(SINK, commit.partition, now)
                self._committed[commit.partition] = commit.offset
