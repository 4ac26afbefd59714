"""Which charts suit which rows, and what they show."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

import altair as alt

from reports.definition.report import Column, Section, ValueFormat
from reports.formatting import country, shown
from reports.pages.charts.charts import Spec, chart, colours, counts, done, shares, spans
from reports.pages.charts.heatmap import heatmap
from reports.pages.charts.palette import ACCENT, LINES, STATUS
from reports.pages.charts.time_axis import Slots, of_period, of_times
from reports.pages.charts.worldmap import world
from reports.query.query import Period

Record = Mapping[str, Any]
#: A chart: what it shows in a few words, and its specification.
Drawn = tuple[str, Spec]

#: What a message can have come to, from the bottom of a bar upwards: by what is counted.
BREAKDOWNS: Final = (
    ("delivered", "queued", "undelivered", "rejected"),
    ("delivered", "pending", "failed"),
    ("delivered",),
)
#: Sections that stand beside others, in pixels, and those that need no chart.
_BESIDE: Final = {
    "report_campaign_timeline": 470,
    "report_campaign_heatmap": 470,
    "report_overview_whatsapp_slots": 560,
}
_PLAIN: Final = frozenset({"report_campaign_links", "report_campaign_platforms"})
#: Bars of a ranking; the table beside it has them all.
RANKED: Final = 12
_BAR: Final = 26
#: The part of a chart that names beside bars may take, and pixels of a letter.
_NAME: Final = 0.4
_FITS: Final = 0.8
_LETTER: Final = 7.5
_AXES: Final[dict[ValueFormat, Callable[[], alt.Axis]]] = {"share": shares, "seconds": spans}
_UNKNOWN: Final = "unknown"


def charts_of(
    section: Section,
    columns: Sequence[Column],
    records: Sequence[Record],
    period: Period,
    width: int,
) -> list[Drawn]:
    """The charts of a section, the first the most important.

    columns: those that are shown. width: of what they are shown on, in pixels.
    """
    if not records or section.view in _PLAIN:
        return []
    width = min(width, _BESIDE.get(section.view, width))
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
    records: Sequence[Record],
    period: Period,
    width: int,
) -> list[Drawn]:
    """Bars of what became of messages; lines of spans and shares where those are counted."""
    times = [one["slot"] for one in records]
    whole = "since" in section.parameters
    slots = of_period(period, times) if whole else of_times(times, period.zone)
    kinds: list[ValueFormat] = ["seconds", "share"]
    groups = [[column for column in columns if column.shown == kind] for kind in kinds]
    if all(groups):
        return [(_listed(group), _lines(group, records, slots, width)) for group in groups]
    known = {column.name: column for column in columns}
    names = next(names for names in BREAKDOWNS if known.keys() >= set(names))
    spec = _stacked([known[name] for name in names], records, slots, width)
    return [("Messages over time", spec)]


def _listed(columns: Sequence[Column]) -> str:
    return ", ".join(column.label for column in columns)


def _stacked(parts: Sequence[Column], records: Sequence[Record], slots: Slots, width: int) -> Spec:
    values = [
        {**_point(part, one, slots), "order": place}
        for one in records
        for place, part in enumerate(parts)
        if one[part.name]
    ]
    bars = chart(values).mark_bar(cornerRadius=1)
    colour = colours([one.label for one in parts], [STATUS[one.name] for one in parts], width)
    return done(
        bars.encode(
            x=slots.axis(width),
            y=alt.Y("n:Q", title=None, stack=True, axis=counts()),
            color=colour,
            order=alt.Order("order:Q"),
            description="said:N",
        ),
        width,
    )


def _lines(columns: Sequence[Column], records: Sequence[Record], slots: Slots, width: int) -> Spec:
    values = [
        _point(column, one, slots)
        for one in records
        for column in columns
        if one[column.name] is not None
    ]
    kind = columns[0].shown
    scale = alt.Scale(type="symlog", constant=1) if kind == "seconds" else alt.Scale(zero=False)
    lines = chart(values).mark_line(point=alt.OverlayMarkDef(size=36), strokeWidth=2)
    return done(
        lines.encode(
            x=slots.axis(width),
            y=alt.Y("n:Q", title=None, scale=scale, axis=_AXES.get(kind, counts)()),
            color=colours([one.label for one in columns], LINES[: len(columns)], width),
            description="said:N",
        ),
        width,
        220,
    )


def _point(column: Column, record: Record, slots: Slots) -> dict[str, Any]:
    start, value = record["slot"], record[column.name]
    raw_params = f"{slots.raw_params(start)}, {column.label}: {shown(column, value, slots.zone)}"
    return {"slot": slots.words[start], "what": column.label, "n": float(value), "said": raw_params}


def _ranked(
    columns: Sequence[Column], records: Sequence[Record], period: Period, width: int
) -> list[Drawn]:
    """Horizontal bars of the first count, the greatest first."""
    names = [one for one in columns if one.shown in ("text", "country", "time")]
    numbers = [one for one in columns if one.shown == "count"]
    if not names or not numbers:
        return []
    count = numbers[0]
    values = [_bar(place, names, count, one, period) for place, one in enumerate(records[:RANKED])]
    bars = chart(values).mark_bar(color=STATUS.get(count.name, ACCENT), cornerRadius=1)
    words = {str(value["place"]): value["what"] for value in values}
    label = f"{_literal(words)}[datum.value]"
    spec = done(
        bars.encode(
            x=alt.X("n:Q", title=count.label, axis=counts()),
            y=alt.Y("place:O", title=None, axis=_names(label, words, width)),
            description="said:N",
        ),
        width,
        52 + _BAR * len(values),
    )
    return [(f"{count.label} by {names[0].label.lower()}", spec)]


def _names(label: str, words: Mapping[str, str], width: int) -> alt.Axis:
    """Room for the longest name in any font: where it is drawn, nobody knows that of the reader."""
    most = width * _NAME
    room = min(most, max(len(word) for word in words.values()) * _LETTER)
    return alt.Axis(labelExpr=label, labelLimit=most * _FITS, minExtent=room, ticks=False)


def _literal(words: Mapping[str, str]) -> str:
    """A table for Vega's expressions, whose texts end at a quote."""
    return "{" + ",".join(f"{key}:{_quoted(text)}" for key, text in words.items()) + "}"


def _quoted(text: str) -> str:
    escaped = "".join(f"\\u{ord(one):04x}" if one in "\\'\"\n\r" else one for one in text)
    return f"'{escaped}'"


def _bar(
    place: int, names: Sequence[Column], count: Column, record: Record, period: Period
) -> dict[str, Any]:
    words = [shown(one, record[one.name], period.zone) for one in _telling(names)]
    what = " · ".join(filter(None, words)) or _UNKNOWN
    return {"place": place, "what": what, "n": record[count.name],
            "said": f"{what}: {record[count.name]:,}"}  # fmt: skip


def _telling(names: Sequence[Column]) -> list[Column]:
    """The columns that tell one bar from another; the last is what a short label may lose."""
    first, *others = names
    chosen = [one for one in others if one.dimension]
    return list(dict.fromkeys([first, *chosen, *others[:1]]))


def country_names(codes: Sequence[str]) -> str:
    """Countries in words, one after the other."""
    return ", ".join(country(code) or _UNKNOWN for code in codes)
