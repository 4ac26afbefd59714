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


async def test_a_changelog_that_is_deleted_and_at_once_made_again_ends_the_worker(rig: Rig) -> None:
    worker = await _running(rig)
    await _delete(rig, "states")
    await create_topics(rig.bootstrap, f"{rig.prefix}states")
    await rig.feed(400)
    assert await worker.ended(60) == EXIT_FAILED
    _names(worker, f"{rig.prefix}states")


async def test_a_source_that_is_deleted_and_at_once_made_again_ends_the_worker_or_is_read_whole(
    rig: Rig,
) -> None:
    """Kafka forgets the offsets of a deleted topic. A worker whose group forms again before it sees
    a lower offset begins the new topic at its start."""
    worker = await _running(rig)
    await _delete(rig, "src")
    await create_topics(rig.bootstrap, f"{rig.prefix}src")
    rig.fed = 0
    await rig.feed(400)

    async def ended_or_read() -> bool:
        return worker.process.poll() is not None or await rig.all_committed()

    await eventually(ended_or_read, 60, lambda: worker.log)
    if worker.process.poll() is not None:
        assert worker.process.returncode == EXIT_FAILED
        _names(worker, f"{rig.prefix}src")


def _names(worker: Worker, topic: str) -> None:
    last = worker.log.splitlines()[-1]
    assert topic in last
    assert "Fix: " in last


async def test_a_clock_that_is_ahead_is_named(rig: Rig) -> None:
    await rig.set_up()
    await rig.feed(100)
    worker = rig.start(ahead_s=7200)
    assert await worker.ended(30) == EXIT_FAILED
    last = worker.log.splitlines()[-1]
    assert f"Kafka refuses the time of a record for topic {rig.prefix}out" in last
    assert "This machine's clock shows" in last
    assert "Fix: set the clocks" in last
