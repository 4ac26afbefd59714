"""Rows a second of the real sink: message-states from Kafka into the embedded engine.

A topic full of distinct states waits; `receipts sink` starts on an empty, migrated folder. The
clock runs from the first insert acknowledged (seen by its metric, which leaves its rows out) to the
commit of the last offset; rows are those of the tables messages and orphans, counted by the sink's
metric and then by a query on the tables.
"""

import asyncio
import re
import sys
import tempfile
import time
from pathlib import Path
from typing import NamedTuple
from urllib.error import URLError
from urllib.request import urlopen

import msgspec

from models.settings import Settings
from tests.bench.child import ROOT, Child, running
from tests.bench.cluster import BenchError, Cluster, Ends
from tests.bench.job import settings_of
from tests.bench.states import store

TIMEOUT_S = 300.0
ASK_S = 0.1
TABLES = ("messages", "orphans")
_ROWS = re.compile(r'^receipts_sink_rows_total\{table="(\w+)"\} ([\d.e+]+)$', re.MULTILINE)


class SinkRun(msgspec.Struct):
    """One run. wrong: "" when the tables hold exactly what was written to Kafka."""

    rows: int
    seconds: float
    rows_per_s: float
    cpu_us_per_row: float
    wrong: str = ""


class Window(NamedTuple):
    """First and last moment of the measurement, epoch ms, and the rows acknowledged by then."""

    first_ms: float
    first_rows: int
    last_ms: float
    last_rows: int


async def bench_sink(
    cluster: Cluster, states: int, partitions: int, repeats: int, shape: str
) -> list[SinkRun]:
    """Write the states once, read them into a new folder as often as asked."""
    prefix = f"sink{partitions}."
    await cluster.create_all(settings_of(cluster, prefix, partitions))
    await store(cluster.brokers, prefix, partitions, states, shape)
    ends = await cluster.ends([prefix + "message-states", prefix + "status-counters"])
    found = []
    for turn in range(repeats):
        with tempfile.TemporaryDirectory(prefix="bench-chdb-") as folder:
            url = f"chdb://{Path(folder) / 'engine'}"
            settings = settings_of(cluster, prefix, partitions, clickhouse_url=url)
            run = await _run(cluster, settings, ends, states)
        print(
            f"sink {turn + 1}/{repeats} {run.rows_per_s:9,.0f} rows/s "
            f"{run.cpu_us_per_row:6.1f} CPU µs/row {run.wrong}",
            flush=True,
        )
        found.append(run)
    await cluster.delete(await cluster.names(prefix))
    return found


async def _run(cluster: Cluster, settings: Settings, ends: Ends, states: int) -> SinkRun:
    async with running("sink", ["-m", "deploy.cli", "sink"], settings.environ()) as child:
        window = await _watch(cluster, settings, ends, child)
        cpu = child.cpu_at(window.last_ms) - child.cpu_at(window.first_ms)
    rows = window.last_rows - window.first_rows
    seconds = (window.last_ms - window.first_ms) / 1000
    if rows <= 0 or seconds <= 0:
        raise BenchError(f"sink: all {window.last_rows} rows came at once: give more states")
    held = await count(settings.clickhouse_url)
    return SinkRun(
        rows=rows,
        seconds=round(seconds, 3),
        rows_per_s=round(rows / seconds, 1),
        cpu_us_per_row=round(cpu / rows * 1e6, 2),
        wrong="" if held == states else f"{held} rows in the tables, {states} expected",
    )


async def _watch(cluster: Cluster, settings: Settings, ends: Ends, child: Child) -> Window:
    deadline = time.monotonic() + TIMEOUT_S
    first_ms, first_rows = 0.0, 0
    while time.monotonic() < deadline:
        child.check()
        asked_ms = time.time() * 1000
        rows = await asyncio.to_thread(rows_written, settings.sink_port)
        if rows and not first_rows:
            first_ms, first_rows = asked_ms, rows
        if await cluster.is_done(settings.sink_group, ends):
            last_ms = time.time() * 1000
            child.sample()
            rows = await asyncio.to_thread(rows_written, settings.sink_port)
            return Window(first_ms, first_rows, last_ms, rows)
        await asyncio.sleep(ASK_S)
    raise BenchError(f"sink: not done within {TIMEOUT_S:.0f} s: {child.tail()}")


def page(port: int, path: str) -> str:
    """One of a process's pages; empty while it does not answer."""
    try:
        with urlopen(f"http://127.0.0.1:{port}/{path}", timeout=2) as answer:
            return str(answer.read().decode())
    except (URLError, OSError):
        return ""


def rows_written(port: int) -> int:
    """Rows of messages and orphans that a sink says ClickHouse acknowledged."""
    found = dict(_ROWS.findall(page(port, "metrics")))
    return sum(int(float(found.get(table, 0))) for table in TABLES)


_COUNT = """
import sys
from sinks.client import connect
client = connect(sys.argv[1])
print(sum(client.rows(f"SELECT count() FROM {table} FINAL")[0][0] for table in sys.argv[2:]))
"""


async def count(url: str) -> int:
    """Rows of messages and orphans in an embedded folder, asked from a process of its own."""
    asking = await asyncio.create_subprocess_exec(
        sys.executable, "-c", _COUNT, url, *TABLES, stdout=asyncio.subprocess.PIPE, cwd=ROOT
    )
    said, _ = await asyncio.wait_for(asking.communicate(), 120)
    if asking.returncode != 0:
        raise BenchError("sink: the tables could not be counted")
    return int(said)
