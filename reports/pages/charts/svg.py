"""Charts as SVG, drawn on the server: they print, need no script, and load with the page.

Vega-Lite through vl-convert. Texts and lines take the colour of the page (`currentColor`), so one
picture fits light and dark pages and paper.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Any, Final

import msgspec
import vl_convert
from markupsafe import Markup

VEGA_LITE: Final = "6.4"
FONT: Final = "system-ui, -apple-system, 'Segoe UI', Roboto, 'Helvetica Neue', Arial, sans-serif"
#: Charts kept in memory, with their specifications: a map has about 100 KB.
_CACHE_SIZE: Final = 64
#: Digits after a tenth of a pixel: without them the world map is a third smaller.
_EXTRA_DIGITS: Final = re.compile(r"(\d\.\d)\d+")

CONFIG: Final[dict[str, Any]] = {
    "background": "transparent",
    "font": FONT,
    "view": {"stroke": None},
    "axis": {
        "labelColor": "currentColor",
        "titleColor": "currentColor",
        "labelFontSize": 12,
        "titleFontSize": 12,
        "titleFontWeight": "normal",
        "domainColor": "currentColor",
        "domainOpacity": 0.35,
        "tickColor": "currentColor",
        "tickOpacity": 0.35,
        "gridColor": "currentColor",
        "gridOpacity": 0.1,
        "labelPadding": 6,
    },
    "axisY": {"minExtent": 44},
    "legend": {
        "labelColor": "currentColor",
        "titleColor": "currentColor",
        "labelFontSize": 12,
        "orient": "top",
        "title": None,
        "symbolType": "square",
        "offset": 8,
        "columnPadding": 16,
    },
    "text": {"color": "currentColor"},
}


def draw(spec: dict[str, Any], title: str) -> Markup:
    """A chart as inline SVG. title: its accessible name. Threads may share it."""
    return _draw(msgspec.json.encode({"config": CONFIG, **spec}), title)


@lru_cache(_CACHE_SIZE)
def _draw(spec: bytes, title: str) -> Markup:
    svg = vl_convert.vegalite_to_svg(spec.decode(), vl_version=VEGA_LITE)
    return Markup(_inline(svg, title))


def _inline(svg: str, title: str) -> str:
    svg = _EXTRA_DIGITS.sub(r"\1", svg)
    label = Markup.escape(title)
    return svg.replace("<svg ", f'<svg role="img" aria-label="{label}" ', 1)
