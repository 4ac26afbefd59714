"""Panels of a dashboard on one page, each where and as large as Grafana shows it.

It draws what the queries of the panels return. Grafana has its own fonts, colours and marks.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from itertools import pairwise
from typing import Any, Final, NamedTuple

import altair as alt
from markupsafe import Markup

from reports.pages.charts.charts import chart, spec_of
from reports.pages.charts.palette import LINES
from reports.pages.charts.svg import draw
from tests.support.grafana import Panel

Row = dict[str, Any]

#: Pixels of a unit of the grid, as in Grafana on a screen of 1920 pixels.
COLUMN: Final = 78
ROW: Final = 38
_TITLE: Final = 34
_PADDING: Final = 20
_PALETTE: Final = (*LINES, "#8c5a3c", "#6b4fa0", "#5f6b7a", "#b8a100")
_NOTHING: Final = "–"
_COLORS: Final = {"green": "#299c46", "red": "#c4162a"}
_STYLE: Final = """
body { margin: 0; padding: 8px; background: #f4f5f5; color: #24292e; width: 1872px;
       font: 13px Inter, system-ui, sans-serif; }
h1 { font-size: 17px; margin: 6px 8px 10px; }
main { display: grid; grid-template-columns: repeat(24, 1fr); grid-auto-rows: 30px; gap: 8px; }
section { background: #fff; border: 1px solid #e1e3e5; border-radius: 2px; padding: 6px 10px;
          overflow: hidden; position: relative; }
