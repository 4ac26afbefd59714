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
#: Few to many, for maps and heatmaps: warm is many.
WARM: Final = ("#fdf0d5", "#fbc97f", "#f08a4b", "#cf4f2e", "#8c1c13")
#: Lines that have no status.
LINES: Final = ("#0072b2", "#e69f00", "#009e73", "#cc79a7", "#56b4e9", "#d55e00")
#: The same in the accent's hue, where warm would say too much.
FEW_TO_MANY: Final = ("#d3e6f5", "#93c4e6", "#4a9bd1", "#0b6aa8", "#063e66")
