"""Every expression of the dashboard *operations* has data in a real Prometheus that scrapes a real
worker and a real sink; what only failures report comes from a process in which all of them happen.
"""

from __future__ import annotations

import os
import re
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

import pytest
from prometheus_client import CollectorRegistry, start_http_server

from deploy.embedded.brokers import Broker
from deploy.processes.monitoring import PrometheusMeter
from models.metrics import TABLE
from tests.support.grafana import Panel, Range, Target, expression_of, legend_of, panels
from tests.support.scraper import SCRAPE_S, Scraper, Series
from tests.support.system import System, running

pytestmark = [pytest.mark.kafka, pytest.mark.slow]

EVENTS = 3_000
BUSY_S = 150.0
COUNTS = re.compile(r"\b(rate|increase)\(|:increase")
PANELS = panels("operations")
#: Panels that are empty while nothing is wrong. Without TLS there is no certificate, without
#: endpoints nobody calls.
MAY_BE_EMPTY = {
    "Firing now", "Certificate ends in", "Errors of Kafka", "Failed inserts",
    "Callbacks", "Callback answered, 99 %", "Callbacks waiting for Kafka", "Receipts of callbacks",
}  # fmt: skip
#: As a metric in expressions of other panels: one worker has no copies.
MAY_BE_MISSING = "receipts_standby_lag_records"
ALERTS = """
groups:
  - name: provoked
    rules:
      - alert: ReceiptsProvoked
        expr: vector(1)
        labels: {severity: page}
"""

every_panel = pytest.mark.parametrize("panel", PANELS, ids=[panel.title for panel in PANELS])


class Run(NamedTuple):
    """well: scrapes worker and sink. failing: a process that reports every metric, with alerts."""

    well: Scraper
    failing: Scraper
    since: datetime

    def series(self, panel: Panel, target: Target) -> list[Series]:
        """What the panel shows from the beginning up to now."""
        is_empty = panel.title in MAY_BE_EMPTY or MAY_BE_MISSING in target.text
        scraper = self.failing if is_empty else self.well
        period = Range(self.since, datetime.now(UTC))
        expression = expression_of(target.text, SCRAPE_S, period)
        return (
            scraper.over_time(expression, period) if target.over_time else scraper.now(expression)
        )

    def has_data(self, panel: Panel, target: Target) -> bool:
        """Whether there are numbers; of what counts, more than zero."""
        values = [value for one in self.series(panel, target) for _, value in one.points]
        return any(values) if COUNTS.search(target.text) else bool(values)

    def shows(self, panel: Panel) -> bool:
        """Whether all its expressions have data."""
        return all(self.has_data(panel, target) for target in panel.targets)


@pytest.fixture(scope="module")
def run(
    kafka_broker: Broker, prometheus_programs: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Run]:
    folder = tmp_path_factory.mktemp("operations")
    with (
        running(kafka_broker.bootstrap, f"operations{os.getpid()}.", folder) as system,
        everything_fails() as (meter, address),
    ):
        worker, sink = system.process("worker"), system.process("sink")
        jobs = {
            "receipts-worker": [f"127.0.0.1:{worker.port}"],
            "receipts-sink": [f"127.0.0.1:{sink.port}"],
        }
        since, program = datetime.now(UTC), prometheus_programs / "prometheus"
        with (
            Scraper(program, folder / "well", jobs) as well,
            Scraper(program, folder / "failing", {"receipts-worker": [address]}, ALERTS) as failing,
        ):
            found = Run(well, failing, since)
            worker.wait_ready()
            sink.wait_ready()
            keep_busy(system, meter, found)
            yield found


@contextmanager
def everything_fails() -> Iterator[tuple[PrometheusMeter, str]]:
    """The meter of a process that serves its metrics, and its address."""
    registry = CollectorRegistry()
    server, thread = start_http_server(0, "127.0.0.1", registry)
    yield PrometheusMeter(registry), f"127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


def keep_busy(system: System, meter: PrometheusMeter, run: Run) -> None:
    """Publish traffic, and fail in every way, until all panels have data or the time is up."""
    deadline = time.monotonic() + BUSY_S
    seed = 0
    while time.monotonic() < deadline and not all(map(run.shows, PANELS)):
        seed += 1
        system.publish(EVENTS, seed=seed, rate=EVENTS / 2, name=f"round-{seed}")
        report_everything(meter)


def report_everything(meter: PrometheusMeter) -> None:
    """Every metric of the table changes."""
    for metric in TABLE:
        labels = dict.fromkeys(metric.labels, "some")
        if metric.kind == "gauge":
            meter.set(metric.name, time.time(), **labels)
        elif metric.kind == "counter":
            meter.add(metric.name, **labels)
        else:
            meter.observe(metric.name, 1, **labels)


@every_panel
def test_every_expression_has_data(run: Run, panel: Panel) -> None:
    for target in panel.targets:
        assert run.has_data(panel, target), target.text


@every_panel
def test_every_label_in_a_legend_exists(run: Run, panel: Panel) -> None:
    for target in panel.targets:
        for series in run.series(panel, target):
            assert set(re.findall(r"\{\{(\w+)\}\}", target.legend)) <= set(series.labels)
            if len(run.series(panel, target)) > 1:
                assert legend_of(target, series.labels)


def test_columns_of_the_alerts_exist(run: Run) -> None:
    (panel,) = [one for one in PANELS if one.kind == "table"]
    for series in run.series(panel, panel.targets[0]):
        assert {"alertname", "severity"} <= set(series.labels) <= set(panel.fields)


def test_nothing_is_wrong_in_a_run_where_nothing_fails(run: Run) -> None:
    for title in ("Alerts firing", "Not ready"):
        (panel,) = [one for one in PANELS if one.title == title]
        (series,) = run.series(panel, panel.targets[0])
        assert series.points[-1][1] == 0, title


def test_an_expression_that_is_wrong_is_noticed(run: Run) -> None:
    with pytest.raises(ValueError, match="parse error"):
        run.well.now("sum(rate(receipts_events_total[1m])")
    assert run.well.now("receipts_nothing") == []
