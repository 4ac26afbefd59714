"""What the dashboards share: data sources, queries, panels with a size, a unit and a meaning."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from itertools import count
from typing import Final, NamedTuple

from grafana_foundation_sdk.builders import bargauge, common, dashboard, prometheus, stat, table
from grafana_foundation_sdk.builders import timeseries as series
from grafana_foundation_sdk.cog.builder import Builder
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.cog.variants import Dataquery
from grafana_foundation_sdk.models.common import (
    BigValueColorMode,
    BigValueGraphMode,
    BigValueTextMode,
    DataSourceRef,
    GraphDrawStyle,
    LegendDisplayMode,
    LegendPlacement,
    SortOrder,
    StackingMode,
    TooltipDisplayMode,
    VisibilityMode,
)
from grafana_foundation_sdk.models.dashboard import (
    DashboardCursorSync,
    DashboardLinkType,
    DynamicConfigValue,
    FieldColorModeId,
    RowPanel,
    Threshold,
    ThresholdsMode,
)
from grafana_foundation_sdk.models.prometheus import PromQueryFormat

#: As `provisioning/datasources/datasources.yml` names them.
PROMETHEUS: Final = DataSourceRef(type_val="prometheus", uid="prometheus")
CLICKHOUSE: Final = DataSourceRef(type_val="grafana-clickhouse-datasource", uid="clickhouse")

GREEN, YELLOW, RED = "green", "#EAB839", "red"
#: The whole width of a dashboard.
WIDTH: Final = 24

Steps = Sequence[tuple[float, str]]
"""Colours from a value on."""
Overrides = Mapping[str, Mapping[str, object]]
"""Properties of fields by name, as Grafana names them."""


class Size(NamedTuple):
    """Of a panel, in units of the grid."""

    width: int
    height: int


class _SqlQuery(Dataquery):
    def __init__(self, fields: dict[str, object]) -> None:
        self._fields = fields

    def to_json(self) -> dict[str, object]:
        return self._fields


class SqlQuery(Builder[Dataquery]):
    """A query of the ClickHouse plugin, as its SQL editor writes it.

    over_time: whether it makes series by its column `time`; else a table.
    """

    def __init__(self, sql: str, *, over_time: bool = False) -> None:
        self._sql = sql
        self._over_time = over_time

    def build(self) -> Dataquery:
        """The query; `format` is the plugin's number of its type."""
        return _SqlQuery(
            {
                "datasource": CLICKHOUSE,
                "editorType": "sql",
                "format": 0 if self._over_time else 1,
                "queryType": "timeseries" if self._over_time else "table",
                "rawSql": self._sql,
                "refId": "A",
            }
        )


class Expression(NamedTuple):
    """A query of Prometheus. legend: name of its series, with {{label}}s."""

    expr: str
    legend: str = ""


def over_time(query: Expression, ref: str) -> Builder[Dataquery]:
    """An expression evaluated at every step of the period."""
    return _expression(query, ref).range()


def now(query: Expression, ref: str = "A") -> prometheus.Dataquery:
    """An expression evaluated at the end of the period."""
    return _expression(query, ref).instant()


def _expression(query: Expression, ref: str) -> prometheus.Dataquery:
    return (
        prometheus.Dataquery()
        .datasource(PROMETHEUS)
        .expr(query.expr)
        .legend_format(query.legend)
        .ref_id(ref)
    )


def thresholds(steps: Steps, below: str) -> dashboard.ThresholdsConfig:
    """Colours by value. below: colour of values below the first step."""
    made = [Threshold(None, below), *(Threshold(value, color) for value, color in steps)]
    return dashboard.ThresholdsConfig().mode(ThresholdsMode.ABSOLUTE).steps(made)


def lines(title: str, meaning: str, size: Size, unit: str, *, bars: bool = False) -> series.Panel:
    """A panel of series over time, without queries yet. bars: stacked ones, from 0 on."""
    panel = (
        series.Panel()
        .title(title)
        .description(meaning)
        .span(size.width)
        .height(size.height)
        .unit(unit)
        .legend(
            common.VizLegendOptions()
            .display_mode(LegendDisplayMode.LIST)
            .placement(LegendPlacement.BOTTOM)
            .show_legend(True)
        )
        .tooltip(
            common.VizTooltipOptions().mode(TooltipDisplayMode.MULTI).sort(SortOrder.DESCENDING)
        )
    )
    if bars:
        stacking = common.StackingConfig().mode(StackingMode.NORMAL).group("A")
        return panel.draw_style(GraphDrawStyle.BARS).fill_opacity(80).stacking(stacking).min(0)
    return panel.line_width(1).fill_opacity(10).show_points(VisibilityMode.AUTO)


def expressions(panel: series.Panel, *queries: Expression) -> series.Panel:
    """The panel with series of Prometheus."""
    panel.datasource(PROMETHEUS).min(0)
    for ref, query in zip("ABCDEF", queries, strict=False):
        panel.with_target(over_time(query, ref))
    return panel


