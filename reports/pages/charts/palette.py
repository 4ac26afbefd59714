"""Colours, the same in every chart and table; colour-blind people can distinguish them.

After Okabe and Ito (https://jfly.uni-koeln.de/color/); pages.css repeats them as variables.
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
#: Low to high counts, for heatmaps. Low ones are transparent, to fit light and dark pages.
WARM: Final = (
    "rgba(243, 156, 18, 0.14)",
    "rgba(240, 140, 40, 0.6)",
    "rgba(217, 84, 30, 0.95)",
    "rgba(150, 28, 18, 1)",
)
#: Lines of figures that have no status.
LINES: Final = ("#0072b2", "#e69f00", "#009e73", "#cc79a7", "#56b4e9", "#d55e00")
#: Low to high counts, for maps.
COOL: Final = tuple(f"rgba(12, 113, 181, {alpha})" for alpha in (0.2, 0.4, 0.6, 0.8, 1))
#: A count of 0.
NO_COUNT: Final = "rgba(138, 151, 165, 0.13)"
