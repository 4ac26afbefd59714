"""Traffic overview: how much was sent, and what came of it."""

from typing import Final

from reports.columns import COUNTS, DELIVERED, READ, SENT, count
from reports.filters import SOURCE, STANDARD
from reports.report import Column, Report, Section, Shape

NAME: Final = "overview"
FILTERS: Final = (*STANDARD, SOURCE)

SLOT: Final = Column(
    "slot",
    "DateTime('UTC')",
    "Time",
    "start of the hour (periods up to two days) or day of sending, in the account's time zone",
    "time",
)
#: The words of WhatsApp pages; its SQL is sql/parts/whatsapp.sql.
WHATSAPP: Final = (
    SENT,
    DELIVERED,
    READ,
    count("pending", "Pending", "messages the network has not decided about yet"),
    count("failed", "Failed", "messages that did not arrive: undelivered or rejected"),
)
_ALL: Final = "is_sent"
_WHATSAPP: Final = "is_sent AND channel = 'whatsapp'"


def _section(
    name: str, title: str, meaning: str, shape: Shape, columns: tuple[Column, ...], only: str
) -> Section:
    return Section(NAME, name, title, meaning, shape, columns, FILTERS, only=only)


OVERVIEW: Final = Report(
    NAME,
    "Traffic overview",
    "How much was sent in the period, and what came of it.",
    FILTERS,
    (
        _section(
            "totals",
            "Totals",
            "All outbound messages sent in the period, as they stand now.",
            "figures",
            COUNTS,
            _ALL,
        ),
        _section(
            "slots",
            "Over time",
            "The same by hour or day of sending; hours and days without messages are left out.",
            "series",
            (SLOT, *COUNTS),
            _ALL,
        ),
        _section(
            "whatsapp",
            "WhatsApp",
            "The WhatsApp messages among them: sent = delivered + pending + failed.",
            "figures",
            WHATSAPP,
            _WHATSAPP,
        ),
        _section(
            "whatsapp_slots",
            "WhatsApp over time",
            "The same by hour or day of sending; hours and days without messages are left out.",
            "series",
            (SLOT, *WHATSAPP),
            _WHATSAPP,
        ),
    ),
)
