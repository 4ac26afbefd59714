"""Draw the dashboards of a real run: `python -m tests.pictures`, four minutes, needs real Kafka.

Two workers and a sink work off simulated traffic; one worker is killed and comes back, and
ClickHouse hangs for a while.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import tempfile
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from threading import Thread
from typing import Any, Final

from playwright.sync_api import sync_playwright

from deploy.embedded.brokers import KafkaBroker
from deploy.simulator.event import Published
from deploy.simulator.publish.publish import ReplayOptions, partition_of, replay
from deploy.simulator.publish.recording import to_line
from deploy.simulator.traffic.generate import generate
from reports.query.database import Database
from streams.kafka.security import kafka_access
from tests.pictures.drawing import Line, Shown, moment, page
from tests.support.grafana import (
    ROOT,
    Panel,
    Range,
    expression_of,
    legend_of,
    panels,
    sql_of,
    variables,
)
from tests.support.prometheus import fetch_prometheus
from tests.support.scraper import SCRAPE_S, Scraper
from tests.support.system import Process, System, running
from tests.support.waiting import until

IMAGES: Final = ROOT / "docs/images"
EVENTS: Final = 60_000
RATE: Final = 350.0
SEED: Final = 7
#: Seconds after the begin.
KILLED_S, BACK_S, HANGS_S, GOES_ON_S = 45, 70, 105, 130
DAYS: Final = 5
WIDTH, HEIGHT = 1888, 600


def main() -> None:
    """Both pictures into docs/images."""
    folder = Path(tempfile.mkdtemp(prefix="receipts-pictures-"))
    with KafkaBroker() as broker, running(broker.bootstrap, "pictures.", folder) as system:
        save("operations", page("Operations", operations(system, folder)))
        save("delivery", page("Delivery", delivery(system)))


def record(system: System, path: Path) -> Path:
    """Write simulated traffic that is published at RATE."""
    with path.open("w", encoding="utf-8") as lines:
        for number, event in enumerate(generate(SEED, EVENTS, time.time_ns() // 1_000_000)):
            topic = system.settings.topic_prefix + event.kind
            home = 0 if event.key is None else partition_of(event.key, system.settings.partitions)
            at_ms = 1 + int(1000 * number / RATE)  # a replay that begins at 0 keeps no pace
            partition = (home + event.shift) % system.settings.partitions
            published = Published(
                topic, partition, number, at_ms, event.key, event.value, event.kind, event.note,
                event.expect,
            )  # fmt: skip
            lines.write(to_line(published) + "\n")
    return path


def publish(system: System, recording: Path) -> None:
    """Publish it with the times of now: records of the simulator have those of their events, which
    are up to days ago."""
    asyncio.run(
        replay(ReplayOptions(kafka_access(system.settings), recording, speed=1.0, now=True))
    )


def operations(system: System, folder: Path) -> list[Shown]:
    """The panels at the end of the run."""
    recording = record(system, folder / "recording.jsonl")
    stable, killed = (system.process("worker", f"worker-{number}") for number in (1, 2))
    sink = system.process("sink")
    jobs = {
        "receipts-worker": [f"127.0.0.1:{one.port}" for one in (stable, killed)],
        "receipts-sink": [f"127.0.0.1:{sink.port}"],
    }
    program = fetch_prometheus() / "prometheus"
    with Scraper(program, folder / "prometheus", jobs) as scraper:
        for process in (stable, killed, sink):
            process.wait_ready()
        since = datetime.now(UTC)
        publisher = Thread(target=lambda: publish(system, recording))
        publisher.start()
        disturb(system, killed)
        publisher.join()
        period = Range(since, datetime.now(UTC))
        shown = [of_prometheus(scraper, panel, period) for panel in panels("operations")]
        done = "sum(receipts_lag_records) == 0"
        until(lambda: bool(scraper.now(done)), "everything is worked off", 120)
        return shown


def disturb(system: System, worker: Process) -> None:
    """Kill a worker, start it again, and let ClickHouse hang."""
    began = time.monotonic()

    def at(seconds: float) -> None:
        time.sleep(max(0.0, began + seconds - time.monotonic()))

    at(KILLED_S)
    worker.kill()
    at(BACK_S)
    system.process("worker", "worker-2", port=worker.port)
    at(HANGS_S)
    engine = system.clickhouse.process.pid
    os.kill(engine, signal.SIGSTOP)
    at(GOES_ON_S)
    os.kill(engine, signal.SIGCONT)


def of_prometheus(scraper: Scraper, panel: Panel, period: Range) -> Shown:
    """What a panel of Prometheus shows."""
    if panel.kind == "table":
        (target,) = panel.targets
        labels = [one.labels for one in scraper.now(expression_of(target.text, SCRAPE_S, period))]
        return Shown(panel, rows=[{name: one[name] for name in panel.fields} for one in labels])
    lines = [
        Line(legend_of(target, one.labels), one.points)
        for target in panel.targets
        for one in scraper.over_time(expression_of(target.text, SCRAPE_S, period), period)
    ]
    return Shown(panel, lines)


def delivery(system: System) -> list[Shown]:
    """The panels for the account with the most messages."""
    database = Database(system.settings.clickhouse_url)
    now = datetime.now(UTC)
    period = Range(now - timedelta(days=DAYS), now)
    biggest = (
        "SELECT account FROM counters_day GROUP BY account ORDER BY sum(messages) DESC LIMIT 1"
    )
    ((account,),) = database.rows(biggest, {}).rows
    values = {"account": account, "channel": "both"}
    zone = sql_of(variables("delivery")["zone"]["query"], values, period)
    ((values["zone"],),) = database.rows(zone, {}).rows
    shown = []
    for panel in panels("delivery"):
        (target,) = panel.targets
        rows = database.rows(sql_of(target.text, values, period), {}).records()
        shown.append(
            Shown(panel, of_clickhouse(panel, rows))
            if target.over_time
            else Shown(panel, rows=rows)
        )
    database.close()
    return shown


def of_clickhouse(panel: Panel, rows: list[dict[str, Any]]) -> list[Line]:
    """Series by the column time: one for each number, or for each word of a column of words."""
    words = next((name for name, value in rows[0].items() if isinstance(value, str)), "")
    numbers = [name for name in rows[0] if name not in ("time", words)]
    points: dict[str, list[tuple[float, float]]] = {}
    for row in rows:
        for name in numbers:
            if row[name] is not None:
                of = points.setdefault(row[words] if words else name, [])
                of.append((moment(row["time"]), float(row[name])))
    colors = {
        name: properties.get("color", {}).get("fixedColor", "")
        for name, properties in panel.fields.items()
    }
    names = {name: properties.get("displayName", name) for name, properties in panel.fields.items()}
    return [
        Line(names.get(name, name), held, colors.get(name, "")) for name, held in points.items()
    ]


def save(name: str, html: str) -> None:
    """A page as docs/images/dashboard-NAME.png."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=shutil.which("chromium"), args=["--no-sandbox"]
        )
        view = browser.new_page(viewport={"width": WIDTH, "height": HEIGHT})
        view.set_content(html)
        view.screenshot(path=IMAGES / f"dashboard-{name}.png", full_page=True)
        browser.close()


if __name__ == "__main__":
    main()
