"""Charts to SVG on the server: they print, need no script, and load with the page.

Vega-Lite through vl-convert. Texts and lines take the colour of the page (`currentColor`), so one
picture serves light, dark and paper.
"""

from __future__ import annotations

import hashlib
import re
import threading
from collections import OrderedDict
from typing import Any, Final

import msgspec
import vl_convert
from markupsafe import Markup

VEGA_LITE: Final = "6.4"
FONT: Final = "system-ui, -apple-system, 'Segoe UI', Roboto, 'Helvetica Neue', Arial, sans-serif"
_KEPT: Final = 256
#: A tenth of a pixel is fine enough; borders of countries weigh a third less.
_FINE: Final = re.compile(r"(\d\.\d)\d+")

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


class ChartRenderer:
    """Drawn charts, the latest kept by what they show. Safe to use from threads."""

    def __init__(self) -> None:
        self._kept: OrderedDict[str, Markup] = OrderedDict()
        self._lock = threading.Lock()

    def draw(self, spec: dict[str, Any], title: str) -> Markup:
        """A chart as inline SVG; title: read aloud instead of the picture."""
        key = hashlib.sha256(msgspec.json.encode([spec, title])).hexdigest()
        with self._lock:
            if key in self._kept:
                self._kept.move_to_end(key)
                return self._kept[key]
        svg = vl_convert.vegalite_to_svg({"config": CONFIG, **spec}, vl_version=VEGA_LITE)
        drawn = Markup(_inline(svg, title))
        with self._lock:
            self._kept[key] = drawn
            if len(self._kept) > _KEPT:
                self._kept.popitem(last=False)
        return drawn


def _inline(svg: str, title: str) -> str:
    svg = _FINE.sub(r"\1", svg)
    label = Markup.escape(title)
    return svg.replace("<svg ", f'<svg role="img" aria-label="{label}" ', 1)
