"""A world map, each country coloured by its number of messages."""

from __future__ import annotations

from bisect import bisect
from collections.abc import Iterable, Mapping
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import Any, Final

import altair as alt
import msgspec
import pycountry

from reports.formatting import country_name
from reports.pages.charts.charts import WIDTH, Spec, spec_of
from reports.pages.charts.palette import COOL

_WORLD: Final = Path(__file__).parents[1] / "static" / "countries-110m.json"
_HEIGHT: Final = 430
_NARROW_HEIGHT: Final = 240
_ANTARCTICA: Final = "010"
_BORDER: Final[dict[str, Any]] = {
    "stroke": "currentColor",
    "strokeOpacity": 0.25,
    "strokeWidth": 0.5,
}


def world(counts: Mapping[str, int], label: str, width: int) -> Spec:
    """counts: by ISO 3166-1 alpha-2 code. label: title of the legend. width: in pixels."""
    limits = limits_of(max(counts.values(), default=0))
    edges = [1, *limits]
    steps = [_step(a, b - 1) for a, b in pairwise(edges)] + [f"{limits[-1]:,} or more"]
    values = [
        {
            "id": numeric,
            "step": steps[bisect(limits, number)],
            "description": f"{country_name(code)}: {number:,}",
        }
        for code, number in counts.items()
        if (numeric := _numeric_code(code))
    ]
    found = alt.LookupData(
        data=alt.InlineData(values=values), key="id", fields=["step", "description"]
    )
    form = alt.TopoDataFormat(feature="countries", type="topojson")
    shapes = alt.NamedData(name="world", format=form)
    everywhere = alt.Chart(shapes).transform_filter(f"datum.id !== '{_ANTARCTICA}'")
    drawn = alt.layer(
        everywhere.mark_geoshape(fill="#8a97a5", fillOpacity=0.22, **_BORDER),
        everywhere.transform_lookup(lookup="id", from_=found)
        .transform_filter("isValid(datum.step)")
        .mark_geoshape(**_BORDER)
        .encode(color=_colour(steps, label, width), description="description:N"),
    ).project("equalEarth")
    # Added afterwards: Altair would validate every border.
    spec = spec_of(drawn, width, _HEIGHT if width >= WIDTH else _NARROW_HEIGHT)
    return {**spec, "datasets": {**spec.get("datasets", {}), "world": _topology()}}


def _step(first: int, last: int) -> str:
    return f"{first:,} to {last:,}" if last > first else f"{first:,}"


def _colour(steps: list[str], label: str, width: int) -> alt.Color:
    return alt.Color(
        "step:O",
        scale=alt.Scale(domain=steps, range=list(COOL)),
        legend=alt.Legend(
            title=label,
            orient="bottom-left" if width >= WIDTH else "bottom",
            columns=1 if width >= WIDTH else 3,
            symbolStrokeWidth=0,
        ),
    )


def limits_of(highest: int) -> list[int]:
    """Lower limits of all colours but the first, ascending: 1, 2 or 5 times a power of ten."""
    steps = [number * 10**power for power in range(12) for number in (1, 2, 5)]
    reached = [step for step in steps if 1 < step <= max(highest, 2)]
    wanted = len(COOL) - 1
    spread = max(1, len(reached) // wanted)
    chosen = reached[::-1][::spread][:wanted][::-1]
    return chosen + [chosen[-1] * 10**n for n in range(1, wanted - len(chosen) + 1)]


def not_on_map(codes: Iterable[str]) -> list[str]:
    """Country codes that are unknown or of countries too small for the map."""
    return [code for code in codes if _numeric_code(code) not in _drawn()]


@cache
def _numeric_code(code: str) -> str:
    """ISO 3166-1 numeric code; "" when unknown."""
    found = pycountry.countries.get(alpha_2=code)
    return str(found.numeric) if found else ""


@cache
def _topology() -> Any:
    return msgspec.json.decode(_WORLD.read_bytes())


@cache
def _drawn() -> frozenset[str]:
    shapes = _topology()["objects"]["countries"]["geometries"]
    return frozenset(str(shape["id"]) for shape in shapes if "id" in shape)
