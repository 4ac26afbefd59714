"""Three real brokers of which one dies or freezes: workers wait and go on, nothing is lost.

One cluster for all cases. Times are in docs/adr/0012-a-fence-that-waits.md; here only that all is
reached in the end.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import pytest
from aiokafka.admin import AIOKafkaAdminClient

from deploy.kafka.suppression_client import find
from deploy.kafka.topics import TopicsError, check_topics, create_topics
from models.settings import Settings
from tests.streams.batching.harness import Rig, Worker, assert_in_order, cleaned
from tests.support.kafka_cluster import KafkaCluster, KafkaNode
from tests.support.waiting import eventually

pytestmark = [pytest.mark.kafka, pytest.mark.slow]

#: the default of RECEIPTS_SESSION_TIMEOUT_S
SESSION_S = 10


@pytest.fixture
def cluster(needs_kafka: None) -> Iterator[KafkaCluster]:
    """Three brokers with Kafka's own defaults."""
    with KafkaCluster() as made:
        yield made


@pytest.fixture
def rig(cluster: KafkaCluster, prefix: str) -> Iterator[Rig]:
    with cleaned(Rig(cluster, prefix, replication=3)) as made:  # type: ignore[arg-type]
        yield made


async def coordinator(cluster: KafkaCluster, rig: Rig) -> KafkaNode:
    """The broker that coordinates the workers' group."""
    admin = AIOKafkaAdminClient(bootstrap_servers=cluster.bootstrap)
    await admin.start()
    try:
        return cluster.node(await admin.find_coordinator(rig.prefix + "counter"))
    finally:
        await admin.close()


def assert_all_run(rig: Rig) -> None:
    for worker in rig.workers:
        assert worker.process.poll() is None, worker.log
        assert_in_order(worker)


async def test_a_broker_that_dies_or_freezes_ends_neither_workers_nor_commands(
    cluster: KafkaCluster, rig: Rig
) -> None:
    await rig.set_up()
    for _ in range(2):
        _start(rig)
    await _one_dies(cluster, rig)
    await _one_freezes(cluster, rig)


async def _one_dies(cluster: KafkaCluster, rig: Rig) -> None:
    await _feed(rig)
    node = await coordinator(cluster, rig)
    node.kill()
    settings = Settings(
        brokers=f"{node.bootstrap},{cluster.bootstrap}",
        topic_prefix=rig.prefix + "new-",
        replication=3,
        partitions=2,
    )
    assert len((await create_topics(settings)).created) == 12
    assert await check_topics(settings) == []
    assert not (await find(settings, "acme", "+447700900123")).suppressed
    late = _start(rig)
    await rig.finish(60)
    await eventually(lambda: bool(late.ready()), 60, lambda: late.log)
    assert_all_run(rig)
    node.start()


async def _one_freezes(cluster: KafkaCluster, rig: Rig) -> None:
    await _feed(rig)
    node = await coordinator(cluster, rig)
    others = [other.bootstrap for other in cluster.nodes if other is not node]
    with node.frozen():
        settings = Settings(brokers=",".join([node.bootstrap, *others]), topic_prefix="none-")
        async with asyncio.timeout(40):
            with pytest.raises(TopicsError, match="topics are missing"):
                await check_topics(settings)
        rig.bootstrap = ",".join(others)
        await rig.finish(60)
    assert_all_run(rig)


def _start(rig: Rig) -> Worker:
    return rig.start(batch_size=20, batch_s=0.05, session_timeout_s=SESSION_S)


async def _feed(rig: Rig) -> None:
    """Events for several seconds, and wait until the workers are at them."""
    seen = sum(len(worker.of("batch")) for worker in rig.workers)
    await rig.feed(6000)
    await eventually(lambda: sum(len(worker.of("batch")) for worker in rig.workers) > seen + 20, 60)
