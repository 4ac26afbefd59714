"""Topics that vanish under a running worker, and records whose time Kafka refuses."""

from __future__ import annotations

import pytest
from aiokafka.admin import AIOKafkaAdminClient

from streams.batching import EXIT_FAILED
from tests.streams.batching.harness import Rig, Worker
from tests.support.topics import create_topics
from tests.support.waiting import eventually

pytestmark = pytest.mark.kafka


@pytest.fixture
def rig(kafka_rig: Rig) -> Rig:
    return kafka_rig


async def _running(rig: Rig) -> Worker:
    await rig.set_up()
    await rig.feed(1000)
    worker = rig.start()
    await eventually(rig.all_committed, 30, lambda: worker.log)
    return worker


async def _delete(rig: Rig, name: str) -> None:
    admin = AIOKafkaAdminClient(bootstrap_servers=rig.bootstrap)
    await admin.start()
    try:
        await admin.delete_topics([rig.prefix + name])
    finally:
        await admin.close()


@pytest.mark.parametrize("name", ["src", "states", "out"])
async def test_a_topic_that_is_deleted_ends_the_worker_with_its_name(rig: Rig, name: str) -> None:
    worker = await _running(rig)
    await _delete(rig, name)
    assert await worker.ended(30) == EXIT_FAILED
    last = worker.log.splitlines()[-1]
    assert f"topics no longer exist: {rig.prefix}{name}. Fix: create them again" in last


@pytest.mark.parametrize("name", ["src", "states"])
async def test_a_topic_that_is_deleted_and_at_once_made_again_ends_the_worker(
    rig: Rig, name: str
) -> None:
    worker = await _running(rig)
    await _delete(rig, name)
    await create_topics(rig.bootstrap, rig.prefix + name)
    if name == "src":
        rig.fed = 0
    await rig.feed(400)
    assert await worker.ended(30) == EXIT_FAILED
    assert f"{rig.prefix}{name}" in worker.log.splitlines()[-1]
    assert "Fix: " in worker.log.splitlines()[-1]


async def test_a_clock_that_is_ahead_is_named(rig: Rig) -> None:
    await rig.set_up()
    await rig.feed(100)
    worker = rig.start(ahead_s=7200)
    assert await worker.ended(30) == EXIT_FAILED
    last = worker.log.splitlines()[-1]
    assert f"Kafka refuses the time of a record for topic {rig.prefix}out" in last
    assert "This machine's clock shows" in last
    assert "Fix: set the clocks" in last
