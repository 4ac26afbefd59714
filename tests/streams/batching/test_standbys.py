"""Standbys: copies on other workers that follow, and take over without a restore."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

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
    said = worker.of("standbys")
    return dict(said[-1]["lags"]) if said else {}


def follows(worker: Worker, partitions: set[int]) -> bool:
    """Whether its standbys are these, and none is behind."""
    lags = standbys(worker)
    return set(lags) == partitions and not any(lag != 0 for lag in lags.values())


def restored(entries: list[dict[str, Any]]) -> int:
    """Records of the changelogs that were read for these partitions before they were ready."""
    numbers = {entry["partition"] for entry in entries}
    return sum(
        count
        for name, count in entries[-1]["restored"].items()
        if int(name.rpartition("-")[2]) in numbers
    )


async def test_a_standby_takes_over_from_a_killed_worker(kafka_rig: Rig, start: Start) -> None:
    rig = kafka_rig
    await rig.set_up()
    await rig.feed(4000)
    workers = [start(name, batch_size=50) for name in ("a", "b")]
    await eventually(lambda: all(worker.ready() for worker in workers), 60)
    await eventually(rig.all_committed, 60)
    killed, heir = workers
    taken = killed.ready()
    await eventually(lambda: follows(heir, taken), 60, lambda: heir.log)
    log = await rig.read("states")
    logged = sum(len(log[partition]) for partition in taken)
    await killed.kill()
    await eventually(lambda: heir.ready() == ALL, 60, lambda: heir.log)
    back = [entry for entry in heir.of("ready")[-len(taken) :] if entry["partition"] in taken]
    assert {entry["partition"] for entry in back} == taken
    assert all(entry["keys"] == 25 for entry in back)
    assert restored(back) < logged / 10
    await rig.feed(500)
    await rig.finish(60)
    assert_in_order(heir)
