"""The Kafka under the benchmarks: topics, offsets, and what was written.

All times come from Kafka itself or from this machine's clock, so that every candidate is measured
from outside and by the same rule.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any, NamedTuple

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.errors import KafkaError

from deploy.kafka.topics import COMPACTED, topic_specs
from models.dead_letters import MAX_LETTER_BYTES
from models.settings import Settings

INPUTS = ("sends", "receipts", "engagements")
OUTPUTS = ("message-states", "status-counters", "dead-letters")
VISIBLE_S = 20.0
EXISTS = 36
FETCH_BYTES = 8 << 20

Ends = Mapping[TopicPartition, int]


class BenchError(RuntimeError):
    """A benchmark could not be run or its result is wrong; the text says which and why."""


class Written(NamedTuple):
    """What one topic holds. Times are epoch ms of the records' CreateTime; 0: no records."""

    records: int
    keys: int
    first_ms: int
    last_ms: int


class Cluster:
    """One running Kafka, asked through one admin client and short-lived consumers."""

    def __init__(self, brokers: str, admin: AIOKafkaAdminClient) -> None:
        self.brokers = brokers
        self._admin = admin
        self._coordinators: dict[str, int] = {}

    async def create_all(self, settings: Settings) -> None:
        """Create every topic of an installation that is not there, as `receipts topics` would."""
        await self._create(
            [
                NewTopic(s.name, s.partitions, s.replication, None, dict(s.config))
                for s in topic_specs(settings)
            ]
        )

    async def create_outputs(self, names: Mapping[str, str], partitions: int) -> None:
        """Create a yardstick's output topics; names: by the name of ours they stand for."""
        topics = []
        for ours, name in names.items():
            policy = "compact" if ours in COMPACTED else "delete"
            config = {"cleanup.policy": policy, "message.timestamp.type": "CreateTime"}
            if ours == "dead-letters":
                config["max.message.bytes"] = str(MAX_LETTER_BYTES)
            topics.append(NewTopic(name, partitions, 1, None, config))
        await self._create(topics)

    async def _create(self, topics: list[NewTopic]) -> None:
        answer = await self._admin.create_topics(topics)
        refused = [entry for entry in answer.topic_errors if entry[1] not in (0, EXISTS)]
        if refused:
            raise BenchError(f"topics not created: {refused}")
        await self._until({topic.name for topic in topics}, there=True)

    async def delete(self, names: Collection[str]) -> None:
        """Delete topics (those that are there) and wait until they are gone."""
        present = [name for name in names if name in set(await self._admin.list_topics())]
        if present:
            await self._admin.delete_topics(present)
            await self._until(set(present), there=False)

    async def names(self, prefix: str) -> list[str]:
        """Topics whose name begins so."""
        return [name for name in await self._admin.list_topics() if name.startswith(prefix)]

    async def _until(self, names: set[str], *, there: bool) -> None:
        deadline = time.monotonic() + VISIBLE_S
        while time.monotonic() < deadline:
            found = set(await self._admin.list_topics()) & names
            if found == (names if there else set()):
                return
            await asyncio.sleep(0.1)
        raise BenchError(f"topics still not {'visible' if there else 'gone'}: {sorted(names)}")

    async def ends(self, topics: Sequence[str]) -> dict[TopicPartition, int]:
        """End offsets of all partitions that hold records."""
        async with self._reader() as consumer:
            ends = await consumer.end_offsets(await self._partitions(topics))
            return {tp: end for tp, end in ends.items() if end}

    async def is_done(self, group: str, ends: Ends) -> bool:
        """Whether a group has committed every record up to the ends."""
        return not await self.left(group, ends)

    async def left(self, group: str, ends: Ends) -> int:
        """Records a group has not committed yet."""
        try:
            committed = await self._committed(group)
        except KafkaError:  # the group's coordinator moves or starts: asked again
            self._coordinators.pop(group, None)
            return sum(ends.values())
        return sum(max(end - committed.get(tp, 0), 0) for tp, end in ends.items())

    async def _committed(self, group: str) -> dict[TopicPartition, int]:
        if group not in self._coordinators:
            self._coordinators[group] = await self._admin.find_coordinator(group)
        found = await self._admin.list_consumer_group_offsets(group, self._coordinators[group])
        return {tp: max(committed.offset, 0) for tp, committed in found.items()}

    async def commit_ends(self, group: str, topics: Sequence[str]) -> None:
        """Let a group begin behind all that the topics have now."""
        ends = await self.ends(topics)
        consumer = AIOKafkaConsumer(
            bootstrap_servers=self.brokers, group_id=group, enable_auto_commit=False
        )
        await consumer.start()
        try:
            consumer.assign(list(ends))
            await consumer.commit(ends)
        finally:
            await consumer.stop()

    async def written(
        self, topics: Sequence[str], since: Ends | None = None, part_of_key: bytes = b""
    ) -> Written:
        """Read topics: how much, how many keys, and when.

        since: offsets; None: the beginning. part_of_key: keys without it are not counted
        """
        keys: set[bytes] = set()
        records = first = last = 0
        async for batch in self.read(topics, since):
            records += len(batch)
            keys.update(record.key for record in batch if part_of_key in record.key)
            times = [record.timestamp for record in batch]
            first = min(first or times[0], *times)
            last = max(last, *times)
        return Written(records, len(keys), first, last)

    async def read(
        self, topics: Sequence[str], since: Ends | None = None
    ) -> AsyncIterator[list[Any]]:
        """Every record there is now, in batches of one partition each. since: as for `written`"""
        starts = since or {}
        async with self._reader() as consumer:
            partitions = await self._partitions(topics)
            found = await consumer.end_offsets(partitions)
            ends = {tp: end for tp, end in found.items() if end > starts.get(tp, 0)}
            consumer.assign(list(ends))
            for tp in ends:
                if tp in starts:
                    consumer.seek(tp, starts[tp])
                else:
                    await consumer.seek_to_beginning(tp)
            while ends:
                for batch in (await consumer.getmany(timeout_ms=500)).values():
                    yield batch
                for tp in [tp for tp in ends if await consumer.position(tp) >= ends[tp]]:
                    del ends[tp]
                    consumer.pause(tp)

    async def _partitions(self, topics: Sequence[str]) -> list[TopicPartition]:
        found = await self._admin.describe_topics(list(topics))
        missing = [topic["topic"] for topic in found if topic["error_code"]]
        if missing or len(found) != len(topics):
            raise BenchError(f"topics are missing: {missing or topics}")
        return [
            TopicPartition(topic["topic"], number)
            for topic in found
            for number in range(len(topic["partitions"]))
        ]

    @asynccontextmanager
    async def _reader(self) -> AsyncIterator[AIOKafkaConsumer]:
        consumer = AIOKafkaConsumer(
            bootstrap_servers=self.brokers,
            max_partition_fetch_bytes=FETCH_BYTES,
            enable_auto_commit=False,
        )
        await consumer.start()
        try:
            yield consumer
        finally:
            await consumer.stop()


@asynccontextmanager
async def connected(brokers: str) -> AsyncIterator[Cluster]:
    """A cluster to talk to until the block ends."""
    admin = AIOKafkaAdminClient(bootstrap_servers=brokers, client_id="receipts-bench")
    await admin.start()
    try:
        yield Cluster(brokers, admin)
    finally:
        await admin.close()
