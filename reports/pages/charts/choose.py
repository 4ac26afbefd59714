"""Chooses the charts of a section."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

import altair as alt

from reports.definition.report import Column, Section, ValueFormat
from reports.formatting import country_name, format_value
from reports.pages.charts.charts import Spec, chart, colours, counts, durations, shares, spec_of
from reports.pages.charts.heatmap import heatmap
from reports.pages.charts.palette import ACCENT, LINES, STATUS
from reports.pages.charts.time_axis import Slots, of_period, of_times
from reports.pages.charts.worldmap import world
from reports.query.database import RowDict
from reports.query.query import Period

#: Title and specification.
TitledSpec = tuple[str, Spec]

#: Statuses from the bottom of a bar to its top; the first line whose columns exist is used.
BREAKDOWNS: Final = (
    ("delivered", "queued", "undelivered", "rejected"),
    ("delivered", "pending", "failed"),
    ("delivered",),
)
#: Maximum width of charts that share a row of the page, in pixels.
_MAX_WIDTH: Final = {
    "report_campaign_timeline": 470,
    "report_campaign_heatmap": 470,
    "report_overview_whatsapp_slots": 560,
}
#: Sections without a chart.
_NO_CHART: Final = frozenset({
    "report_campaign_links", "report_campaign_platforms", "report_person_suppressions",
    "report_message_attempts", "report_message_timeline",
})  # fmt: skip
#: Bars of a ranking; its table has all rows.
MAX_BARS: Final = 12
#: Pixels of a bar.
_BAR_HEIGHT: Final = 26
#: Labels of bars: their largest share of the chart, the share of it they fill, pixels of a letter.
_LABEL_SHARE: Final = 0.4
_LABEL_FILL: Final = 0.8
_LETTER_WIDTH: Final = 7.5
_AXES: Final[dict[ValueFormat, Callable[[], alt.Axis]]] = {"share": shares, "seconds": durations}
_UNKNOWN: Final = "unknown"


def charts_of(
    section: Section,
    columns: Sequence[Column],
    records: Sequence[RowDict],
    period: Period,
    width: int,
) -> list[TitledSpec]:
    """The charts of a section, the most important first.

    columns: those shown. width: of the page, in pixels.
    """
    if not records or section.view in _NO_CHART:
        return []
    width = min(width, _MAX_WIDTH.get(section.view, width))
    names = [column.name for column in columns]
    if names[:2] == ["weekday", "hour"]:
        return [(section.title, heatmap(columns[2], records, width))]
    if names[0] == "slot" and section.shape == "series":
        return _over_time(section, columns, records, period, width)
    if names[0] == "country" and section.shape == "series":
        sent = {one["country"]: one["sent"] for one in records}
        return [("Messages sent by country", world(sent, "Sent", width))]
    return _ranked(columns, records, period, width)


def _over_time(
    section: Section,
    columns: Sequence[Column],
    records: Sequence[RowDict],
    period: Period,
    width: int,
) -> list[TitledSpec]:
    """Lines of durations and shares if the section has them, else bars of messages by status."""
    times = [one["slot"] for one in records]
    whole = "since" in section.parameters
    slots = of_period(period, times) if whole else of_times(times, period.zone)
    kinds: list[ValueFormat] = ["seconds", "share"]
    groups = [[column for column in columns if column.format == kind] for kind in kinds]
    if all(groups):
        return [(_listed(group), _lines(group, records, slots, width)) for group in groups]
    known = {column.name: column for column in columns}
    names = next(names for names in BREAKDOWNS if known.keys() >= set(names))
    spec = _stacked([known[name] for name in names], records, slots, width)
    return [("Messages over time", spec)]


def _listed(columns: Sequence[Column]) -> str:
    return ", ".join(column.label for column in columns)


def _stacked(parts: Sequence[Column], records: Sequence[RowDict], slots: Slots, width: int) -> Spec:
    values = [
        {**_point(part, one, slots), "order": place}
        for one in records
        for place, part in enumerate(parts)
        if one[part.name]
    ]
    bars = chart(values).mark_bar(cornerRadius=1)
    colour = colours([one.label for one in parts], [STATUS[one.name] for one in parts], width)
    return spec_of(
        bars.encode(
            x=slots.axis(width),
            y=alt.Y("n:Q", title=None, stack=True, axis=counts()),
            color=colour,
            order=alt.Order("order:Q"),
            description="description:N",
        ),
        width,
    )


def _lines(columns: Sequence[Column], records: Sequence[RowDict], slots: Slots, width: int) -> Spec:
    values = [
        _point(column, one, slots)
        for one in records
        for column in columns
        if one[column.name] is not None
    ]
    kind = columns[0].format
    scale = alt.Scale(type="symlog", constant=1) if kind == "seconds" else alt.Scale(zero=False)
    lines = chart(values).mark_line(point=alt.OverlayMarkDef(size=36), strokeWidth=2)
    return spec_of(
        lines.encode(
            x=slots.axis(width),
            y=alt.Y("n:Q", title=None, scale=scale, axis=_AXES.get(kind, counts)()),
            color=colours([one.label for one in columns], LINES[: len(columns)], width),
            description="description:N",
        ),
        width,
        220,
    )


def _point(column: Column, record: RowDict, slots: Slots) -> dict[str, Any]:
    start, value = record["slot"], record[column.name]
    text = format_value(column, value, slots.zone)
    return {
        "slot": slots.names[start],
        "label": column.label,
        "n": float(value),
        "description": f"{slots.format(start)}, {column.label}: {text}",
    }


def _ranked(
    columns: Sequence[Column], records: Sequence[RowDict], period: Period, width: int
) -> list[TitledSpec]:
    """Horizontal bars of the first count, the largest first."""
    names = [one for one in columns if one.format in ("text", "country", "time")]
    numbers = [one for one in columns if one.format == "count"]
    if not names or not numbers:
        return []
    count = numbers[0]
    values = [
        _bar(place, names, count, one, period) for place, one in enumerate(records[:MAX_BARS])
    ]
    bars = chart(values).mark_bar(color=STATUS.get(count.name, ACCENT), cornerRadius=1)
    labels = {str(value["place"]): value["label"] for value in values}
    spec = spec_of(
        bars.encode(
            x=alt.X("n:Q", title=count.label, axis=counts()),
            y=alt.Y("place:O", title=None, axis=_label_axis(labels, width)),
            description="description:N",
        ),
        width,
        52 + _BAR_HEIGHT * len(values),
    )
    return [(f"{count.label} by {names[0].label.lower()}", spec)]


def _label_axis(labels: Mapping[str, str], width: int) -> alt.Axis:
    """Room for the longest label in any font: the reader's font is unknown here."""
    limit = width * _LABEL_SHARE
    room = min(limit, max(len(label) for label in labels.values()) * _LETTER_WIDTH)
    expression = f"{_literal(labels)}[datum.value]"
    return alt.Axis(
        labelExpr=expression, labelLimit=limit * _LABEL_FILL, minExtent=room, ticks=False
    )


def _literal(labels: Mapping[str, str]) -> str:
    """An object literal of a Vega expression."""
    return "{" + ",".join(f"{key}:{_quoted(text)}" for key, text in labels.items()) + "}"


def _quoted(text: str) -> str:
    escaped = "".join(f"\\u{ord(one):04x}" if one in "\\'\"\n\r" else one for one in text)
    return f"'{escaped}'"


def _bar(
    place: int, names: Sequence[Column], count: Column, record: RowDict, period: Period
) -> dict[str, Any]:
    texts = [format_value(one, record[one.name], period.zone) for one in _label_columns(names)]
    label, number = " · ".join(filter(None, texts)) or _UNKNOWN, record[count.name]
    return {"place": place, "label": label, "n": number, "description": f"{label}: {number:,}"}


def _label_columns(names: Sequence[Column]) -> list[Column]:
    """The columns that distinguish bars. A label cut short loses the last one."""
    first, *others = names
    chosen = [one for one in others if one.dimension]
    return list(dict.fromkeys([first, *chosen, *others[:1]]))


def country_names(codes: Sequence[str]) -> str:
    """Names of countries, separated by commas."""
    return ", ".join(country_name(code) or _UNKNOWN for code in codes)
