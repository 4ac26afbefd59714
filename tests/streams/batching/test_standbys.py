"""Standbys: copies on other workers that follow, and take over without a restore."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from streams.batching import EXIT_OK
from streams.batching.consumer import OFFER_LAG
from tests.streams.batching.harness import PARTITIONS, Rig, Worker, assert_in_order
from tests.support.waiting import eventually

pytestmark = [pytest.mark.kafka, pytest.mark.slow]

#: A worker of a rig by its name.
Start = Callable[..., Worker]

ALL = set(range(PARTITIONS))


@pytest.fixture(params=["memory", "disk"])
def start(request: pytest.FixtureRequest, kafka_rig: Rig, tmp_path: Path) -> Start:
    """Starts workers with a standby, on each store in turn; a name has a folder of its own."""

    def started(name: str, **config: Any) -> Worker:
        if request.param == "disk":
            config["state_dir"] = str(tmp_path / name)
        return kafka_rig.start(**{"standbys": 1, "name": name, **config})

    return started


def standbys(worker: Worker) -> dict[int, int | None]:
    """Its standbys, and how far each is behind."""
    reports = worker.of("standbys")
    return dict(reports[-1]["lags"]) if reports else {}


def follows(worker: Worker, partitions: set[int]) -> bool:
    """Whether its standbys are these, and none is behind."""
    lags = standbys(worker)
    return set(lags) == partitions and not any(lag != 0 for lag in lags.values())


async def settled(rig: Rig, *workers: Worker) -> None:
    """Wait until all is committed, each partition has one worker, and all standbys follow."""
    await eventually(rig.all_committed, 60, lambda: [worker.log for worker in workers])

    def done() -> bool:
        held = [partition for worker in workers for partition in worker.ready()]
        copies = [partition for worker in workers for partition in standbys(worker)]
        return (
            sorted(held) == sorted(copies) == sorted(ALL)
            and all(follows(worker, set(standbys(worker))) for worker in workers)
            and all(worker.ready() for worker in workers)
        )

    await eventually(done, 60, lambda: [worker.events[-5:] for worker in workers])


async def assert_taken_over(
    taken: set[int], heirs: list[Worker], since: float, most: int = 50
) -> None:
    """Heirs have the partitions, and read no more than the end of their changelogs.

    since: when the former owner still had them, epoch seconds; most: records
    """
    await eventually(
        lambda: set().union(*(heir.ready() for heir in heirs)) >= taken,
        60,
        lambda: [heir.log for heir in heirs],
    )
    for heir in heirs:
        for entry in heir.of("ready"):
            partition = entry["partition"]
            if partition in taken and entry["at"] > since:
                assert entry["keys"] == 25
                read = entry["restored"][f"states-{partition}"]
                assert read < most, f"partition {partition} was restored: {read} records"


async def test_standbys_take_over_from_a_killed_worker(kafka_rig: Rig, start: Start) -> None:
    rig = kafka_rig
    await rig.set_up()
    await rig.feed(8000)
    workers = [start(name, batch_size=50) for name in ("a", "b", "c")]
    await settled(rig, *workers)
    killed, *heirs = sorted(workers, key=lambda worker: -len(worker.ready()))
    taken = killed.ready()
    assert len(taken) == 2
    at = time.time()
    await killed.kill()
    await assert_taken_over(taken, heirs, at)
    assert all(heir.ready() & taken for heir in heirs), "one heir has all"
    await rig.feed(500)
    await settled(rig, *heirs)
    await rig.finish(60)
    for worker in workers:
        assert_in_order(worker)


async def test_a_worker_that_returns_follows_first(kafka_rig: Rig, start: Start) -> None:
    rig = kafka_rig
    await rig.set_up()
    await rig.feed(8000)
    first, other = start("a", batch_size=50), start("b", batch_size=50)
    await settled(rig, first, other)
    await first.kill()
    await eventually(lambda: other.ready() == ALL, 60, lambda: other.log)
    await rig.feed(8000)  # the copy of the worker that returns is behind, or it has none
    await eventually(rig.all_committed, 60, lambda: other.log)
    at = time.time()
    first = start("a", batch_size=50)
    await settled(rig, first, other)
    lags = [lag for entry in first.of("standbys") for _, lag in entry["lags"]]
    assert max(lag or 0 for lag in lags) > 0, "it was never behind: nothing was tested"
    taken = first.ready()
    assert len(taken) == 2
    logged = sum(len(records) for records in (await rig.read("states")).values()) / PARTITIONS
    assert logged >= 2 * OFFER_LAG
    await assert_taken_over(taken, [first], at, OFFER_LAG + 50)
    assert other.process.poll() is None, other.log
    # What the other worker gave away it follows, and takes over again.
    at = time.time()
    await rig.feed(500)
    await settled(rig, first, other)
    first.send(signal.SIGTERM)
    assert await first.ended() == EXIT_OK
    await assert_taken_over(taken, [other], at)
    await rig.feed(500)
    await rig.finish(60)
    for worker in rig.workers:
        assert_in_order(worker)
