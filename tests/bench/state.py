"""States on a local disk and states in memory, side by side, with many states present.

A changelog is filled with N states, of as many hours as `--hours`, under their own message ids.
The worker on disk reads them into an empty folder; the worker in memory has only its own traffic,
so it is as fast as it can be. Then, in turns, both work off the same traffic, with new messages
each turn. Afterwards the changelog gets N more states, and the worker on disk does it once again.

job        as in job.py: from the first record in the states topic to the commit of the last offset
memory     resident memory of the worker 3 s after that commit, with all its traffic behind it
disk       blocks of all files in the state folder at that moment; nothing is compacted by hand
restore    from the first `begin_assignment` to the last partition ready, folder empty at the start
killed     SIGKILL right after that; from the start of the next process until its last partition
           is ready. The broker waits for the session timeout before it gives the partitions away
clean      the same after SIGTERM
cold       the same as clean, after the kernel has dropped the files of the folder from its cache
retirement see retirement.py

In between nobody compacts, and the kernel caches files as it does in production.
"""

import tempfile
import time
from pathlib import Path
from typing import Final

from models.settings import Settings
from tests.bench.cluster import BenchError, Cluster
from tests.bench.retirement import bench_retirement
from tests.bench.state_runs import EVENTS_AN_HOUR, HOUR_MS, Bench, Size, StateFigures, Store
from tests.bench.states import aged

STORES: Final[tuple[Store, ...]] = ("memory", "disk")


async def bench_state(cluster: Cluster, size: Size, broker_pid: int) -> StateFigures:
    """Everything, on N states and then on twice as many."""
    if size.events <= 2 * Settings().batch_size:
        raise BenchError("state: give more --events, two batches are too few to measure")
    samples = aged(_hours(size.hours), EVENTS_AN_HOUR)
    with tempfile.TemporaryDirectory(prefix="bench-state-") as folder:
        bench = Bench(cluster, size, Path(folder) / "states", broker_pid)
        bench.folder.mkdir()
        for settings in bench.settings.values():
            await cluster.create_all(settings)
        stored = await bench.fill("disk", samples, size.states)
        for _ in range(size.repeats):
            await bench.restore(stored)
        for number in range(size.repeats):
            await bench.turn(number, STORES if number % 2 else STORES[::-1])
        await bench.fill("disk", samples, size.states)
        await bench.catch_up()
        await bench.turn(size.repeats, ("disk",))
        for store in STORES:
            try:
                await bench_retirement(bench, store)
            except BenchError as error:  # what was measured before stays valid
                bench.found.failed.append(f"retirement, {store}: {error}")
        return bench.found


def _hours(count: int) -> list[int]:
    """The ends of the last hours, epoch ms."""
    now_ms = time.time_ns() // 1_000_000
    return [now_ms - back * HOUR_MS for back in range(count)]
