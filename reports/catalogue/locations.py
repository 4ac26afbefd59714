"""Location distribution: messages by the country of their recipients."""

from typing import Final

from reports.definition.columns import COUNTRY, COUNTS, share
from reports.definition.filters import SOURCE, STANDARD
from reports.definition.report import Report, Section

NAME: Final = "locations"
FILTERS: Final = (*STANDARD, SOURCE)

LOCATIONS: Final = Report(
    NAME,
    "Location distribution",
    "Where the messages of the period went; the countries add up to the traffic overview.",
    FILTERS,
    (
        Section(
            NAME,
            "",
            "Countries",
            "All outbound messages sent in the period, by country of the recipient; most first.",
            "series",
            (COUNTRY, share("share", "Share", "its part of all messages sent"), *COUNTS),
            FILTERS,
            only="is_sent",
        ),
    ),
)
