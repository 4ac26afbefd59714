"""Counts by weekday and hour; warmer colours are larger counts."""

from __future__ import annotations

import calendar
from collections.abc import Sequence
from typing import Final

import altair as alt

from reports.definition.report import Column
from reports.pages.charts.charts import HEIGHT, Spec, chart, spec_of
from reports.pages.charts.palette import NO_COUNT, WARM
from reports.query.database import RowDict

_DAYS: Final = tuple(calendar.day_name)
_HOURS: Final = tuple(range(24))
_LABELLED: Final = _HOURS[::4]


def heatmap(count: Column, records: Sequence[RowDict], width: int) -> Spec:
    """Records have weekday (1: Monday) and hour (0 to 23); missing ones count 0."""
    found = {(one["weekday"], one["hour"]): one[count.name] for one in records}
    values = [
        {"day": name, "hour": hour, "n": number, "description": f"{name} {hour:02}:00: {number:,}"}
        for day, name in enumerate(_DAYS, 1)
        for hour in _HOURS
        for number in [found.get((day, hour), 0)]
    ]
    cells = chart(values).mark_rect(cornerRadius=2)
    colour = alt.condition("datum.n > 0", _warm(max(found.values())), alt.value(NO_COUNT))
    return spec_of(
        cells.encode(x=_hours(), y=_days(), color=colour, description="description:N"),
        width,
        HEIGHT,
    )


def _warm(highest: int) -> alt.Color:
    legend = alt.Legend(format=",d", title=None, gradientLength=160, tickMinStep=1, tickCount=3)
    scale = alt.Scale(domain=[0, highest], range=list(WARM))
    return alt.Color("n:Q", scale=scale, legend=legend)


def _hours() -> alt.X:
    axis = alt.Axis(
        labelExpr="datum.value + ':00'",
        values=list(_LABELLED),
        labelAngle=0,
        domain=False,
        ticks=False,
    )
    scale = alt.Scale(domain=list(_HOURS), paddingInner=0.06)
    return alt.X("hour:O", title=None, scale=scale, axis=axis)


def _days() -> alt.Y:
    axis = alt.Axis(domain=False, ticks=False)
    scale = alt.Scale(domain=list(_DAYS), paddingInner=0.06)
    return alt.Y("day:O", title=None, scale=scale, axis=axis)
