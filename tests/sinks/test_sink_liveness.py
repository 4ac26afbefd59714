"""The sink says that Kafka is away, and only then: an idle topic is no outage."""

import asyncio
import os
import signal
from collections.abc import Iterator
from types import SimpleNamespace

import pytest
from aiokafka import TopicPartition
from aiokafka.errors import GroupAuthorizationFailedError

from deploy.embedded.brokers import Broker, KafkaBroker
from sinks.client import ClickHouse
from streams.kafka import clients
from streams.kafka.liveness import probe
from streams.kafka.security import Access
from tests.support.running_sink import (
    Running,
    committed,
    one_way,
    publish,
    running,
    settings_for,
    states,
)
from tests.support.topics import create_topics
from tests.support.waiting import eventually

#: A loss is reported within 7 s; the rest is for a busy machine.
NOTICED_S = 20.0
#: A broker that was killed takes up to 10 s to start, and clients look for it once a second.
BACK_S = 60.0


@pytest.fixture
def own_kafka(needs_kafka: None) -> Iterator[KafkaBroker]:
    """A broker that the test may freeze and kill."""
    with KafkaBroker() as broker:
        yield broker
        broker.kill()


def lost(sink: Running) -> bool:
    return "no answer" in sink.health.reasons.get("kafka", "")


@pytest.mark.kafka
@one_way
async def test_an_idle_sink_is_ready_and_one_without_kafka_is_not(
    own_kafka: KafkaBroker, prefix: str, url: str, reader: ClickHouse
) -> None:
    settings = await settings_for(own_kafka, prefix, url)
    async with running(settings) as sink:
        seen = len(sink.health.history)
        await asyncio.sleep(8)
        assert not any(reason for _, reason in sink.health.history[seen:]), "idle, but ready"

        os.kill(own_kafka.pid, signal.SIGSTOP)
        await sink.until(lambda: lost(sink), NOTICED_S)
        os.kill(own_kafka.pid, signal.SIGCONT)
        await sink.until(lambda: sink.health.reasons == {}, BACK_S)

        own_kafka.kill()
        await sink.until(lambda: lost(sink), NOTICED_S)
        await asyncio.to_thread(own_kafka.start)
        await sink.until(lambda: sink.health.reasons == {}, BACK_S)

        await publish(settings, states(20))
        await sink.until(lambda: sink.rows("messages") == 20)
    assert await committed(settings, "message-states") == 20


async def test_a_member_without_partitions_is_answered_too(
    embedded_broker: Broker, prefix: str
) -> None:
    """It must be able to take over, so the coordinator of the group has to answer it."""
    await create_topics(embedded_broker.bootstrap, f"{prefix}t", partitions=1)
    members = [
        clients.consumer(Access(embedded_broker.bootstrap), group_id=f"{prefix}g") for _ in "ab"
    ]
    for member in members:
        await member.start()
        member.subscribe(topics=[f"{prefix}t"])
    await eventually(lambda: sorted(len(each.assignment()) for each in members) == [0, 1], 20)
    assert [await probe(member) for member in members] == ["", ""]
    for member in members:
        await member.stop()


class Refusing:
    """A consumer whose broker answers, but not with what was asked."""

    def __init__(self, *unseen: str) -> None:
        cluster = SimpleNamespace(unauthorized_topics=set(unseen))
        self._client = SimpleNamespace(refusal="", cluster=cluster, _sasl_plain_username=None)

    def assignment(self) -> set[TopicPartition]:
        return {TopicPartition("t", 0)}

    async def committed(self, _: TopicPartition) -> None:
        raise GroupAuthorizationFailedError("g")

    def subscription(self) -> set[str]:
        return {"t"}


async def test_what_a_broker_refuses_is_a_reason() -> None:
    assert "Kafka denies READ on group g. Fix: " in await probe(Refusing("other"))
    assert "Kafka denies READ on topic t. Fix: " in await probe(Refusing("t"))
