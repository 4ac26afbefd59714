"""Speed and quality: how fast messages arrive, how many, and why the others fail."""

from typing import Final

from reports.catalogue.overview import SLOT
from reports.definition.columns import DELIVERED, DELIVERY_RATE, SENT, count, share, text
from reports.definition.filters import IN_COUNTRY, PROVIDER, SOURCE, STANDARD, broken_down_by
from reports.definition.report import Column, Report, Section

NAME: Final = "speed"

DIMENSIONS: Final = (
    Column(
        "country",
        "String",
        "Country",
        "country of the recipient; empty: unknown",
        "country",
        dimension="country",
    ),
    Column(
        "provider",
        "String",
        "Provider",
        "provider of the latest attempt; empty: unknown",
        dimension="provider",
    ),
    Column("source", "String", "Source", "what sent it", dimension="source"),
    Column(
        "slot",
        "Nullable(DateTime('UTC'))",
        "Time",
        SLOT.meaning,
        "time",
        dimension="time",
    ),
)
BY: Final = broken_down_by(*(column.dimension for column in DIMENSIONS), default="provider")
FILTERS: Final = (*STANDARD, BY, SOURCE, PROVIDER, IN_COUNTRY)


def _percentile(number: int, who: str) -> Column:
    meaning = (
        f"{who} of the delivered messages arrived within this many seconds of the first attempt; "
        "exact, interpolated like PERCENTILE.INC of spreadsheets"
    )
    return Column(f"p{number}", "Nullable(Float64)", f"p{number}", meaning, "seconds")


SPEED_COLUMNS: Final = (
    SENT,
    DELIVERED,
    DELIVERY_RATE,
    _percentile(50, "half"),
    _percentile(90, "90 %"),
    _percentile(95, "95 %"),
    _percentile(99, "99 %"),
    share(
        "within_10s",
        "Within 10 s",
        "delivered messages that arrived within 10 seconds, among those delivered; empty: none",
    ),
)
ERROR_COLUMNS: Final = (
    text(
        "error_code", "Error code", "code given by the provider; empty: none, such as for expired"
    ),
    text("fail_reason", "Reason", "why they failed, in plain words; empty: unknown"),
    text("bounce", "Bounce", "soft: temporary, hard: permanent; empty: no bounce"),
    *DIMENSIONS,
    count("failed", "Failed", "messages undelivered or rejected with this code and reason"),
    share("share", "Share", "share of all failed messages listed"),
)

SPEED: Final = Report(
    NAME,
    "Speed and quality",
    "How fast the messages of the period arrived, how many, and why the others failed.",
    FILTERS,
    (
        Section(
            NAME,
            "totals",
            "Totals",
            "All outbound messages sent in the period, by their present status.",
            "figures",
            SPEED_COLUMNS,
            FILTERS,
            only="is_sent",
        ),
        Section(
            NAME,
            "times",
            "Over time",
            "The same by hour or day of sending; hours and days without messages are left out.",
            "series",
            (SLOT, *SPEED_COLUMNS),
            FILTERS,
            only="is_sent",
        ),
        Section(
            NAME,
            "groups",
            "Compared",
            "The same for each country, provider, source or time, as chosen; most messages first. "
            "Columns of dimensions that are not chosen are empty.",
            "rows",
            (*DIMENSIONS, *SPEED_COLUMNS),
            FILTERS,
            only="is_sent",
        ),
        Section(
            NAME,
            "errors",
            "Errors",
            "Failed messages by error code, reason and the chosen dimensions; most messages first. "
            "Columns of dimensions that are not chosen are empty.",
            "rows",
            ERROR_COLUMNS,
            FILTERS,
            only="is_failed",
        ),
    ),
)
