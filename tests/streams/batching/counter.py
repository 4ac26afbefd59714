"""A small BatchApp for the fault tests, run as a process:
`python -m tests.streams.batching.counter CONFIG_JSON`.

Events: key b"k17", value b"4711" (a number unique in the run). State of a key: the sorted numbers
seen, as JSON; the join is the union, so replays change nothing and any loss shows. Each batch also
sends its numbers to the topic `out`. Every line of standard output is one JSON object.
"""

from __future__ import annotations

import asyncio
import json
import logging
import os
import sys
import time
from pathlib import Path
from typing import Any

from aiokafka.errors import MessageSizeTooLargeError
from aiokafka.protocol.produce import ProduceRequest

from streams.batching import Batch, BatchApp, Outgoing, StateFolder, run_worker
from streams.batching.producer import BatchProducer
from streams.kafka.security import Access


def union(held: bytes, read: bytes) -> bytes:
    """The join of two states."""
    return json.dumps(sorted({*json.loads(held), *json.loads(read)})).encode()


def say(event: str, **more: Any) -> None:
    print(json.dumps({"event": event, "at": time.time(), **more}), flush=True)


class Counter:
    """The app, its two tables and its faults."""

    def __init__(self, config: dict[str, Any]) -> None:
        self.config = config
        self.prefix: str = config["prefix"]
        self.app = BatchApp(
            self.prefix + "counter",
            access=Access(config["brokers"]),
            batch_size=config.get("batch_size", 200),
            commit_interval_s=config.get("commit_interval_s", 0.2),
            session_timeout_s=config.get("session_timeout_s", 6),
            quiesce_timeout_s=config.get("quiesce_timeout_s", 10),
            standbys=config.get("standbys", 0),
            state=self._folder(),
        )
        self.states = self.app.batch_table("states", self.prefix + "states", union)
        self.marks = self.app.batch_table("marks", self.prefix + "marks")
        self.app.on_partition_ready = self.ready
        self.app.on_restored_chunk = self.checkpoint
        self.app.on_partition_lost = lambda partition: say("lost", partition=partition)
        self.app.before_commit = self.before_commit
        self.commits = 0
        self.app.agent(self.app.topic_of_batches(self.prefix + "src"))(self.count)

    def _folder(self) -> StateFolder | None:
        folder = self.config.get("state_dir")
        return StateFolder(Path(folder), 8 << 20, "rules") if folder else None

    async def checkpoint(self, partition: int) -> bool:
        """Nothing follows from the values: they are written as they are."""
        for table in (self.states, self.marks):
            table.checkpoint(partition)
        return True

    async def report_standbys(self) -> None:
        """Say how far each standby is behind, whenever that changes."""
        lags: dict[int, int | None] = {}
        while True:
            if (found := self.app.standby_lags) != lags:
                lags = found
                say("standbys", lags=sorted(lags.items()))
            await asyncio.sleep(0.1)

    async def ready(self, partition: int) -> None:
        await asyncio.sleep(self.config.get("ready_s", 0))
        say(
            "ready", partition=partition, keys=len(self.states.partition(partition)),
            marks=len(self.marks.partition(partition)), generation=self.app.generation,
            held=self.dump(partition), restored={
                f"{part.topic.removeprefix(self.prefix)}-{part.partition}": part.restored
                for part in self.app.restoring
            },
        )  # fmt: skip
        if self.config.get("raise_in") == "ready":
            raise RuntimeError("no luck in on_partition_ready")

    def dump(self, partition: int) -> dict[str, str]:
        """The states of a partition, when the test asks for them."""
        if not self.config.get("dump"):
            return {}
        states = self.states.partition(partition).items_of(b"")
        return {key.decode(): value.decode() for key, value in states}

    async def before_commit(self) -> None:
        self.commits += 1
        if self.config.get("raise_in") == "before_commit":
            raise RuntimeError("no luck in before_commit")
        for partition in self.app.ready_partitions:
            for table in (self.states, self.marks):
                table.freeze(partition)

    async def count(self, stream: Any) -> None:
        async for batch in stream:
            await self.take(batch)

    async def take(self, batch: Batch) -> None:
        partition = batch.tp.partition
        numbers = [int(record.value) for record in batch]
        say("batch", partition=partition, first=batch[0].offset, last=batch[-1].offset,
            at_head=batch.at_head)  # fmt: skip
        if self.config.get("raise_at") in numbers:
            raise ValueError("no luck in the agent")
        await asyncio.sleep(self.config.get("batch_s", 0))
        ahead_s = self.config.get("ahead_s")
        stamp = None if ahead_s is None else int((time.time() + ahead_s) * 1000)
        out = [Outgoing(record.key, record.value, (), stamp) for record in batch]
        await self.app.send_many(self.prefix + "out", partition, out)
        await self.states.put(partition, self.joined(batch))
        name = str(self.config.get("name", "")).encode()
        await self.marks.put(partition, {b"last": b"%d" % batch[-1].offset, b"by": name})
        if self.config.get("done", True):
            batch.done()

    def joined(self, batch: Batch) -> dict[bytes, bytes | None]:
        held = self.states.partition(batch.tp.partition)
        seen: dict[bytes, set[int]] = {}
        for record in batch:
            if record.key not in seen:
                seen[record.key] = set(json.loads(held.get(record.key) or b"[]"))
            seen[record.key].add(int(record.value))
        return {key: json.dumps(sorted(numbers)).encode() for key, numbers in seen.items()}


def break_produce(topic: str, after: int) -> None:
    """The broker refuses every produce request for `topic` after the first `after`."""
    guard, sent = BatchProducer._guard, 0

    def breaking(self: BatchProducer, client: Any) -> None:
        send = client.send

        async def refuse(node_id: int, request: Any, **kwargs: Any) -> Any:
            nonlocal sent
            if isinstance(request, ProduceRequest) and topic in dict(request._topics):
                sent += 1
                if sent > after:
                    raise MessageSizeTooLargeError("refused by the test")
            return await send(node_id, request, **kwargs)

        client.send = refuse
        guard(self, client)

    BatchProducer._guard = breaking  # type: ignore[method-assign]


def main() -> int:
    config = json.loads(sys.argv[1])
    logging.basicConfig(
        level=config.get("log", "WARNING"), format="%(asctime)s %(name)s %(levelname)s %(message)s"
    )
    counter = Counter(config)
    if topic := config.get("break_produce"):
        break_produce(config["prefix"] + topic, config.get("break_after", 0))
    say("start", pid=os.getpid())
    code = run_worker(counter.app, counter.report_standbys)
    say("end", code=code, commits=counter.commits)
    return code


if __name__ == "__main__":
    sys.exit(main())
