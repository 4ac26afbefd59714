"""Single runs of the benchmark of states on disk; what they measure is at the top of state.py."""

import asyncio
import os
import shutil
import time
from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Literal, NamedTuple, TypeVar

import msgspec

from models.settings import Settings
from models.time import DAY_MS
from tests.bench.child import Child, resident_bytes, running
from tests.bench.cluster import INPUTS, Cluster, Ends
from tests.bench.job import settings_of, until_committed
from tests.bench.restore import CALM_S, COMMAND, until_ready
from tests.bench.states import Sample, fill
from tests.bench.traffic import Truth, publish

Store = Literal["memory", "disk"]
Run = TypeVar("Run", bound=msgspec.Struct)

HOUR_MS = DAY_MS // 24
EVENTS_AN_HOUR = 3_000
"""Simulated for each hour of states; the states are repeated."""
PATIENCE_S, STATES_A_SECOND = 180.0, 10_000
"""A worker is given up that is not ready after so long, or reads fewer states."""


class Size(NamedTuple):
    """How much of everything. states: N; hours: of traffic that they are spread over"""

    states: int
    hours: int
    events: int
    repeats: int
    retire: int
    rate: int
    partitions: int
    shape: str


class StateRestore(msgspec.Struct):
    """A lost disk, read from the changelog."""

    states: int
    bytes_per_stored_state: float
    seconds: float
    states_per_s: float
    cpu_us_per_state: float
    resident_bytes: int
    peak_bytes: int
    disk_bytes: int


class StateJob(msgspec.Struct):
    """One run of the job. states: present before it. wrong: "" when its result holds"""

    store: Store
    states: int
    events: int
    events_per_s: float
    cpu_us_per_event: float
    resident_bytes: int
    peak_bytes: int
    disk_bytes: int
    wrong: str = ""


class Restart(msgspec.Struct):
    """One start on a folder that has states. Seconds from the start of the process."""

    after: Literal["clean", "killed", "cold"]
    states: int
    assigned_s: float
    ready_s: float


class Retirement(msgspec.Struct):
    """A day that retires while traffic flows; see retirement.py. Delays in seconds."""

    store: Store
    states: int
    retired: int
    seconds: float
    events_per_s: float
    probes: int
    p50_s: float
    p99_s: float
    max_s: float
    calm_p99_s: float
    wrong: str = ""


class StateFigures(msgspec.Struct):
    """All of them. session_timeout_s: of the workers"""

    size: dict[str, int | str]
    session_timeout_s: float
    restores: list[StateRestore] = []
    jobs: list[StateJob] = []
    restarts: list[Restart] = []
    retirements: list[Retirement] = []
    failed: list[str] = []


