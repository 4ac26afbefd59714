"""Colours with a meaning, the same in every chart and table; told apart by colour-blind eyes too.

After Okabe and Ito (https://jfly.uni-koeln.de/color/); the style sheet repeats them as variables.
"""

from typing import Final

ACCENT: Final = "#0b6aa8"
STATUS: Final = {
    "delivered": "#0072b2",
    "read": "#56b4e9",
    "queued": "#a3acb9",
    "pending": "#a3acb9",
    "soft": "#e69f00",
    "hard": "#d55e00",
    "undelivered": "#d55e00",
    "deleted": "#8c5a3c",
    "rejected": "#cc79a7",
    "failed": "#d55e00",
}
#: Few to many, for heatmaps: warm is many. Few lets the page shine through, be it white or black.
WARM: Final = (
    "rgba(243, 156, 18, 0.14)",
    "rgba(240, 140, 40, 0.6)",
    "rgba(217, 84, 30, 0.95)",
    "rgba(150, 28, 18, 1)",
)
#: Lines that have no status.
LINES: Final = ("#0072b2", "#e69f00", "#009e73", "#cc79a7", "#56b4e9", "#d55e00")
#: The same in the accent's hue, for maps, where warm would say too much.
FEW_TO_MANY: Final = tuple(f"rgba(12, 113, 181, {alpha})" for alpha in (0.2, 0.4, 0.6, 0.8, 1))
#: Where nothing is.
NONE: Final = "rgba(138, 151, 165, 0.13)"
