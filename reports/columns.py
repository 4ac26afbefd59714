"""Columns that several reports share, each with its one meaning."""

from typing import Final

from reports.report import Column


def count(name: str, label: str, meaning: str) -> Column:
    """A number of things."""
    return Column(name, "UInt64", label, meaning, "count")


def share(name: str, label: str, meaning: str) -> Column:
    """A part of one: 0 to 1, empty where there is nothing to be part of."""
    return Column(name, "Nullable(Float64)", label, meaning, "share")


def moment(name: str, label: str, meaning: str) -> Column:
    """A time, UTC in ClickHouse, in the account's zone where people see it."""
    return Column(name, "Nullable(DateTime64(3, 'UTC'))", label, meaning, "time")


def word(name: str, label: str, meaning: str) -> Column:
    """A short text with few different values."""
    return Column(name, "LowCardinality(String)", label, meaning)


def text(name: str, label: str, meaning: str) -> Column:
    """Any text."""
    return Column(name, "String", label, meaning)


SENT: Final = count("sent", "Sent", "messages sent: submitted + rejected")
SUBMITTED: Final = count(
    "submitted", "Submitted", "messages the platform took: queued + delivered + undelivered"
)
QUEUED: Final = count(
    "queued", "Queued", "submitted messages the network has not decided about yet; also: pending"
)
DELIVERED: Final = count("delivered", "Delivered", "messages delivered, read ones included")
READ: Final = count("read", "Read", "delivered messages that were opened, as far as phones tell")
UNDELIVERED: Final = count(
    "undelivered", "Undelivered", "submitted messages that failed: soft, hard, expired or deleted"
)
SOFT: Final = count(
    "soft", "Soft bounces", "undelivered for a temporary reason, expired ones included"
)
HARD: Final = count("hard", "Hard bounces", "undelivered for good")
EXPIRED: Final = count(
    "expired", "Expired", "undelivered because their validity ran out; among the soft bounces"
)
DELETED: Final = count("deleted", "Deleted", "the network deleted the number or the message")
REJECTED: Final = count("rejected", "Rejected", "messages the platform or the provider refused")
FAILED: Final = count("failed", "Failed", "undelivered + rejected")
SEGMENTS: Final = count("segments", "Segments", "message parts charged, over all attempts")
CREDITS: Final = Column(
    "credits", "Decimal(38, 6)", "Credits", "price in credits, over all attempts", "credits"
)
DELIVERY_RATE: Final = share(
    "delivery_rate", "Delivery rate", "delivered messages among those sent; empty: none sent"
)
COUNTRY: Final = Column(
    "country", "LowCardinality(String)", "Country", "country of the recipient", "country"
)
RECIPIENT: Final = text("recipient", "Recipient", "number of the recipient, E.164")

#: What any group of messages is counted into; its SQL is the same everywhere:
#: sum(is_sent) AS sent, sum(is_submitted) AS submitted ...
COUNTS: Final = (
    SENT,
    SUBMITTED,
    QUEUED,
    DELIVERED,
    READ,
    UNDELIVERED,
    SOFT,
    HARD,
    EXPIRED,
    DELETED,
    REJECTED,
    FAILED,
    SEGMENTS,
    CREDITS,
    DELIVERY_RATE,
)