class Bench:
    """Two installations on one Kafka: one with states on disk, one in memory."""

    def __init__(self, cluster: Cluster, size: Size, folder: Path, broker_pid: int) -> None:
        self.cluster, self.size = cluster, size
        self._broker_pid = broker_pid
        self.settings: dict[Store, Settings] = {
            "disk": settings_of(cluster, "disk.", size.partitions, state_dir=str(folder)),
            "memory": settings_of(cluster, "memory.", size.partitions),
        }
        self.folder = folder
        self.present = 0
        """States in the changelog of the installation on disk."""
        self._numbers = 0
        self.found = StateFigures(size._asdict(), self.settings["disk"].session_timeout_s)

    async def fill(self, store: Store, samples: Sequence[Sample], count: int) -> float:
        """Write states to a changelog; bytes of a value, on average."""
        began, settings = time.monotonic(), self.settings[store]
        numbers = range(self._numbers, self._numbers + count)
        self._numbers += count
        topic = settings.topic("message-states")
        size = await fill(self.cluster.brokers, topic, settings.partitions, samples, numbers)
        if store == "disk":
            self.present += count
        took = time.monotonic() - began
        print(f"state: wrote {count:,} states of {size} B in {took:.0f} s", flush=True)
        return size

    async def restore(self, stored_bytes: float) -> None:
        """Start on an empty folder."""
        shutil.rmtree(self.folder)
        self.folder.mkdir()
        async with self.worker("disk") as child:
            times = await self._ready(child)
            began, ended = times["assigned"][0], times["ready"][-1]
            child.sample()
            cpu = child.cpu_at(ended * 1000) - child.cpu_at(began * 1000)
            await asyncio.sleep(CALM_S)
            run = StateRestore(
                states=self.present,
                bytes_per_stored_state=stored_bytes,
                seconds=round(ended - began, 3),
                states_per_s=round(self.present / (ended - began), 1),
                cpu_us_per_state=round(cpu / self.present * 1e6, 2),
                resident_bytes=resident_bytes(child.pid),
                peak_bytes=resident_bytes(child.pid, "VmHWM"),
                disk_bytes=bytes_of(self.folder),
            )
        self.note(self.found.restores, run)

    async def catch_up(self) -> None:
        """Start on a folder that lacks the newest states, and stop again."""
        began = time.time()
        async with self.worker("disk") as child:
            times = await self._ready(child)
            await asyncio.sleep(CALM_S)
        assigned, ready = times["assigned"][0] - began, times["ready"][-1] - began
        print(f"state: caught up in {ready:.1f} s, assigned after {assigned:.1f} s", flush=True)

    async def turn(self, number: int, stores: Sequence[Store]) -> None:
        """The job on each store; the one on disk is then killed, and started in all ways."""
        seed = 1000 + number
        for store in stores:
            settings = self.settings[store]
            truth = await publish(
                self.cluster.brokers,
                settings.topic_prefix,
                settings.partitions,
                self.size.events,
                self.size.shape,
                seed=seed,
            )
            before = await self.cluster.ends([settings.topic("message-states")])
            async with self.worker(store) as child:
                self.note(self.found.jobs, await self._job(store, child, truth, before, seed))
                if store == "disk":
                    self.present += truth.messages
                    child.kill()
            if store == "disk":
                for after in ("killed", "clean", "cold"):
                    await self._restart(after)

    async def _job(
        self, store: Store, child: Child, truth: Truth, before: Ends, seed: int
    ) -> StateJob:
        settings = self.settings[store]
        ends = await self.cluster.ends([settings.topic_prefix + kind for kind in INPUTS])
        end_ms = await until_committed(
            self.cluster, settings.app_id, ends, child, [], self._broker_pid
        )
        await asyncio.sleep(CALM_S)
        resident, peak = resident_bytes(child.pid), resident_bytes(child.pid, "VmHWM")
        on_disk = bytes_of(self.folder) if store == "disk" else 0
        # Retries of earlier turns may be due: only messages of this one are counted.
        own = f"/{seed:x}-".encode()
        states = await self.cluster.written([settings.topic("message-states")], before, own)
        counted = truth.events - settings.batch_size
        cpu = child.cpu_at(end_ms) - child.cpu_at(states.first_ms)
        wrong = states.keys != truth.messages
        return StateJob(
            store=store,
            states=self.present if store == "disk" else 0,
            events=truth.events,
            events_per_s=round(counted / (end_ms - states.first_ms) * 1000, 1),
            cpu_us_per_event=round(cpu / counted * 1e6, 2),
            resident_bytes=resident,
            peak_bytes=peak,
            disk_bytes=on_disk,
            wrong=f"{states.keys} messages in its states, not {truth.messages}" if wrong else "",
        )

    async def _restart(self, after: Literal["clean", "killed", "cold"]) -> None:
        if after == "cold":
            drop_from_cache(self.folder)
        began = time.time()
        async with self.worker("disk") as child:
            times = await self._ready(child)
            await asyncio.sleep(CALM_S)
        run = Restart(
            after,
            self.present,
            round(times["assigned"][0] - began, 2),
            round(times["ready"][-1] - began, 2),
        )
        self.note(self.found.restarts, run)

    def worker(self, store: Store) -> AbstractAsyncContextManager[Child]:
        """The real worker, until the block ends."""
        return running(store, COMMAND, self.settings[store].environ())

    async def _ready(self, child: Child) -> dict[str, list[float]]:
        timeout_s = PATIENCE_S + self.present / STATES_A_SECOND
        return await until_ready(child, self.size.partitions, timeout_s)

    def note(self, runs: list[Run], run: Run) -> None:
        """Keep a result and print it."""
        runs.append(run)
        print(f"state: {run}", flush=True)


def bytes_of(folder: Path) -> int:
    """Blocks on disk of all files below; files may be deleted meanwhile."""
    total = 0
    for path, _, names in os.walk(folder):
        for name in names:
            try:
                total += (Path(path) / name).stat().st_blocks * 512
            except FileNotFoundError:
                continue
    return total


def drop_from_cache(folder: Path) -> None:
    """Let the kernel forget the content of all files below, so that it is read from disk."""
    for path in folder.rglob("*"):
        if path.is_file():
            with path.open("rb") as file:
                os.fsync(file.fileno())
                os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
