"""Traffic overview: how much was sent, with which results."""

from typing import Final

from reports.definition.columns import COUNTS, DELIVERED, READ, SENT, count
from reports.definition.filters import SOURCE, STANDARD
from reports.definition.report import Column, Report, Section, Shape, SharedQuery

NAME: Final = "overview"
FILTERS: Final = (*STANDARD, SOURCE)

SLOT: Final = Column(
    "slot",
    "DateTime('UTC')",
    "Time",
    "start of the hour (periods up to two days) or day of sending, in the account's time zone",
    "time",
)
#: WhatsApp groups its statuses differently.
WHATSAPP: Final = (
    SENT,
    DELIVERED,
    READ,
    count("pending", "Pending", "messages without a final status from the network yet"),
    count("failed", "Failed", "messages undelivered or rejected"),
)
_SHARED: Final = SharedQuery(NAME, FILTERS, order="slot", only="is_sent")


def _section(
    name: str, title: str, meaning: str, shape: Shape, columns: tuple[Column, ...]
) -> Section:
    return Section(NAME, name, title, meaning, shape, columns, FILTERS, shared_query=_SHARED)


OVERVIEW: Final = Report(
    NAME,
    "Traffic overview",
    "How much was sent in the period, and the results.",
    FILTERS,
    (
        _section(
            "totals",
            "Totals",
            "All outbound messages sent in the period, by their present status.",
            "figures",
            COUNTS,
        ),
        _section(
            "slots",
            "Over time",
            "The same by hour or day of sending; hours and days without messages are left out.",
            "series",
            (SLOT, *COUNTS),
        ),
        _section(
            "whatsapp",
            "WhatsApp",
            "The WhatsApp messages among them: sent = delivered + pending + failed.",
            "figures",
            WHATSAPP,
        ),
        _section(
            "whatsapp_slots",
            "WhatsApp over time",
            "The same by hour or day of sending; hours and days without messages are left out.",
            "series",
            (SLOT, *WHATSAPP),
        ),
    ),
)
