"""What all charts share: sizes, axes, colours."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

import altair as alt

Spec = dict[str, Any]

#: Pixels of a chart on a screen, and on a phone.
WIDTH: Final = 940
NARROW: Final = 340
HEIGHT: Final = 260
#: Pixels of a label in a legend, with its square.
_LABEL_WIDTH: Final = 110


def chart(values: list[dict[str, Any]]) -> alt.Chart:
    """A chart of rows, without a mark yet."""
    return alt.Chart(alt.Data(values=values))  # type: ignore[no-untyped-call]


def spec_of(chart: Any, width: int, height: int = HEIGHT) -> Spec:
    """The Vega-Lite specification of a chart. width, height: of all of it, in pixels."""
    spec: Spec = chart.properties(width=width, height=height).to_dict(validate=False)
    spec.pop("config", None)
    return {**spec, "autosize": {"type": "fit", "contains": "padding"}}


def counts() -> alt.Axis:
    """An axis of counts."""
    return alt.Axis(format=",d", tickMinStep=1, domain=False, ticks=False, tickCount=5)


def shares() -> alt.Axis:
    """An axis of shares, 0 to 1, as percentages."""
    return alt.Axis(format=".0%", domain=False, ticks=False, tickCount=5)


def durations() -> alt.Axis:
    """An axis of seconds, labelled in seconds, minutes or hours."""
    unit = "datum.value < 60 ? datum.value + ' s' : datum.value < 3600 ? "
    unit += "datum.value / 60 + ' min' : datum.value / 3600 + ' h'"
    steps = [0.1, 1, 10, 60, 600, 3600, 36_000, 360_000]
    return alt.Axis(values=steps, labelExpr=unit, domain=False, ticks=False)


def colours(labels: Iterable[str], range_: Iterable[str], width: int) -> alt.Color:
    """Colours by label, with a legend if there are several. width: of the chart, in pixels."""
    known = list(labels)
    scale = alt.Scale(domain=known, range=list(range_))
    legend = alt.Legend(columns=width // _LABEL_WIDTH) if len(known) > 1 else None
    return alt.Color("label:N", scale=scale, legend=legend)