h2 { font-size: 13px; font-weight: 600; margin: 0 0 4px; white-space: nowrap; }
.number { color: #fff; text-align: center; }
.number p { font-size: 26px; font-weight: 600; margin: 4px 0 0; }
.figures { display: flex; justify-content: space-around; text-align: center; }
.figures p { font-size: 28px; font-weight: 600; margin: 2px 0 0; }
table { width: 100%; border-collapse: collapse; }
th { text-align: left; color: #3871dc; font-weight: 600; }
th, td { padding: 3px 6px; border-bottom: 1px solid #eceef0; white-space: nowrap; }
td.value, th.value { text-align: right; font-variant-numeric: tabular-nums; }
.bar { display: grid; grid-template-columns: 150px 1fr 60px; gap: 8px; margin: 8px 0; }
.bar i { background: #3871dc; display: block; height: 20px; }
"""


class Line(NamedTuple):
    """One series of a panel. color: "" for one of the palette."""

    label: str
    points: list[tuple[float, float]]
    color: str = ""


class Shown(NamedTuple):
    """What the queries of a panel returned: series, or rows by column."""

    panel: Panel
    lines: Sequence[Line] = ()
    rows: Sequence[Row] = ()


def page(title: str, shown: Iterable[Shown]) -> str:
    """The dashboard as HTML."""
    cards = Markup("").join(_card(one) for one in shown)
    head = Markup("<!doctype html><meta charset=utf-8><style>{}</style>").format(Markup(_STYLE))
    return head + Markup("<h1>{}</h1><main>{}</main>").format(title, cards)


def _card(shown: Shown) -> Markup:
    at = shown.panel.json["gridPos"]
    place = (
        f"grid-column: {at['x'] + 1} / span {at['w']}; grid-row: {at['y'] + 1} / span {at['h']};"
    )
    kind, style, body = "", place, Markup("")
    match shown.panel.kind:
        case "stat" if shown.lines or not shown.rows:
            kind, body = "number", Markup("<p>{}</p>").format(_newest(shown))
            style += f" background: {_threshold(shown)};"
        case "stat":
            body = _figures(shown)
        case "table":
            body = _table(shown)
        case "bargauge":
            body = _bars(shown)
        case _:
            body = _series(shown)
    return Markup('<section class="{}" style="{}"><h2>{}</h2>{}</section>').format(
        kind, style, shown.panel.title, body
    )


def _series(shown: Shown) -> Markup:
    if not any(line.points for line in shown.lines):
        return Markup("<p>{}</p>").format(_no_value(shown.panel))
    at = shown.panel.json["gridPos"]
    width = at["w"] * COLUMN - 2 * _PADDING
    labels = [line.label for line in shown.lines]
    colors = [
        line.color or _PALETTE[place % len(_PALETTE)] for place, line in enumerate(shown.lines)
    ]
    values = [
        {"time": seconds * 1000, "value": value, "label": line.label}
        for line in shown.lines
        for seconds, value in _with_gaps(line.points)
    ]
    custom = shown.panel.json["fieldConfig"]["defaults"].get("custom", {})
    bars = custom.get("drawStyle") == "bars"
    base = chart(values)
    marked = base.mark_bar(size=_bar_width(shown)) if bars else base.mark_line(strokeWidth=1.5)
    logarithmic = "log" in str(custom.get("scaleDistribution"))
    from_zero = "min" in shown.panel.json["fieldConfig"]["defaults"]
    scale = alt.Scale(type="log") if logarithmic else alt.Scale(zero=from_zero)
    margin = alt.Scale(padding=_bar_width(shown) / 2 + 2 if bars else 0)
    color = alt.Color(
        "label:N",
        scale=alt.Scale(domain=labels, range=colors),
        legend=alt.Legend(
            orient="bottom",
            columns=max(1, width // (7 * max(map(len, labels)) + 40)),
            symbolSize=60,
        ),
    )
    encoded = marked.encode(
        x=alt.X("time:T", title=None, scale=margin, axis=_clock(shown)),
        y=alt.Y("value:Q", title=None, stack=bars, scale=scale, axis=_axis(shown.panel.unit)),
        color=color,
    )
    return draw(spec_of(encoded, width, at["h"] * ROW - _TITLE - _PADDING), shown.panel.title)


def _with_gaps(points: list[tuple[float, float]]) -> list[tuple[float, float | None]]:
    """The points, and none where some are missing: a line ends there."""
    steps = [after - before for (before, _), (after, _) in pairwise(points)]
    usual = sorted(steps)[len(steps) // 2] if steps else 0.0
    found: list[tuple[float, float | None]] = [*points]
    found += [
        (at + usual, None) for (at, _), step in zip(points, steps, strict=False) if step > 2 * usual
    ]
    return sorted(found, key=lambda point: point[0])


def _bar_width(shown: Shown) -> int:
    times = sorted({seconds for line in shown.lines for seconds, _ in line.points})
    steps = [after - before for before, after in pairwise(times)]
    slots = (times[-1] - times[0]) / min(steps) + 1 if steps else 1
    return max(1, int(shown.panel.json["gridPos"]["w"] * COLUMN * 0.7 / slots))


def _clock(shown: Shown) -> alt.Axis:
    times = [seconds for line in shown.lines for seconds, _ in line.points]
    if max(times) - min(times) < 900:
        return alt.Axis(grid=False, tickCount=4, format="%H:%M:%S")
    if max(times) - min(times) > 2 * 86_400:
        return alt.Axis(grid=False, tickCount="day", format="%d %b")
    return alt.Axis(grid=False, tickCount=6, format="%H:%M")


def _axis(unit: str) -> alt.Axis:
    scaled = "format(datum.value / {}, '.3~r') + ' {}'"
    shown = {
        "s": "datum.value == 0 ? '0 s' : datum.value < 1 ? "
        f"{scaled.format(0.001, 'ms')} : datum.value < 60 ? {scaled.format(1, 's')}"
        f" : datum.value < 3600 ? {scaled.format(60, 'min')} : {scaled.format(3600, 'h')}",
        "percentunit": "format(datum.value, '.2~p')",
        "ops": "format(datum.value, '~s') + '/s'",
    }.get(unit, "format(datum.value, '~s')")
    return alt.Axis(labelExpr=shown, domain=False, ticks=False, tickCount=4)


def _newest(shown: Shown) -> str:
    points = [line.points[-1][1] for line in shown.lines if line.points]
    return formatted(points[0], shown.panel.unit) if points else _no_value(shown.panel)


def _no_value(panel: Panel) -> str:
    return str(panel.json["fieldConfig"]["defaults"].get("noValue", _NOTHING))


def _threshold(shown: Shown) -> str:
    steps = shown.panel.json["fieldConfig"]["defaults"]["thresholds"]["steps"]
    points = [line.points[-1][1] for line in shown.lines if line.points]
    if not points:
        return "#8e8e8e"
    color = [one["color"] for one in steps if one["value"] is None or points[0] >= one["value"]][-1]
    return _COLORS.get(color, "#c9961a")


def _figures(shown: Shown) -> Markup:
    (row,) = shown.rows
    return Markup('<div class="figures">{}</div>').format(
        Markup("").join(
            Markup("<div>{}<p>{}</p></div>").format(
                _name(shown.panel, one), _cell(shown, one, value)
            )
            for one, value in row.items()
        )
    )


def _table(shown: Shown) -> Markup:
    if not shown.rows:
        return Markup("<p>{}</p>").format(_no_value(shown.panel))
    columns = list(shown.rows[0])
    number = {one for one in columns if not isinstance(shown.rows[0][one], str)}

    def line(tag: str, cells: Iterable[str]) -> Markup:
        made = (
            Markup('<{0} class="{1}">{2}</{0}>').format(tag, "value" * (one in number), cell)
            for one, cell in zip(columns, cells, strict=True)
        )
        return Markup("<tr>{}</tr>").format(Markup("").join(made))

    head = line("th", (_name(shown.panel, one) for one in columns))
    body = Markup("").join(
        line("td", (_cell(shown, one, row[one]) for one in columns)) for row in shown.rows
    )
    return Markup("<table>{}{}</table>").format(head, body)


def _bars(shown: Shown) -> Markup:
    (row,) = shown.rows
    most = max(row.values()) or 1
    return Markup("").join(
        Markup('<div class="bar">{}<i style="width: {}%"></i>{}</div>').format(
            _name(shown.panel, one), 100 * value / most, _cell(shown, one, value)
        )
        for one, value in row.items()
    )


def _name(panel: Panel, column: str) -> str:
    name: str = panel.fields.get(column, {}).get("displayName", column)
    return name


def _cell(shown: Shown, column: str, value: object) -> str:
    properties = shown.panel.fields.get(column, {})
    if value in ("", None):
        return "unknown" if "mappings" in properties else ""
    if isinstance(value, str):
        return value
    return formatted(float(str(value)), properties.get("unit", shown.panel.unit))


def formatted(value: float, unit: str) -> str:
    """A number as Grafana writes it in about this unit."""
    if unit == "percentunit":
        return f"{value:.1%}"
    if unit == "s":
        for seconds, word in ((86_400, "d"), (3600, "h"), (60, "min")):
            if value >= seconds:
                return f"{value / seconds:.1f} {word}"
        return f"{value:.2g} s" if value < 10 else f"{value:.0f} s"
    return f"{value:,.0f}" if value == int(value) or value > 100 else f"{value:,.2g}"


def moment(value: datetime) -> float:
    """Epoch seconds of a time of ClickHouse, which is UTC."""
    return value.replace(tzinfo=value.tzinfo or UTC).timestamp()
