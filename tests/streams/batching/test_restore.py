"""Restoring tables: joins, tombstones, gaps, ends without a record, and partitions that stay."""

from __future__ import annotations

import asyncio
import json
import time
from typing import Any

import pytest
from aiokafka import AIOKafkaProducer, ConsumerRecord

from tests.streams.batching.harness import PARTITIONS, Rig, Worker
from tests.support.waiting import eventually


async def _log(rig: Rig, records: list[tuple[str, list[int] | None]], **config: Any) -> None:
    """Write records to partition 0 of the states' changelog, each in a request of its own."""
    async with AIOKafkaProducer(bootstrap_servers=rig.broker.bootstrap, **config) as sender:
        for key, numbers in records:
            value = None if numbers is None else json.dumps(numbers).encode()
            await sender.send_and_wait(rig.prefix + "states", value, key=key.encode(), partition=0)


async def _ready(rig: Rig, worker: Worker) -> dict[str, Any]:
    await eventually(lambda: len(worker.of("ready")) == PARTITIONS, 20, lambda: worker.log)
    found: dict[str, Any] = worker.of("ready")[0]
    assert found["partition"] == 0
    return found


async def test_records_are_joined_and_tombstones_delete(rig_on_both: Rig) -> None:
    await rig_on_both.set_up()
    await _log(rig_on_both, [
        ("joined", [1, 2]), ("joined", [2, 3]), ("gone", [4]), ("gone", None),
        ("back", [5]), ("back", None), ("back", [6]),
    ])  # fmt: skip
    found = await _ready(rig_on_both, rig_on_both.start(dump=True))
    assert found["held"] == {"joined": "[1, 2, 3]", "back": "[6]"}
    assert found["restored"]["states-0"] == 7


async def test_the_last_batch_of_the_log_is_restored_whole(rig_on_both: Rig) -> None:
    """Tansu's ListOffsets points into the last batch: here the log is one batch."""
    await rig_on_both.set_up()
    async with AIOKafkaProducer(bootstrap_servers=rig_on_both.broker.bootstrap) as sender:
        batch = sender.create_batch()
        for number in range(300):
            batch.append(key=b"k%d" % number, value=b"[%d]" % number, timestamp=None)
        batch.close()
        await (await sender.send_batch(batch, rig_on_both.prefix + "states", partition=0))
    found = await _ready(rig_on_both, rig_on_both.start())
    assert found["keys"] == 300


@pytest.mark.kafka
async def test_a_log_that_ends_in_a_control_record_is_restored(kafka_rig: Rig) -> None:
    """The last offset of the log is a transaction marker: no record ever reaches it."""
    await kafka_rig.set_up()
    await _log(kafka_rig, [("a", [1]), ("b", [2])])
    async with AIOKafkaProducer(
        bootstrap_servers=kafka_rig.broker.bootstrap, transactional_id=kafka_rig.prefix
    ) as sender, sender.transaction():  # fmt: skip
        await sender.send(kafka_rig.prefix + "states", b"[3]", key=b"c", partition=0)
    began = time.monotonic()
    found = await _ready(kafka_rig, kafka_rig.start(dump=True))
    assert found["held"] == {"a": "[1]", "b": "[2]", "c": "[3]"}
    assert time.monotonic() - began < 10


@pytest.mark.kafka
async def test_a_compacted_log_with_gaps_is_restored(kafka_rig: Rig) -> None:
    await kafka_rig.set_up(**{
        "segment.ms": "100", "min.cleanable.dirty.ratio": "0.01", "delete.retention.ms": "0",
        "max.compaction.lag.ms": "100",
    })  # fmt: skip
    await _log(kafka_rig, [("a", [number]) for number in range(30)] + [("gone", [1])])
    await _log(kafka_rig, [("gone", None), ("b", [7])])
    deadline = time.monotonic() + 30
    while not _has_gaps((await kafka_rig.read("states"))[0]):  # each write rolls the segment
        assert time.monotonic() < deadline, "the broker did not compact: nothing was tested"
        await asyncio.sleep(0.3)
        await _log(kafka_rig, [("b", [7])])
    found = await _ready(kafka_rig, kafka_rig.start(dump=True))
    assert found["held"]["b"] == "[7]"
    assert 29 in json.loads(found["held"]["a"])


def _has_gaps(records: list[ConsumerRecord]) -> bool:
    """Whether compaction took records from the middle, not only from the start or all of them."""
    offsets = [record.offset for record in records]
    return 2 <= len(offsets) <= 10 and offsets[-1] - offsets[0] >= len(offsets)


async def test_a_restored_table_goes_on_growing(rig: Rig) -> None:
    await rig.set_up()
    await rig.feed(1000)
    for _ in range(2):
        worker = rig.start(commit_interval_s=0.1)
        await rig.finish()
        worker.process.terminate()
        await worker.ended()
        await rig.feed(500)
    worker = rig.start()
    await rig.finish()
    assert all(entry["keys"] == 25 for entry in worker.of("ready"))
    heads = {entry["partition"]: entry["at_head"] for entry in worker.of("batch")}
    assert heads == dict.fromkeys(range(PARTITIONS), True)