def sql(panel: series.Panel, text: str, fields: Overrides) -> series.Panel:
    """The panel with series of ClickHouse. fields: its columns of numbers, or some of them."""
    panel.datasource(CLICKHOUSE).with_target(SqlQuery(text, over_time=True))
    for name, wanted in fields.items():
        panel.override_by_name(name, properties(wanted))
    return panel


def number(
    title: str,
    meaning: str,
    size: Size,
    query: Expression,
    steps: Steps,
    unit: str = "short",
    *,
    below: str = GREEN,
) -> stat.Panel:
    """One number of Prometheus as it is now, on its colour, with its course behind it.

    below: colour of values below the first step.
    """
    return (
        _stat(title, meaning, size)
        .datasource(PROMETHEUS)
        .with_target(over_time(query, "A"))
        .unit(unit)
        .thresholds(thresholds(steps, below))
        .color_mode(BigValueColorMode.BACKGROUND)
        .graph_mode(BigValueGraphMode.AREA)
        .reduce_options(common.ReduceDataOptions().calcs(["lastNotNull"]).values(False))
    )


def figures(title: str, meaning: str, size: Size, text: str, fields: Overrides) -> stat.Panel:
    """The columns of one row of ClickHouse, each a number with its name."""
    panel = (
        _stat(title, meaning, size)
        .datasource(CLICKHOUSE)
        .with_target(SqlQuery(text))
        .color_mode(BigValueColorMode.NONE)
        .graph_mode(BigValueGraphMode.NONE)
        .text_mode(BigValueTextMode.VALUE_AND_NAME)
        .reduce_options(
            common.ReduceDataOptions().calcs(["lastNotNull"]).fields("/.*/").values(False)
        )
    )
    for name, wanted in fields.items():
        panel.override_by_name(name, properties(wanted))
    return panel


def _stat(title: str, meaning: str, size: Size) -> stat.Panel:
    return stat.Panel().title(title).description(meaning).span(size.width).height(size.height)


def bars(title: str, meaning: str, size: Size, text: str, fields: Overrides) -> bargauge.Panel:
    """The columns of one row of ClickHouse as bars."""
    panel = (
        bargauge.Panel()
        .title(title)
        .description(meaning)
        .span(size.width)
        .height(size.height)
        .datasource(CLICKHOUSE)
        .with_target(SqlQuery(text))
    )
    for name, wanted in fields.items():
        panel.override_by_name(name, properties(wanted))
    return panel


def rows(title: str, meaning: str, size: Size, fields: Overrides) -> table.Panel:
    """A table, without a query yet."""
    panel = table.Panel().title(title).description(meaning).span(size.width).height(size.height)
    for name, wanted in fields.items():
        panel.override_by_name(name, properties(wanted))
    return panel


def sql_rows(title: str, meaning: str, size: Size, fields: Overrides, text: str) -> table.Panel:
    """A table of ClickHouse. fields: all its columns."""
    panel = rows(title, meaning, size, fields)
    return panel.datasource(CLICKHOUSE).with_target(SqlQuery(text))


def table_of(query: Expression) -> prometheus.Dataquery:
    """An expression whose labels are the columns of a table."""
    return now(query).format(PromQueryFormat.TABLE)


def properties(wanted: Mapping[str, object]) -> list[DynamicConfigValue]:
    """Properties as the overrides of a panel have them."""
    return [DynamicConfigValue(name, value) for name, value in wanted.items()]


def fixed(color: str) -> dict[str, str]:
    """The property `color`: always this one."""
    return {"mode": FieldColorModeId.FIXED, "fixedColor": color}


def link(title: str, url: str) -> dashboard.DashboardLink:
    """A link at the top of a dashboard, which opens in a new tab."""
    return (
        dashboard.DashboardLink(title)
        .type(DashboardLinkType.LINK)
        .icon("doc")
        .url(url)
        .target_blank(True)
    )


def new(uid: str, title: str, meaning: str) -> dashboard.Dashboard:
    """An empty dashboard. uid: its place in addresses; never change it."""
    return (
        dashboard.Dashboard(title)
        .uid(uid)
        .description(meaning)
        .tags(["receipts"])
        .timezone("browser")
        .tooltip(DashboardCursorSync.CROSSHAIR)
    )


def text_of(made: dashboard.Dashboard) -> str:
    """The JSON of a dashboard as Grafana reads it, panels numbered by their place."""
    built = made.build()
    numbers = count(1)
    for panel in built.panels or []:
        panel.id_val = next(numbers)
        for inner in panel.panels if isinstance(panel, RowPanel) else ():
            inner.id_val = next(numbers)
    return json.dumps(built, cls=JSONEncoder, indent=2, sort_keys=True, ensure_ascii=False) + "\n"
