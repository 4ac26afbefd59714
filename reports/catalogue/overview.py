"""Traffic overview: how much was sent, and what came of it."""

from typing import Final

from reports.columns import COUNTS
from reports.filters import SOURCE, STANDARD
from reports.report import Column, Report, Section

NAME: Final = "overview"
FILTERS: Final = (*STANDARD, SOURCE)

SLOT: Final = Column(
    "slot",
    "DateTime('UTC')",
    "Time",
    "start of the hour (periods up to two days) or day of sending, in the account's time zone",
    "time",
)

OVERVIEW: Final = Report(
    NAME,
    "Traffic overview",
    "How much was sent in the period, and what came of it.",
    FILTERS,
    (
        Section(
            NAME,
            "totals",
            "Totals",
            "All outbound messages sent in the period, as they stand now.",
            "figures",
            COUNTS,
            FILTERS,
            only="is_sent",
        ),
        Section(
            NAME,
            "slots",
            "Over time",
            "The same by hour or day of sending; hours and days without messages are left out.",
            "series",
            (SLOT, *COUNTS),
            FILTERS,
            only="is_sent",
        ),
    ),
)
