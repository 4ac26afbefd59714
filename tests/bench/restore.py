"""Restore and memory: a real worker that starts on a table of many states.

time    from the first `begin_assignment` to the end of the last partition's fold (states, then
        cells and timers), inside the worker (see restoring.py); states/s is all states by that time
memory  resident memory of that worker, once it is ready, less that of a worker of the same kind
        without any state, by state; and the most it had while restoring
"""

import asyncio
import time

import msgspec

from models.settings import Settings
from tests.bench.child import Child, resident_bytes, running
from tests.bench.cluster import BenchError, Cluster
from tests.bench.job import settings_of
from tests.bench.states import Stored, store

TIMEOUT_S = 180.0
CALM_S = 3.0
COMMAND = ["-m", "tests.bench.restoring"]


class Restore(msgspec.Struct):
    """One restore. Bytes are of resident memory."""

    partitions: int
    states: int
    cells: int
    bytes_per_stored_state: float
    seconds: float
    fold_seconds: float
    states_per_s: float
    cpu_us_per_state: float
    resident_bytes: int
    peak_bytes: int
    empty_bytes: int
    bytes_per_state: float
    peak_bytes_per_state: float


async def bench_restore(
    cluster: Cluster, states: int, partitions: int, repeats: int, shape: str
) -> list[Restore]:
    """Write the table once, restore it as often as asked."""
    full, empty = (settings_of(cluster, f"{name}{partitions}.", partitions) for name in _NAMES)
    await cluster.create_all(full)
    await cluster.create_all(empty)
    began = time.monotonic()
    stored = await store(cluster.brokers, full.topic_prefix, partitions, states, shape)
    print(f"restore: wrote {stored} in {time.monotonic() - began:.0f} s", flush=True)
    found = []
    for turn in range(repeats):
        run = await _restore(cluster, stored, full.topic_prefix, empty.topic_prefix, partitions)
        print(
            f"restore {turn + 1}/{repeats} {run.states_per_s:9,.0f} states/s {run.seconds:6.2f} s "
            f"{run.bytes_per_state:6.1f} B/state (peak {run.peak_bytes_per_state:.1f})",
            flush=True,
        )
        found.append(run)
    for name in _NAMES:
        await cluster.delete(await cluster.names(f"{name}{partitions}."))
    return found


_NAMES = ("full", "empty")


async def _restore(
    cluster: Cluster, stored: Stored, full: str, empty: str, partitions: int
) -> Restore:
    async with running("empty", COMMAND, _environ(cluster, empty, partitions)) as child:
        await until_ready(child, partitions)
        await asyncio.sleep(CALM_S)
        empty_bytes = resident_bytes(child.pid)
    async with running("restore", COMMAND, _environ(cluster, full, partitions)) as child:
        times = await until_ready(child, partitions)
        began, ended = times["assigned"][0], times["ready"][-1]
        child.sample()
        cpu = child.cpu_at(ended * 1000) - child.cpu_at(began * 1000)
        await asyncio.sleep(CALM_S)
        now, peak = resident_bytes(child.pid), resident_bytes(child.pid, "VmHWM")
        folds = zip(times["folding"][-partitions:], times["ready"][-partitions:], strict=True)
        return Restore(
            partitions=partitions,
            states=stored.states,
            cells=stored.cells,
            bytes_per_stored_state=stored.bytes_per_state,
            seconds=round(ended - began, 3),
            fold_seconds=round(sum(end - begin for begin, end in folds), 3),
            states_per_s=round(stored.states / (ended - began), 1),
            cpu_us_per_state=round(cpu / stored.states * 1e6, 2),
            resident_bytes=now,
            peak_bytes=peak,
            empty_bytes=empty_bytes,
            bytes_per_state=round((now - empty_bytes) / stored.states, 1),
            peak_bytes_per_state=round((peak - empty_bytes) / stored.states, 1),
        )


def _environ(cluster: Cluster, prefix: str, partitions: int) -> dict[str, str]:
    settings: Settings = settings_of(cluster, prefix, partitions)
    return settings.environ()


async def until_ready(
    child: Child, partitions: int, timeout_s: float = TIMEOUT_S
) -> dict[str, list[float]]:
    """Times of what the worker printed, once all its partitions are ready. Epoch seconds."""
    deadline = time.monotonic() + timeout_s
    while time.monotonic() < deadline:
        child.check()
        times: dict[str, list[float]] = {}
        for line in child.log().splitlines():
            words = line.split()
            if len(words) >= 3 and words[0] == "bench":
                times.setdefault(words[1], []).append(float(words[2]))
        if len(times.get("ready", ())) >= partitions:
            return times
        await asyncio.sleep(0.05)
    raise BenchError(f"{child.name} was not ready within {timeout_s:.0f} s: {child.tail()}")
