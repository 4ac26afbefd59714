"""Transactions on real Kafka: what is aborted is no row, what is open is waited for."""

import asyncio
import contextlib
from collections.abc import AsyncIterator

import pytest
from aiokafka import AIOKafkaProducer

from deploy.embedded.brokers import Broker
from models.settings import Settings
from sinks.client import ClickHouse
from tests.support.lag import lag
from tests.support.records import Record
from tests.support.running_sink import (
    PARTITIONS,
    count,
    one_way,
    publish,
    running,
    settings_for,
    states,
)
from tests.support.waiting import eventually

pytestmark = pytest.mark.kafka


@contextlib.asynccontextmanager
async def transactions(settings: Settings, name: str) -> AsyncIterator[AIOKafkaProducer]:
    producer = AIOKafkaProducer(
        bootstrap_servers=settings.brokers, transactional_id=settings.topic_prefix + name
    )
    await producer.start()
    try:
        yield producer
    finally:
        await producer.stop()


async def send(producer: AIOKafkaProducer, settings: Settings, records: list[Record]) -> None:
    for record in records:
        await producer.send_and_wait(
            settings.topic_prefix + record.topic,
            key=record.key,
            value=record.value,
            partition=record.partition % PARTITIONS,
        )


async def until_lag_is(settings: Settings, wanted: int) -> None:
    topics = [settings.topic("message-states")]

    async def reached() -> bool:
        return await lag(settings.brokers, settings.sink_group, topics, PARTITIONS) == wanted

    await eventually(reached, why=lambda: f"the lag is {wanted}")


@one_way
async def test_only_committed_transactions_are_stored_and_the_lag_ends_at_0(
    kafka_broker: Broker, prefix: str, url: str, reader: ClickHouse
) -> None:
    settings = await settings_for(kafka_broker, prefix, url)
    async with transactions(settings, "one") as one, running(settings) as sink:
        await one.begin_transaction()
        await send(one, settings, states(10))
        await one.abort_transaction()
        await until_lag_is(settings, 0)  # nothing but aborted and control records was passed

        async with one.transaction():
            await send(one, settings, states(10, first=10))
        await sink.until(lambda: sink.rows("messages") == 10)
        await until_lag_is(settings, 0)

        await one.begin_transaction()
        await send(one, settings, states(10, first=20))
        await publish(settings, states(10, first=30))  # behind the open one: it waits too
        await asyncio.sleep(2)
        assert sink.rows("messages") == 10
        await one.commit_transaction()
        await sink.until(lambda: sink.rows("messages") == 30)
        await until_lag_is(settings, 0)
    assert count(reader, "messages_current") == 30
    stored = reader.rows("SELECT message_id FROM messages_current")
    assert {name for (name,) in stored} == {f"m{n}" for n in range(10, 40)}


@one_way
async def test_a_sink_that_starts_behind_aborted_records_commits_that_it_passed_them(
    kafka_broker: Broker, prefix: str, url: str, reader: ClickHouse
) -> None:
    settings = await settings_for(kafka_broker, prefix, url)
    async with transactions(settings, "two") as two:
        await two.begin_transaction()
        await send(two, settings, states(4))
        await two.abort_transaction()
    async with running(settings):
        await until_lag_is(settings, 0)
    assert count(reader, "messages_current") == 0
