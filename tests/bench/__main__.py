"""`python -m tests.bench`: measure on a real Apache Kafka, write the figures down.

Exit codes: 0 measured, every result right (targets may be missed: they are listed); 1 a part
failed or a result was wrong; 2 wrong usage or no Kafka.
"""

import asyncio
import json
import logging
import os
import platform
import signal
import sys
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any, NamedTuple

import click
import msgspec

from deploy.embedded.brokers import KAFKA_VERSION, KafkaBroker, missing_for_kafka
from deploy.simulator.traffic.load_profiles import SHAPES
from tests.bench import report
from tests.bench.cluster import BenchError, Cluster, connected
from tests.bench.job import Plan, Run, bench_job
from tests.bench.latency import bench_latency
from tests.bench.restore import bench_restore
from tests.bench.sink import bench_sink
from tests.bench.state import bench_state
from tests.bench.state_runs import Size

PARTS = ("job", "restore", "memory", "sink", "latency", "state")
STOCK_SHARE, NAIVE_SHARE = 10, 50
LIBRARIES = (
    "faust-streaming", "aiokafka", "uvloop", "pydantic", "msgspec", "chdb", "rocksdict",
)  # fmt: skip


class Sizes(NamedTuple):
    """How much of everything."""

    events: int
    repeats: int
    states: int
    rows: int
    rate: int
    seconds: float
    partitions: tuple[int, ...]
    shape: str
    present: int
    hours: int
    retire: int


FULL = Sizes(
    1_000_000, 3, 1_000_000, 500_000, 5_000, 60.0, (1, 4), "hour", 20_000_000, 192, 2_000_000
)
QUICK = Sizes(100_000, 1, 200_000, 100_000, 5_000, 15.0, (4,), "hour", 200_000, 24, 50_000)


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.argument("part", type=click.Choice(("all", *PARTS)), default="all")
@click.option("--quick", is_flag=True, help="Small sizes: minutes instead of an hour.")
@click.option("--events", type=int, help="Events of the job (stock Faust gets 1/10, naive 1/50).")
@click.option("--repeats", type=int, help="Runs of each candidate.")
@click.option("--states", type=int, help="States to restore.")
@click.option("--present", type=int, help="States on disk; the last turn has twice as many.")
@click.option("--hours", type=int, help="Hours of traffic that they are spread over.")
@click.option("--retire", type=int, help="States on disk of the day that retires.")
@click.option("--rows", type=int, help="Rows of the sink.")
@click.option("--rate", type=int, help="Events a second of latency.")
@click.option("--seconds", type=float, help="Measured seconds of latency.")
@click.option("--partitions", type=int, multiple=True, help="Of every topic; may be given twice.")
@click.option("--shape", type=click.Choice(tuple(SHAPES)), help="Shape of the traffic.")
@click.option("--only", multiple=True, type=click.Choice(("ours", "loop", "stock", "naive")),
              help="Only these candidates of the job.")  # fmt: skip
@click.option("--json", "json_path", type=click.Path(dir_okay=False, path_type=Path),
              default=Path("build/bench.json"), show_default=True, help="Figures.")  # fmt: skip
@click.option("--page/--no-page", default=None, help="Write docs/benchmarks.md from the figures "
              "(default: when all is measured in full size).")  # fmt: skip
@click.option("--from", "sources", multiple=True, help="Measure nothing: write the page from this "
              "file; several files are joined, part by part.",
              type=click.Path(exists=True, dir_okay=False, path_type=Path))  # fmt: skip
def main(
    part: str, quick: bool, only: tuple[str, ...], json_path: Path, page: bool | None,
    sources: tuple[Path, ...], **given: Any,
) -> None:  # fmt: skip
    """Measure PART (default: all) on a real Apache Kafka that is started for it."""
    if sources:
        found = report.joined([json.loads(source.read_text("utf-8")) for source in sources])
        report.PAGE.write_text(report.page(found), encoding="utf-8")
        return
    if lack := missing_for_kafka():
        raise click.UsageError(lack)
    logging.getLogger("aiokafka").setLevel(logging.ERROR)  # young topics make it retry, and warn
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that children are ended
    sizes = (QUICK if quick else FULL)._replace(**{k: v for k, v in given.items() if v})
    found = measure(_parts(part), sizes, only)
    json_path.parent.mkdir(parents=True, exist_ok=True)
    json_path.write_text(json.dumps(found, indent=1, ensure_ascii=False), encoding="utf-8")
    click.echo(f"figures: {json_path}")
    if page or (page is None and part == "all" and not quick):
        report.PAGE.write_text(report.page(found), encoding="utf-8")
        click.echo(f"page: {report.PAGE}")
    sys.exit(_verdict(found))


