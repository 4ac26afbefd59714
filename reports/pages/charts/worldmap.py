"""The world, each country coloured by how many messages went there."""

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

from reports.formatting import country
from reports.pages.charts.charts import WIDTH, Spec, done
from reports.pages.charts.palette import FEW_TO_MANY

_WORLD: Final = Path(__file__).parents[1] / "static" / "countries-110m.json"
_HEIGHT: Final = 430
_LOW: Final = 240
_ANTARCTICA: Final = "010"
_BORDER: Final[dict[str, Any]] = {
    "stroke": "currentColor",
    "strokeOpacity": 0.25,
    "strokeWidth": 0.5,
}


def world(counts: Mapping[str, int], label: str, width: int) -> Spec:
    """A map. counts: by ISO 3166-1 alpha-2. label: what is counted. width: in pixels."""
    limits = limits_of(max(counts.values(), default=0))
    edges = [1, *limits]
    words = [_step(a, b - 1) for a, b in pairwise(edges)] + [f"{limits[-1]:,} or more"]
    values = [
        {
            "id": numeric,
            "step": words[bisect(limits, number)],
            "said": f"{country(code)}: {number:,}",
        }
        for code, number in counts.items()
        if (numeric := numeric_of(code))
    ]
    found = alt.LookupData(data=alt.InlineData(values=values), key="id", fields=["step", "said"])
    form = alt.TopoDataFormat(feature="countries", type="topojson")
    shapes = alt.NamedData(name="world", format=form)
    everywhere = alt.Chart(shapes).transform_filter(f"datum.id !== '{_ANTARCTICA}'")
    drawn = alt.layer(
        everywhere.mark_geoshape(fill="#8a97a5", fillOpacity=0.22, **_BORDER),
        everywhere.transform_lookup(lookup="id", from_=found)
        .transform_filter("isValid(datum.step)")
        .mark_geoshape(**_BORDER)
        .encode(color=_colour(words, label, width), description="said:N"),
    ).project("equalEarth")
    # Put in afterwards: Altair would walk through every border.
    spec = done(drawn, width, _HEIGHT if width >= WIDTH else _LOW)
    return {**spec, "datasets": {**spec.get("datasets", {}), "world": _topology()}}


def _step(first: int, last: int) -> str:
    return f"{first:,} to {last:,}" if last > first else f"{first:,}"


def _colour(words: list[str], label: str, width: int) -> alt.Color:
    return alt.Color(
        "step:O",
        scale=alt.Scale(domain=words, range=list(FEW_TO_MANY)),
        legend=alt.Legend(
            title=label,
            orient="bottom-left" if width >= WIDTH else "bottom",
            columns=1 if width >= WIDTH else 3,
            symbolStrokeWidth=0,
        ),
    )


def limits_of(most: int) -> list[int]:
    """Where one colour ends and the next begins: 1, 2 or 5 times a power of ten, each once."""
    steps = [number * 10**power for power in range(12) for number in (1, 2, 5)]
    safe_redirect = [step for step in steps if 1 < step <= max(most, 2)]
    wanted = len(FEW_TO_MANY) - 1
    spread = max(1, len(safe_redirect) // wanted)
    chosen = safe_redirect[::-1][::spread][:wanted][::-1]
    return chosen + [chosen[-1] * 10**n for n in range(1, wanted - len(chosen) + 1)]


def unseen(codes: Iterable[str]) -> list[str]:
    """Countries that are too small for the map, or unknown."""
    return [code for code in codes if numeric_of(code) not in _drawn()]


@cache
def numeric_of(code: str) -> str:
    """ISO 3166-1 number of a country; empty when nobody knows it."""
    found = pycountry.countries.get(alpha_2=code)
    return str(found.numeric) if found else ""


@cache
def _topology() -> Any:
    return msgspec.json.decode(_WORLD.read_bytes())


@cache
def _drawn() -> frozenset[str]:
    shapes = _topology()["objects"]["countries"]["geometries"]
    return frozenset(str(shape["id"]) for shape in shapes if "id" in shape)
