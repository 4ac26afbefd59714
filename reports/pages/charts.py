"""What charts show: Vega-Lite specifications made from the rows of a section."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Final
from zoneinfo import ZoneInfo

import altair as alt

from reports.asked import Period
from reports.pages.palette import ACCENT, LINES, STATUS
from reports.report import Column, Section

Spec = dict[str, Any]
Record = Mapping[str, Any]

WIDTH: Final = 940
HEIGHT: Final = 260
#: What a message can have come to, from the bottom of a bar upwards.
BREAKDOWN: Final = ("delivered", "queued", "undelivered", "rejected")
#: Bars of a ranking; the table beside it has them all.
RANKED: Final = 12
_TICKS: Final = 14


def chart_of(section: Section, records: Sequence[Record], period: Period) -> Spec | None:
    """The chart that suits a series; None when there is nothing to draw."""
    if not records:
        return None
    if section.columns[0].shown == "time":
        return over_time(section, records, period)
    return ranked(section, records)


def over_time(section: Section, records: Sequence[Record], period: Period) -> Spec:
    """Stacked bars of what became of messages; lines when the section does not count that."""
    parts = [column for name in BREAKDOWN for column in section.columns if column.name == name]
    slot = section.columns[0].name
    if parts:
        return _stacked(parts, records, slot, period)
    return _lines([c for c in section.columns[1:] if c.shown != "text"], records, slot, period)


def _stacked(parts: list[Column], records: Sequence[Record], slot: str, period: Period) -> Spec:
    slots = slots_of(period)
    places = [part.name for part in parts]
    values = [
        {"slot": slots.get(one[slot], ""), "what": part.label, "order": place, "n": one[part.name]}
        for one in records
        for place, part in enumerate(parts)
    ]
    labels, colours = [p.label for p in parts], [STATUS[name] for name in places]
    bars = _chart(values).mark_bar(cornerRadius=1)
    return _done(
        bars.encode(
            x=_slots(slots, period),
            y=alt.Y("n:Q", title=None, stack=True, axis=_counts()),
            color=alt.Color("what:N", scale=alt.Scale(domain=labels, range=colours)),
            order=alt.Order("order:Q"),
        )
    )


def _lines(columns: list[Column], records: Sequence[Record], slot: str, period: Period) -> Spec:
    slots = slots_of(period)
    values = [
        {"slot": slots.get(one[slot], ""), "what": column.label, "n": one[column.name]}
        for one in records
        for column in columns
        if one[column.name] is not None
    ]
    labels = [column.label for column in columns]
    share = all(column.shown == "share" for column in columns)
    lines = _chart(values).mark_line(point=True, strokeWidth=2)
    return _done(
        lines.encode(
            x=_slots(slots, period),
            y=alt.Y("n:Q", title=None, axis=_shares() if share else _counts()),
            color=alt.Color("what:N", scale=alt.Scale(domain=labels, range=list(LINES))),
        )
    )


def ranked(section: Section, records: Sequence[Record]) -> Spec | None:
    """Horizontal bars of the first count, the greatest first."""
    names = [c for c in section.columns if c.shown in ("text", "country")]
    counts = [c for c in section.columns if c.shown == "count"]
    if not names or not counts:
        return None
    count = counts[0]
    values = [
        {"what": str(one[names[0].name]) or "unknown", "n": one[count.name]}
        for one in records[:RANKED]
    ]
    bars = _chart(values).mark_bar(color=ACCENT, cornerRadius=1)
    return _done(
        bars.encode(
            x=alt.X("n:Q", title=count.label, axis=_counts()),
            y=alt.Y("what:N", sort=None, title=None, axis=alt.Axis(labelLimit=260)),
        ),
        height=max(60, 26 * len(values)),
    )


def slots_of(period: Period) -> dict[datetime, str]:
    """Every hour or day of a period by its beginning (UTC), as local time in ISO form.

    An hour that a change of the clock repeats has a second more the second time.
    """
    starts = _hours(period) if period.by_hour else _days(period)
    zone, seen, found = ZoneInfo(period.zone), set[str](), {}
    for start in starts:
        text = f"{start.astimezone(zone):%Y-%m-%dT%H:%M:%S}"
        found[start] = text if text not in seen else text[:-1] + "1"
        seen.add(text)
    return found


def _hours(period: Period) -> Iterable[datetime]:
    hours = int((period.until - period.since) / timedelta(hours=1))
    return (period.since + timedelta(hours=n) for n in range(hours))


def _days(period: Period) -> Iterable[datetime]:
    days = (Period(day, day, period.zone) for day in _dates(period))
    return (day.since.astimezone(UTC) for day in days)


def _dates(period: Period) -> Iterable[Any]:
    return (period.first + timedelta(days=n) for n in range(period.days))


def _slots(slots: Mapping[datetime, str], period: Period) -> alt.X:
    words = list(slots.values())
    form = "%H:%M" if period.by_hour and period.days == 1 else "%e %b"
    form = "%e %b %H:%M" if period.by_hour and period.days > 1 else form
    step = -(-len(words) // (_TICKS // 2 if period.by_hour and period.days > 1 else _TICKS))
    return alt.X(
        "slot:O",
        title=None,
        scale=alt.Scale(domain=words, paddingInner=0.2),
        axis=alt.Axis(
            values=words[::step],
            labelExpr=f"utcFormat(toDate(datum.value + 'Z'), '{form}')",
            labelAngle=0,
            grid=False,
        ),
    )


def _counts() -> alt.Axis:
    return alt.Axis(format=",d", tickMinStep=1, domain=False, ticks=False, tickCount=5)


def _shares() -> alt.Axis:
    return alt.Axis(format=".0%", domain=False, ticks=False, tickCount=5)


def _chart(values: list[dict[str, Any]]) -> alt.Chart:
    return alt.Chart(alt.Data(values=values))  # type: ignore[no-untyped-call]


def _done(chart: Any, width: int = WIDTH, height: int = HEIGHT) -> Spec:
    spec: Spec = chart.properties(width=width, height=height).to_dict(validate=False)
    spec.pop("config", None)
    return {**spec, "autosize": {"type": "fit", "contains": "padding"}}