def _verdict(found: dict[str, Any]) -> int:
    for line in report.missed(found):
        click.echo(f"target missed: {line}")
    wrong = report.wrong(found)
    for line in wrong:
        click.echo(f"WRONG: {line}", err=True)
    return 1 if wrong else 0


def _parts(part: str) -> list[str]:
    """Memory is measured by the restore: one part for both."""
    wanted = PARTS if part == "all" else (part,)
    return list(dict.fromkeys("restore" if name == "memory" else name for name in wanted))


def measure(parts: Sequence[str], sizes: Sizes, only: Sequence[str]) -> dict[str, Any]:
    """Run the parts one after another; a part that fails does not end the others."""
    began = time.monotonic()
    found: dict[str, Any] = {
        "command": "python -m tests.bench " + " ".join(sys.argv[1:]),
        "when": datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
        "machine": _machine(),
        "sizes": sizes._asdict(),
        "failed": [],
    }
    for part in parts:
        with KafkaBroker() as broker:  # a new one each: no part pays for another's topics
            try:
                found[part] = asyncio.run(_on(broker, part, sizes, only, found["failed"]))
            except BenchError as error:
                found["failed"].append(f"{part}: {error}")
    found["minutes"] = round((time.monotonic() - began) / 60, 1)
    return found


async def _on(
    broker: KafkaBroker, part: str, sizes: Sizes, only: Sequence[str], failed: list[str]
) -> Any:
    async with connected(broker.bootstrap) as cluster:
        if part == "job":
            return msgspec.to_builtins(await _job(cluster, broker.pid, sizes, only, failed))
        if part == "state":
            return msgspec.to_builtins(await bench_state(cluster, _state_size(sizes), broker.pid))
        return msgspec.to_builtins(await _other(cluster, part, sizes))


def _state_size(sizes: Sizes) -> Size:
    return Size(
        states=sizes.present,
        hours=sizes.hours,
        events=sizes.events,
        repeats=sizes.repeats,
        retire=sizes.retire,
        rate=sizes.rate,
        partitions=max(sizes.partitions),
        shape=sizes.shape,
    )


async def _job(
    cluster: Cluster, broker_pid: int, sizes: Sizes, only: Sequence[str], failed: list[str]
) -> list[Run]:
    fewer = {"stock": sizes.events // STOCK_SHARE, "naive": sizes.events // NAIVE_SHARE}
    wanted = only or ("ours", "loop", "stock", "naive")
    events = {name: fewer.get(name, sizes.events) for name in wanted}
    runs: list[Run] = []
    for partitions in sizes.partitions:
        plan = Plan(partitions, sizes.repeats, sizes.shape, events, broker_pid, failed)
        runs += await bench_job(cluster, plan)
    return runs


async def _other(cluster: Cluster, part: str, sizes: Sizes) -> Sequence[msgspec.Struct]:
    partitions, shape = max(sizes.partitions), sizes.shape
    if part == "restore":
        return await bench_restore(cluster, sizes.states, partitions, sizes.repeats, shape)
    if part == "sink":
        return await bench_sink(cluster, sizes.rows, partitions, sizes.repeats, shape)
    return await bench_latency(cluster, sizes.rate, sizes.seconds, partitions, shape)


def _machine() -> dict[str, str]:
    return {
        "cores": str(os.cpu_count()),
        "processor": _processor(),
        "memory": f"{os.sysconf('SC_PHYS_PAGES') * os.sysconf('SC_PAGE_SIZE') / 2**30:.0f} GiB",
        "load before": f"{os.getloadavg()[0]:.1f}",
        "Python": platform.python_version(),
        "Apache Kafka": KAFKA_VERSION,
        **{name: version(name) for name in LIBRARIES},
    }


def _processor() -> str:
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()


if __name__ == "__main__":
    main()
