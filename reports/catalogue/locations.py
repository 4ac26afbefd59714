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
    "The countries to which the messages of the period went; they add up to the traffic overview.",
    FILTERS,
    (
        Section(
            NAME,
            "",
            "Countries",
            "All outbound messages sent in the period by country of the recipient, the most first.",
            "series",
            (COUNTRY, share("share", "Share", "share of all messages sent"), *COUNTS),
            FILTERS,
            only="is_sent",
        ),
    ),
)
