"""Yardstick: the same job as a hand-written aiokafka loop, `python -m tests.bench.loop JSON`.

What a good engineer writes without a framework: one process on uvloop, getmany, the same pure
functions (`Shard.plan`, the cells), whole batches out, counters and a manual commit every second
after everything produced was acknowledged. It leaves out what a loop of 100 lines leaves out:
restore, rebalancing, fencing, strays, metrics, health pages.
"""

import asyncio
import gc
import signal
import sys
import time
from collections.abc import Iterable, Mapping
from typing import Any

import msgspec
import uvloop
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition

from models.accounts import Accounts
from models.dead_letters import letter_of
from streams.batching import MemoryStore
from streams.common.clock import PartitionClock
from streams.common.plan import Plan
from streams.followers.suppression_index import SuppressionIndex
from streams.lifecycle.shard import Rules, Shard
from tests.bench.cluster import INPUTS

BATCH = 2000
COMMIT_S = 1.0
FETCH_BYTES = 4 << 20

Record = tuple[bytes | None, bytes | None, list[tuple[str, bytes]]]


class Task(msgspec.Struct, frozen=True):
    """What a yardstick is to do. outputs: topic names by the name of ours they stand for."""

    brokers: str
    group: str
    prefix: str
    partitions: int
    outputs: Mapping[str, str]
    naive: bool = False
    datadir: str = ""


class World:
    """One partition: its states, shard and clock."""

    def __init__(self, partition: int, partitions: int) -> None:
        self.states = MemoryStore()
        self.shard = Shard(
            partition, self.states, Rules(partitions), Accounts(), SuppressionIndex()
        )
        self.clock = PartitionClock(INPUTS)


class Loop:
    """The loop. Outputs are tracked and awaited before each commit."""

    def __init__(self, task: Task) -> None:
        self._task = task
        self._worlds = {p: World(p, task.partitions) for p in range(task.partitions)}
        self._kinds = {task.prefix + kind: kind for kind in INPUTS}
        self._flying: list[Any] = []
        self._offsets: dict[TopicPartition, int] = {}
        self._consumer = AIOKafkaConsumer(
            *self._kinds,
            bootstrap_servers=task.brokers,
            group_id=task.group,
            enable_auto_commit=False,
            auto_offset_reset="earliest",
            session_timeout_ms=6000,
            heartbeat_interval_ms=1000,
            max_partition_fetch_bytes=FETCH_BYTES,
        )
        self._producer = AIOKafkaProducer(
            bootstrap_servers=task.brokers,
            acks="all",
            max_batch_size=1_000_000,
            max_request_size=8 << 20,
        )

    async def run(self, stop: asyncio.Event) -> None:
        """Work until asked to stop."""
        await self._producer.start()
        await self._consumer.start()
        committed_at = time.monotonic()
        while not stop.is_set():
            found = await self._consumer.getmany(timeout_ms=200, max_records=BATCH)
            for tp, records in found.items():
                await self._work(tp, records)
            if time.monotonic() - committed_at >= COMMIT_S:
                await self._commit()
                committed_at = time.monotonic()
        await self._consumer.stop()
        await self._producer.stop()

    async def _work(self, tp: TopicPartition, records: list[Any]) -> None:
        world = self._worlds[tp.partition]
        kind, last = self._kinds[tp.topic], records[-1]
        at_head = last.offset + 1 >= (self._consumer.highwater(tp) or 0)
        world.clock.advance(kind, last.timestamp, at_head=at_head)
        now_ms = time.time_ns() // 1_000_000
        heard_ms = max(world.clock.now(now_ms), min(last.timestamp, now_ms))
        plan = world.shard.plan(kind, records, heard_ms)
        await self._deliver(world, plan)
        self._offsets[tp] = last.offset + 1

    async def _deliver(self, world: World, plan: Plan) -> None:
        outputs, partition = self._task.outputs, world.shard.partition
        if plan.dead_letters:
            letters = (letter_of(dead.record, dead.refusal) for dead in plan.dead_letters)
            await self._send(outputs["dead-letters"], partition, letters)
        if plan.changes:
            for key, value in plan.changes.items():
                if value is not None:
                    world.states[key] = value
            states: Iterable[Record] = ((k, v, []) for k, v in plan.changes.items())
            await self._send(outputs["message-states"], partition, states)

    async def _send(self, topic: str, partition: int, records: Iterable[Record]) -> None:
        batch = self._producer.create_batch()
        for key, value, headers in records:
            if batch.append(timestamp=None, key=key, value=value, headers=headers) is None:
                self._flying.append(
                    await self._producer.send_batch(batch, topic, partition=partition)
                )
                batch = self._producer.create_batch()
                batch.append(timestamp=None, key=key, value=value, headers=headers)
        self._flying.append(await self._producer.send_batch(batch, topic, partition=partition))

    async def _commit(self) -> None:
        now_ms = time.time_ns() // 1_000_000
        for world in self._worlds.values():
            for plan in world.shard.tick(world.clock.now(now_ms)):
                await self._deliver(world, plan)
            await self._publish_cells(world)
        flying, self._flying = self._flying, []
        for future in flying:
            await future
        if self._offsets:
            await self._consumer.commit(self._offsets)
            self._offsets = {}

    async def _publish_cells(self, world: World) -> None:
        shard = world.shard
        cells: list[Record] = [(k, v, []) for k, v in shard.take_cell_changes().items()]
        if cells:
            await self._send(self._task.outputs["status-counters"], shard.partition, cells)


async def _main(task: Task) -> None:
    gc.set_threshold(50_000, 20, 100)  # as ours: events live for one batch
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    await Loop(task).run(stop)


if __name__ == "__main__":
    uvloop.run(_main(msgspec.json.decode(sys.argv[1], type=Task)))
