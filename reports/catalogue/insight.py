"""Delivered insight: deliveries broken down by chosen dimensions."""

from typing import Final

from reports.definition.columns import CREDITS, SEGMENTS, count, share
from reports.definition.filters import IN_COUNTRY, PROVIDER, SOURCE, STANDARD, broken_down_by
from reports.definition.report import Column, Report, Section

NAME: Final = "insight"


def _dimension(name: str, label: str, meaning: str, by: str = "") -> Column:
    return Column(name, "String", label, meaning, dimension=by or name)


DIMENSIONS: Final = (
    _dimension("external_id", "External id", "id in a system of the sender; empty: none"),
    _dimension("recipient", "Number", "number of the recipient, E.164", by="number"),
    _dimension("message_id", "Message id", "id given by the sending service"),
    _dimension("campaign_id", "Campaign", "id of the campaign; empty: none", by="campaign"),
    _dimension("platform", "Platform", "platform it was sent from; empty: unknown"),
    Column(
        "country",
        "String",
        "Country",
        "country of the recipient; empty: unknown",
        "country",
        dimension="country",
    ),
    _dimension("provider", "Provider", "provider of the latest attempt; empty: unknown"),
    Column(
        "hour",
        "Nullable(DateTime('UTC'))",
        "Hour",
        "start of the hour of delivery, in the account's time zone",
        "time",
        dimension="hour",
    ),
)
BY: Final = broken_down_by(*(column.dimension for column in DIMENSIONS), default="country")
FILTERS: Final = (*STANDARD, BY, SOURCE, PROVIDER, IN_COUNTRY)

INSIGHT: Final = Report(
    NAME,
    "Delivered insight",
    "The deliveries of the period, broken down by the dimensions you choose.",
    FILTERS,
    (
        Section(
            NAME,
            "",
            "Deliveries",
            "Messages sent in the period and delivered by now, the largest groups first. Columns "
            "of dimensions that are not chosen are empty.",
            "rows",
            (
                *DIMENSIONS,
                count("delivered", "Delivered", "messages delivered, read ones included"),
                share("share", "Share", "share of all deliveries listed"),
                count(
                    "read",
                    "Read",
                    "delivered messages that were opened, as far as phones report it",
                ),
                count("clicked", "Clicked", "delivered messages with a click on a link"),
                SEGMENTS,
                CREDITS,
            ),
            FILTERS,
            only="is_delivered",
        ),
    ),
)
