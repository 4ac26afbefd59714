"""What `receipts state check` takes for many states.

`python -m tests.bench.state_check --states 3000000` writes so many states of ten days, with their
timers, days and cells, into a folder as a worker leaves it, and runs the command on it in a process
of its own. peak_bytes: of resident memory. docs/status.md has a run.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
from collections.abc import Iterable
from contextlib import suppress
from itertools import islice
from pathlib import Path
from subprocess import DEVNULL, Popen

import msgspec

from models.accounts import Accounts
from models.counters import encode_cell
from models.settings import Settings
from models.time import DAY_MS
from streams.batching import StateFolder, StateStore
from streams.batching.stores.folder import DiskStores
from streams.followers.suppression_index import SuppressionIndex
from streams.lifecycle.shard import Rules, Shard
from streams.rules import fingerprint
from tests.bench.child import ROOT, SAMPLE_S, resident_bytes
from tests.bench.cluster import BenchError
from tests.bench.states import EPOCH, aged, under_uuids

TABLES = {
    "messages": "message-states",
    "counters": "status-counters",
    "suppressions": "suppressions",
}
AT_ONCE = 20_000
HOURS, EVENTS_AN_HOUR = 48, 3_000
CACHE_BYTES = 64 << 20


class Run(msgspec.Struct):
    """One run of the command; exit_code: 0 when all is exact."""

    states: int
    cells: int
    disk_bytes: int
    seconds: float
    states_per_s: int
    cpu_us_per_state: float
    peak_bytes: int
    exit_code: int


def write(folder: Path, states: int) -> int:
    """Write the states of one partition, and what follows from them; the number of cells."""
    stores = DiskStores(StateFolder(folder, CACHE_BYTES, fingerprint()), Settings().app_id, TABLES)
    messages = stores.open("messages", 0)
    shard = Shard(0, messages, Rules(1), Accounts(), SuppressionIndex())
    end_ms = time.time_ns() // 1_000_000 - DAY_MS // 24
    hours = range(end_ms - 9 * DAY_MS, end_ms, 9 * DAY_MS // HOURS)
    rows = under_uuids(aged(hours, EVENTS_AN_HOUR), range(states))
    while chunk := list(islice(rows, AT_ONCE)):
        _write_chunk(stores, shard, chunk)
    cells = stores.open("counters", 0)
    for cell in shard.cells.by_key.values():
        cells[cell.key] = encode_cell(EPOCH, cell.counts)
    _write(stores, cells)
    found = len(shard.cells.by_key)
    stores.close_all()
    return found


def _write_chunk(stores: DiskStores, shard: Shard, rows: Iterable[tuple[bytes, bytes]]) -> None:
    for key, value in rows:
        shard.stored[key] = value
    for _ in shard.fold():
        pass
    shard.save()
    _write(stores, shard.stored)


def _write(stores: DiskStores, store: StateStore) -> None:
    store.freeze()
    store.write(store.offset + 1)
    stores.written({0: store.written()})


def check(folder: Path) -> tuple[int, float, float, int]:
    """Run the command: exit code, seconds, CPU seconds, most bytes of resident memory."""
    began, peak = time.monotonic(), 0
    command = [sys.executable, "-m", "deploy.cli", "state", "check", "--offline", "--dir"]
    process = Popen([*command, str(folder)], cwd=ROOT, stdin=DEVNULL)
    while not (ended := os.wait4(process.pid, os.WNOHANG))[0]:
        with suppress(BenchError):  # it has just ended
            # Not ru_maxrss: that begins with what this process has.
            peak = resident_bytes(process.pid, "VmHWM")
        time.sleep(SAMPLE_S)
    _, status, used = ended
    seconds, cpu_s = time.monotonic() - began, used.ru_utime + used.ru_stime
    return os.waitstatus_to_exitcode(status), seconds, cpu_s, peak


def main(states: int) -> Run:
    """Write states into a temporary folder, and check them."""
    with tempfile.TemporaryDirectory(prefix="bench-check-") as name:
        folder = Path(name)
        cells = write(folder, states)
        size = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
        code, seconds, cpu_s, peak = check(folder)
    if code:
        raise BenchError(f"state check: exit code {code}")
    per_s, cpu_us = round(states / seconds), round(cpu_s / states * 1e6, 2)
    return Run(states, cells, size, round(seconds, 1), per_s, cpu_us, peak, code)


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--states", type=int, default=3_000_000)
    print(main(parser.parse_args().states))
