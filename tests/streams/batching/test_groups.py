"""Two workers, rebalances, pauses and outages: nothing lost, and no zombie writes."""

from __future__ import annotations

import asyncio
import signal
import time

import pytest

from streams.batching import EXIT_FAILED, EXIT_OK
from tests.streams.batching.harness import PARTITIONS, Rig, assert_in_order
from tests.support.waiting import eventually


@pytest.mark.slow
async def test_a_second_worker_joins_under_load_and_leaves(rig_on_both: Rig) -> None:
    await rig_on_both.set_up()
    await rig_on_both.feed(10_000)
    first = rig_on_both.start(batch_s=0.2, name="first")
    await eventually(lambda: len(first.of("batch")) >= 8, 25, lambda: first.log)
    second = rig_on_both.start(batch_s=0.2, name="second")
    await eventually(lambda: len(second.of("batch")) >= 3, 30, lambda: first.log + second.log)
    kept = first.ready()
    assert kept | second.ready() == set(range(PARTITIONS))
    assert not kept & second.ready()
    assert len(first.of("ready")) == PARTITIONS, "a partition that stayed was restored again"
    second.send(signal.SIGTERM)
    assert await second.ended() == EXIT_OK
    begun = {entry["partition"] for worker in (first, second) for entry in worker.of("batch")}
    await rig_on_both.feed(500)
    await rig_on_both.finish(40)
    assert first.ready() == set(range(PARTITIONS))
    back = first.of("ready")[PARTITIONS:]
    assert {entry["partition"] for entry in back} == set(range(PARTITIONS)) - kept
    read_again = {entry["partition"] for entry in back if entry["keys"]}
    assert read_again >= (begun - kept), "a partition that came back was not read again"
    for worker in (first, second):
        assert_in_order(worker)


@pytest.mark.slow
@pytest.mark.kafka
async def test_one_of_two_workers_is_killed(kafka_rig: Rig) -> None:
    rig = kafka_rig
    await rig.set_up()
    await rig.feed(8000)
    workers = [rig.start(batch_s=0.05, name=name) for name in ("a", "b")]
    await eventually(lambda: all(worker.of("batch") for worker in workers), 30)
    await asyncio.sleep(0.3)
    await workers[0].kill()
    await rig.audit()
    await rig.finish(40)
    assert_in_order(workers[1])


@pytest.mark.slow
@pytest.mark.kafka
async def test_a_zombie_writes_nothing_and_exits(kafka_rig: Rig) -> None:
    rig = kafka_rig
    await rig.set_up()
    await rig.feed(8000)
    zombie = rig.start(batch_s=0.05, name="zombie")
    await eventually(lambda: len(zombie.of("batch")) >= 6, 25, lambda: zombie.log)
    zombie.send(signal.SIGSTOP)
    heir = rig.start(batch_s=0.01, name="heir")
    await eventually(lambda: heir.ready() == set(range(PARTITIONS)), 30, lambda: heir.log)
    await eventually(lambda: len(heir.of("batch")) >= 4, 10, lambda: heir.log)
    zombie.send(signal.SIGCONT)
    assert await zombie.ended() == EXIT_FAILED
    assert "the consumer group no longer knows this worker" in zombie.log
    await rig.finish()
    for records in (await rig.read("marks")).values():
        writers = [record.value for record in records if record.key == b"by"]
        assert writers == sorted(writers, reverse=True), "the zombie wrote after its heir"
    assert_in_order(heir)


async def test_quick_restarts_lose_nothing_between_resume_and_seek(quick_rig: Rig) -> None:
    """Stock Faust drops records fetched between resume and seek; before the first commit
    that loses them, later it freezes the partition's commits."""
    rig = quick_rig
    await rig.set_up()
    await rig.feed(2000)
    for round_ in range(3):
        worker = rig.start(batch_size=50, commit_interval_s=30 if round_ == 0 else 0.2)
        await eventually(lambda: len(worker.of("batch")) >= 4, 25, lambda: worker.log)  # noqa: B023
        before = await rig.committed()
        await worker.kill() if round_ == 0 else worker.send(signal.SIGTERM)
        await worker.ended()
        assert_in_order(worker)
        if round_ == 0:
            assert sum(before.values()) == 0
            firsts = {entry["partition"]: entry["first"] for entry in worker.of("batch")[::-1]}
            assert set(firsts.values()) == {0}
        await rig.feed(500)
    rig.start()
    await rig.finish()


@pytest.mark.kafka
async def test_a_long_on_partition_ready_does_not_cost_the_membership(kafka_rig: Rig) -> None:
    await kafka_rig.set_up()
    await kafka_rig.feed(1000)
    worker = kafka_rig.start(ready_s=1.8, session_timeout_s=6)
    await eventually(lambda: len(worker.of("ready")) == PARTITIONS, 20, lambda: worker.log)
    assert not worker.of("batch"), "a batch was handed out before all partitions were ready"
    await kafka_rig.finish()
    assert len({entry["generation"] for entry in worker.of("ready")}) == 1


@pytest.mark.kafka
async def test_a_join_during_on_partition_ready_starts_it_again(kafka_rig: Rig) -> None:
    await kafka_rig.set_up()
    await kafka_rig.feed(1000)
    first = kafka_rig.start(ready_s=1.5)
    await eventually(lambda: bool(first.of("ready")), 20, lambda: first.log)
    second = kafka_rig.start()
    await eventually(lambda: bool(second.of("ready")), 20, lambda: second.log)
    await kafka_rig.finish()
    assert first.ready() | second.ready() == set(range(PARTITIONS))
    assert first.process.poll() is None


@pytest.mark.slow
@pytest.mark.kafka
async def test_an_outage_longer_than_the_session_is_waited_for(kafka_rig: Rig) -> None:
    await kafka_rig.set_up()
    await kafka_rig.feed(8000)
    worker = kafka_rig.start(batch_s=0.05, log="INFO")
    await eventually(lambda: len(worker.of("batch")) >= 8, 20, lambda: worker.log)
    kafka_rig.broker.kill()
    try:
        await asyncio.sleep(9)
        assert worker.process.poll() is None, worker.log
        assert "waiting for the group coordinator, last heartbeat" in worker.log
    finally:
        kafka_rig.broker.start()
    await kafka_rig.feed(1000)
    await kafka_rig.finish(40)
    assert worker.process.poll() is None, worker.log
    assert "Kafka answers again after" in worker.log
    assert_in_order(worker)


@pytest.mark.slow
@pytest.mark.kafka
async def test_sigterm_ends_in_time_while_kafka_is_away(kafka_rig: Rig) -> None:
    await kafka_rig.set_up()
    await kafka_rig.feed(8000)
    worker = kafka_rig.start(batch_s=0.05)
    await eventually(lambda: len(worker.of("batch")) >= 8, 20, lambda: worker.log)
    kafka_rig.broker.kill()
    try:
        await asyncio.sleep(7)
        began = time.monotonic()
        worker.send(signal.SIGTERM)
        assert await worker.ended(12) == EXIT_FAILED
        assert time.monotonic() - began < 10.5
    finally:
        kafka_rig.broker.start()
    assert "waiting for the group coordinator" in worker.log.splitlines()[-1]
    await kafka_rig.audit()
