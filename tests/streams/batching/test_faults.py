"""What goes wrong must never be committed, and must end the process."""

from __future__ import annotations

import asyncio
import signal
import time

import pytest

from streams.batching import EXIT_FAILED, EXIT_OK
from tests.streams.batching.harness import PARTITIONS, Rig, last_offsets
from tests.support.topics import create_topics
from tests.support.waiting import eventually


async def test_a_failed_output_is_not_committed(rig: Rig) -> None:
    await _a_failed_produce_is_not_committed(rig, "out")


async def test_a_failed_changelog_record_is_not_committed(quick_rig: Rig) -> None:
    await _a_failed_produce_is_not_committed(quick_rig, "states")


async def _a_failed_produce_is_not_committed(rig: Rig, topic: str) -> None:
    await rig.set_up()
    await rig.feed(4000)
    worker = rig.start(break_produce=topic, break_after=6, batch_s=0.05)
    assert await worker.ended(20) == EXIT_FAILED
    assert "Stopping, nothing is committed" in worker.log
    assert "refused by the test" in worker.log
    assert not await rig.all_committed()
    await rig.audit()
    again = rig.start()
    await rig.finish()
    assert again.process.poll() is None


async def test_an_agent_that_raises_is_not_committed(quick_rig: Rig) -> None:
    rig = quick_rig
    await rig.set_up()
    await rig.feed(4000)
    worker = rig.start(raise_at=2345, batch_s=0.02)
    assert await worker.ended(20) == EXIT_FAILED
    assert worker.log.count("no luck in the agent") >= 1
    part, offset = 2345 % PARTITIONS, 2345 // PARTITIONS
    assert (await rig.committed())[part] <= offset
    await rig.audit()


@pytest.mark.parametrize("hook", ["ready", "before_commit"])
async def test_a_hook_that_raises_ends_the_worker(quick_rig: Rig, hook: str) -> None:
    await quick_rig.set_up()
    await quick_rig.feed(400)
    worker = quick_rig.start(raise_in=hook)
    assert await worker.ended(20) == EXIT_FAILED
    assert "no luck in" in worker.log
    assert sum((await quick_rig.committed()).values()) == 0


async def test_a_missing_topic_is_named(rig_on_both: Rig) -> None:
    rig = rig_on_both
    names = [rig.prefix + name for name in ("src", "states")]
    await create_topics(rig.broker.bootstrap, *names)
    worker = rig.start()
    assert await worker.ended(20) == EXIT_FAILED
    assert f"topics do not exist: {rig.prefix}marks; create them first" in worker.log


async def test_differing_partition_counts_are_named(quick_rig: Rig) -> None:
    bootstrap, prefix = quick_rig.broker.bootstrap, quick_rig.prefix
    await create_topics(bootstrap, prefix + "src", prefix + "states", partitions=4)
    await create_topics(bootstrap, prefix + "marks", partitions=2)
    worker = quick_rig.start()
    assert await worker.ended(20) == EXIT_FAILED
    assert "must have the same number of partitions" in worker.log


async def test_sigterm_commits_everything_done(rig: Rig) -> None:
    await rig.set_up()
    await rig.feed(8000)
    worker = rig.start(batch_s=0.2, commit_interval_s=60)
    await eventually(lambda: len(worker.of("batch")) >= 6, 20, lambda: worker.log)
    began = time.monotonic()
    worker.send(signal.SIGTERM)
    assert await worker.ended(10) == EXIT_OK
    assert time.monotonic() - began < 5
    ends = last_offsets(worker)
    assert await rig.committed() == {part: ends.get(part, 0) for part in range(PARTITIONS)}
    await rig.audit()


@pytest.mark.parametrize("after_s", [0.8, 1.5])
async def test_sigterm_ends_in_time_while_joining(quick_rig: Rig, after_s: float) -> None:
    """Faust waits for the group to answer; the runner does not (a join takes 15 s here)."""
    await quick_rig.set_up()
    worker = quick_rig.start(session_timeout_s=30)
    await eventually(lambda: bool(worker.of("start")), 10, lambda: worker.log)
    await asyncio.sleep(after_s)
    worker.send(signal.SIGTERM)
    assert await worker.ended(10) == EXIT_OK
    assert not worker.of("ready")


async def test_sigterm_ends_in_time_though_a_batch_hangs(quick_rig: Rig) -> None:
    await quick_rig.set_up()
    await quick_rig.feed(2000)
    worker = quick_rig.start(batch_s=1000)
    await eventually(lambda: bool(worker.of("batch")), 20, lambda: worker.log)
    worker.send(signal.SIGTERM)
    assert await worker.ended(10) == EXIT_FAILED
    assert "not done or not acknowledged" in worker.log
    assert sum((await quick_rig.committed()).values()) == 0


@pytest.mark.slow
async def test_kill_three_times_and_the_state_is_exact(rig: Rig) -> None:
    await rig.set_up()
    await rig.feed(12_000)
    for _ in range(3):
        worker = rig.start(batch_s=0.05)
        await eventually(lambda: len(worker.of("batch")) >= 8, 25, lambda: worker.log)  # noqa: B023
        await worker.kill()
        await rig.audit()
    rig.start()
    await rig.finish()
