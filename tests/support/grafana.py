"""Dashboards as Grafana reads them: their panels, and queries with variables and macros replaced.

Replaced as Grafana and its plugin for ClickHouse do it; what they do not know raises ValueError.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any, Final, NamedTuple

ROOT: Final = Path(__file__).parents[2]
GRAFANA: Final = ROOT / "deploy/monitoring/grafana"
DASHBOARDS: Final = GRAFANA / "dashboards"
_VARIABLE: Final = re.compile(r"\$\{(\w+)(?::(\w+))?\}")
_MACRO: Final = re.compile(r"\$__(\w+)(?:\(([^()]*)\))?")
_LEGEND: Final = re.compile(r"\{\{\s*(\w+)\s*\}\}")
#: A series has at most so many points.
POINTS: Final = 120
#: Prometheus needs this many samples in a window for a rate, as Grafana counts.
SAMPLES: Final = 4


class Target(NamedTuple):
    """One query. text: SQL or an expression. over_time: whether it makes series."""

    text: str
    over_time: bool
    legend: str = ""


class Panel(NamedTuple):
    """One panel. kind: as Grafana names it. json: all of it."""

    title: str
    kind: str
    datasource: str
    targets: list[Target]
    json: dict[str, Any]

    @property
    def fields(self) -> dict[str, dict[str, Any]]:
        """Properties of fields by their names."""
        return {
            one["matcher"]["options"]: {each["id"]: each["value"] for each in one["properties"]}
            for one in self.json["fieldConfig"]["overrides"]
        }

    @property
    def unit(self) -> str:
        """Unit of fields without one of their own."""
        unit: str = self.json["fieldConfig"]["defaults"].get("unit", "")
        return unit


class Range(NamedTuple):
    """The period of a dashboard."""

    since: datetime
    until: datetime

    @property
    def step(self) -> int:
        """Seconds between two points of a series."""
        return max(1, int((self.until - self.since).total_seconds()) // POINTS)


def board(name: str) -> dict[str, Any]:
    """The JSON of a dashboard."""
    read: dict[str, Any] = json.loads((DASHBOARDS / f"{name}.json").read_text(encoding="utf-8"))
    return read


def panels(name: str) -> list[Panel]:
    """Its panels with queries, in their order on the screen."""
    return [_panel(one) for one in board(name)["panels"] if one.get("targets")]


def _panel(one: dict[str, Any]) -> Panel:
    targets = [
        Target(
            target.get("rawSql") or target["expr"],
            target.get("queryType") == "timeseries" or bool(target.get("range")),
            target.get("legendFormat", ""),
        )
        for target in one["targets"]
    ]
    return Panel(one["title"], one["type"], one["datasource"]["type"], targets, one)


def variables(name: str) -> dict[str, dict[str, Any]]:
    """Variables of a dashboard by name."""
    return {one["name"]: one for one in board(name)["templating"]["list"]}


def with_variables(text: str, values: Mapping[str, str]) -> str:
    """A text with the values of the dashboard's variables."""

    def value(named: re.Match[str]) -> str:
        name, form = named.groups()
        if name not in values or form not in (None, "singlequote"):
            raise ValueError(named[0])
        quoted = values[name].replace("'", "\\'")
        return f"'{quoted}'" if form else values[name]

    return _VARIABLE.sub(value, text)


def sql_of(text: str, values: Mapping[str, str], period: Range) -> str:
    """SQL as the plugin sends it to ClickHouse."""
    since, until = (f"toDateTime({int(at.timestamp())})" for at in period)
    macros: dict[str, Callable[[str], str]] = {
        "fromTime": lambda _: since,
        "toTime": lambda _: until,
        "timeFilter": lambda column: f"{column} >= {since} AND {column} <= {until}",
        "interval_s": lambda _: str(period.step),
        "timeInterval": lambda column: (
            f"toStartOfInterval(toDateTime({column}), INTERVAL {period.step} second)"
        ),
    }

    def expanded(macro: re.Match[str]) -> str:
        if macro[1] not in macros:
            raise ValueError(macro[0])
        return macros[macro[1]](macro[2] or "")

    return _MACRO.sub(expanded, with_variables(text, values))


def expression_of(text: str, scrape_s: int, period: Range) -> str:
    """An expression as Grafana sends it to Prometheus, which is scraped every scrape_s."""
    window = max(period.step + scrape_s, SAMPLES * scrape_s)
    expanded = text.replace("$__rate_interval", f"{window}s")
    if "$" in expanded:
        raise ValueError(expanded)
    return expanded


def legend_of(target: Target, labels: Mapping[str, str]) -> str:
    """The name of a series of Prometheus."""
    if not target.legend:
        return ", ".join(value for name, value in labels.items() if name != "__name__")
    return _LEGEND.sub(lambda named: labels.get(named[1], ""), target.legend)
