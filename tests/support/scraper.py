"""A real Prometheus that scrapes processes of a test, and what it answers to expressions."""

from __future__ import annotations

import json
import math
import re
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final, NamedTuple

from deploy.embedded.brokers import free_port
from deploy.processes.child import Child
from tests.support.grafana import Range
from tests.support.rules import rule_files
from tests.support.waiting import until

SCRAPE_S: Final = 1
#: How often a group of rules is evaluated.
_INTERVAL: Final = re.compile(r"^ +interval: .*\n", re.MULTILINE)
_TIMEOUT_S: Final = 30.0


class Series(NamedTuple):
    """One series. points: (epoch seconds, value); without those that are no numbers."""

    labels: dict[str, str]
    points: list[tuple[float, float]]


class Scraper:
    """Prometheus, scraping and evaluating our rules every SCRAPE_S.

    program: that of Prometheus. jobs: addresses (host:port) by job. more: rules besides ours, as
    YAML
    """

    def __init__(
        self, program: Path, folder: Path, jobs: Mapping[str, Sequence[str]], more: str = ""
    ) -> None:
        self.port = free_port()
        folder.mkdir(parents=True, exist_ok=True)
        rules = rule_files()
        for file in rules:
            (folder / file.name).write_text(_INTERVAL.sub("", file.read_text()))
        (folder / "more.yml").write_text(more or "groups: []\n")
        config = folder / "prometheus.yml"
        config.write_text(_config(jobs, ["more.yml", *(file.name for file in rules)]))
        listen = f"--web.listen-address=127.0.0.1:{self.port}"
        storage = f"--storage.tsdb.path={folder / 'data'}"
        command = [str(program), f"--config.file={config}", storage, listen]
        self._child = Child("prometheus", command, {}, folder / "prometheus.log", folder)

    def __enter__(self) -> Scraper:
        """Wait until it answers: it refuses expressions while it reads its data."""
        try:
            until(self._is_ready, "Prometheus is ready", 60)
        except BaseException:
            self._child.stop()
            raise
        return self

    def _is_ready(self) -> bool:
        self._child.check()
        try:
            urllib.request.urlopen(f"http://127.0.0.1:{self.port}/-/ready", timeout=5).close()
        except OSError:  # also a status that is an error
            return False
        return True

    def __exit__(self, *_: object) -> None:
        """End it."""
        self._child.stop()

    def over_time(self, expression: str, period: Range) -> list[Series]:
        """Series with a point each step. Raises ValueError when Prometheus refuses it."""
        since, until_ = (f"{at.timestamp():.3f}" for at in period)
        parameters = {"query": expression, "start": since, "end": until_, "step": str(period.step)}
        return [_series(one, one["values"]) for one in self._ask("query_range", parameters)]

    def now(self, expression: str) -> list[Series]:
        """Series with one point. Raises ValueError as over_time does."""
        found = self._ask("query", {"query": expression})
        return [_series(one, [one["value"]]) for one in found]

    def _ask(self, how: str, parameters: dict[str, str]) -> list[dict[str, Any]]:
        data = urllib.parse.urlencode(parameters).encode()
        url = f"http://127.0.0.1:{self.port}/api/v1/{how}"
        try:
            with urllib.request.urlopen(url, data, timeout=_TIMEOUT_S) as answer:
                result: list[dict[str, Any]] = json.load(answer)["data"]["result"]
        except urllib.error.HTTPError as error:
            raise ValueError(f"{parameters['query']}: {error.read().decode()}") from error
        return result


def _series(one: dict[str, Any], values: list[tuple[float, str]]) -> Series:
    points = [(at, float(value)) for at, value in values]
    return Series(one["metric"], [(at, value) for at, value in points if math.isfinite(value)])


def _config(jobs: Mapping[str, Sequence[str]], rules: list[str]) -> str:
    """The configuration; JSON is YAML too."""
    scraped = [
        {"job_name": job, "static_configs": [{"targets": list(addresses)}]}
        for job, addresses in jobs.items()
    ]
    times = {"scrape_interval": f"{SCRAPE_S}s", "evaluation_interval": f"{SCRAPE_S}s"}
    return json.dumps({"global": times, "rule_files": rules, "scrape_configs": scraped})
