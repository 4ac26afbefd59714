"""Sinks that share partitions: what a rebalance does to the batch in hand and its offsets."""

import asyncio
import time

from aiokafka import TopicPartition
from aiokafka.structs import OffsetAndMetadata

from deploy.embedded.brokers import Broker
from models.settings import Settings
from sinks.client import ClickHouse
from sinks.consumer import Batch, SinkConsumer
from sinks.rows import TOPICS
from streams.kafka.security import kafka_access
from tests.support.fakes import T0, Health, Meter, state, state_record
from tests.support.records import Record
from tests.support.running_sink import (
    PARTITIONS,
    committed,
    count,
    one_way,
    publish,
    running,
    settings_for,
    states,
)


@one_way
async def test_two_sinks_share_partitions_and_one_takes_over(
    strongest_broker: Broker, prefix: str, url: str, reader: ClickHouse
) -> None:
    settings = await settings_for(strongest_broker, prefix, url)
    every = len(TOPICS) * PARTITIONS
    async with running(settings) as first:
        await publish(settings, states(200))
        async with running(settings) as second:
            await first.until(lambda: 0 < first.meter.value("receipts_partitions") < every)
            await second.until(lambda: second.meter.value("receipts_partitions") > 0)
            owned = [sink.meter.value("receipts_partitions") for sink in (first, second)]
            assert sum(owned) == every
            await publish(settings, states(200, first=200))
            await first.until(lambda: count(reader, "messages_current") == 400)
            assert second.rows("messages") > 0
        await first.until(lambda: first.meter.value("receipts_partitions") == every)
        await publish(settings, states(100, first=400))
        await first.until(lambda: count(reader, "messages_current") == 500)
    assert await committed(settings, "message-states") == 500


@one_way
async def test_offsets_of_an_old_assignment_are_never_committed(
    embedded_broker: Broker, prefix: str, url: str
) -> None:
    settings = await settings_for(embedded_broker, prefix, url)
    await publish(settings, states(4))
    batches = SinkConsumer(settings, kafka_access(settings), Meter(), Health())
    await batches.start()
    stop = asyncio.Event()
    batch: Batch | None = None
    while batch is None:
        batch = await batches.collect(stop)
    began = time.monotonic()
    await batches.on_partitions_revoked(list(batch.offsets))
    assert 2 < time.monotonic() - began < 5, "a rebalance waits for the batch, but not for ever"
    assert not await batches.commit(batch)
    batches.done()
    await batches.stop()
    assert await committed(settings, "message-states") == 0


@one_way
async def test_a_rebalance_does_not_wait_for_a_batch_that_clickhouse_does_not_take(
    embedded_broker: Broker, prefix: str, url: str
) -> None:
    settings = await settings_for(embedded_broker, prefix, url)
    batches = SinkConsumer(settings, kafka_access(settings), Meter(), Health())
    place = TopicPartition(settings.topic("sends"), 0)
    batches._batch({place: [state_record(state(1))]}, {place: 1}, 0, 1)  # type: ignore[list-item]
    batches.waiting = True
    await asyncio.wait_for(batches.on_partitions_revoked([TopicPartition("t", 0)]), 1)
    await batches.stop()


PLACE = TopicPartition("sends", 0)


class Joining:
    """Polls of a consumer during which partitions change hands."""

    def __init__(self, batches: SinkConsumer, *polls: tuple[bool, list[int]]) -> None:
        self._batches = batches
        self._polls = list(polls)
        self._subscription = self
        self.subscription = self.assignment = self
        self.reassignment_in_progress = False
        self.consumed: dict[TopicPartition, OffsetAndMetadata] = {}

    def all_consumed_offsets(self) -> dict[TopicPartition, OffsetAndMetadata]:
        return self.consumed

    async def getmany(self, **_: object) -> dict[TopicPartition, list[Record]]:
        changes, offsets = self._polls.pop(0)
        if changes:
            await self._batches.on_partitions_revoked([PLACE])
            await self._batches.on_partitions_assigned([PLACE])
            self.consumed = {}  # an assignment begins without positions
        if not offsets:
            return {}
        self.consumed = {PLACE: OffsetAndMetadata(offsets[-1] + 1, "")}
        return {PLACE: [Record("sends", 0, n, T0, None, None) for n in offsets]}


async def without_kafka(most: int = 3) -> SinkConsumer:
    """A consumer whose client never started; the test gives it another."""
    settings = Settings(sink_max_rows=most, sink_max_wait_s=5)
    batches = SinkConsumer(settings, kafka_access(settings), Meter(), Health())
    await batches.consumer.stop()
    return batches


async def collected(
    *polls: tuple[bool, list[int]], most: int = 3
) -> tuple[Batch | None, SinkConsumer]:
    batches = await without_kafka(most)
    batches.consumer = Joining(batches, *polls)
    return await batches.collect(asyncio.Event()), batches


async def test_records_that_come_with_a_new_assignment_are_not_lost() -> None:
    batch, batches = await collected((True, [0, 1, 2]))
    assert batch is not None
    assert [record.offset for record in batch.records["sends"]] == [0, 1, 2]
    assert batch.assignment == batches._assignment, "may be committed"


async def test_records_of_the_old_assignment_are_left_to_who_reads_them_again() -> None:
    batch, batches = await collected((False, [0, 1]), (True, [0]), (False, [1, 2]))
    assert batch is not None
    assert [record.offset for record in batch.records["sends"]] == [0, 1, 2]
    assert batch.offsets == {TopicPartition("sends", 0): 3}
    assert batch.assignment == batches._assignment


async def test_records_given_up_in_a_rebalance_are_never_committed() -> None:
    """Taken away and not yet given again: the consumer's positions are behind what was given up."""
    batches = await without_kafka()

    class Leaving(Joining):
        async def getmany(self, **_: object) -> dict[TopicPartition, list[Record]]:
            found = await super().getmany()
            if not found:
                self.reassignment_in_progress = True
                await batches.on_partitions_revoked([PLACE])
            return found

    batches.consumer = Leaving(batches, (False, [0, 1]), (False, []))
    assert await batches.collect(asyncio.Event()) is None


async def test_a_position_moves_on_without_records() -> None:
    batches = await without_kafka()
    batches.consumer = consumer = Joining(batches, (False, []), (False, []))
    consumer.consumed = {PLACE: OffsetAndMetadata(7, "")}
    batch = await batches.collect(asyncio.Event())
    assert batch is not None
    assert (batch.records, batch.offsets, batch.size) == ({}, {PLACE: 7}, 0)
    batches._passed[PLACE] = 7
    assert await batches.collect(asyncio.Event()) is None, "nothing to commit twice"


async def test_nothing_is_a_batch_of_nothing() -> None:
    assert (await collected((False, [])))[0] is None
    assert (await collected((False, [0]), (True, [])))[0] is None
