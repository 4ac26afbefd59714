"""Columns that several reports share, each with its one meaning."""

from typing import Final

import msgspec

from models.vocabulary import Status
from reports.definition.figures import FIGURES
from reports.definition.report import Column


def count(name: str, label: str, meaning: str) -> Column:
    """A number of things."""
    return Column(name, "UInt64", label, meaning, "count")


def share(name: str, label: str, meaning: str) -> Column:
    """A share: 0 to 1, empty where the whole is empty."""
    return Column(name, "Nullable(Float64)", label, meaning, "share")


def moment(name: str, label: str, meaning: str) -> Column:
    """A time: UTC in ClickHouse, in the account's zone for people."""
    return Column(name, "Nullable(DateTime64(3, 'UTC'))", label, meaning, "time")


def word(name: str, label: str, meaning: str) -> Column:
    """A short text with few different values."""
    return Column(name, "LowCardinality(String)", label, meaning)


def text(name: str, label: str, meaning: str) -> Column:
    """Any text."""
    return Column(name, "String", label, meaning)


def optional(*columns: Column) -> tuple[Column, ...]:
    """The same columns, shown only on request."""
    return tuple(msgspec.structs.replace(column, optional=True) for column in columns)


_FIGURES: Final = {one.name: count(one.name, one.label, one.meaning) for one in FIGURES}
SENT: Final = _FIGURES["sent"]
DELIVERED: Final = _FIGURES["delivered"]
READ: Final = _FIGURES["read"]
FAILED: Final = _FIGURES["failed"]
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
RECIPIENT: Final = text(
    "recipient", "Recipient", "number of the recipient, E.164, or user id of WhatsApp"
)
CLICKS: Final = count("clicks", "Clicks", "clicks of people on its links, repeated ones included")
AUTOMATED_CLICKS: Final = count(
    "automated_clicks",
    "Automated clicks",
    "clicks of programs: link previews and scanners; not in the clicks",
)
UNIQUE_CLICKS: Final = count(
    "unique_clicks", "Unique clicks", "people who clicked, each once; unknown people are left out"
)

#: What any group of messages is counted into; its SQL is sql/parts/counts.sql.
COUNTS: Final = (*_FIGURES.values(), SEGMENTS, CREDITS, DELIVERY_RATE)

# --- one message ------------------------------------------------------------------------------

SUPPRESSED: Final = text(
    "suppressed", "Suppressed", "channels by which the person must not be written to; empty: none"
)
BINDS: Final = word(
    "binds", "Binds", "messages not to send: all, or marketing (all but verification messages)"
)
SENT_AT: Final = moment("sent_at", "Sent at", "when attempt 1 was sent")
MESSAGE_ID: Final = text("message_id", "Message id", "id given by the sending service")
CHANNEL: Final = word("channel", "Channel", "sms or whatsapp")
DIRECTION: Final = word("direction", "Direction", "outbound, or inbound for a received message")
SENDER: Final = word("sender_id", "Sender", "number or name the recipient sees as sender")
SOURCE: Final = word("source", "Source", "what sent it")
SENT_BY: Final = word("sent_by", "Sent by", "person or service that sent it")
CAMPAIGN_ID: Final = word("campaign_id", "Campaign", "campaign it belongs to; empty: none")
MESSAGE_TYPE: Final = word(
    "message_type", "Type", "campaign, notification or another word of the sender"
)
EXTERNAL_ID: Final = text(
    "external_id", "External id", "id of the message or contact in a system of the sender"
)
EMAIL: Final = text("email", "E-mail", "e-mail address of the recipient, if the sender knows it")
PLATFORM: Final = word("platform", "Platform", "platform the message was sent from")
PROVIDER: Final = word("provider", "Provider", "provider of the latest attempt")
PLATFORM_STATUS: Final = word(
    "platform_status", "Status", "what the platform did: submitted or rejected"
)
CARRIER_STATUS: Final = word(
    "carrier_status",
    "Carrier status",
    "what the network did: queued, delivered or undelivered; empty: rejected",
)
STATUS: Final = word(
    "status",
    "State",
    ", ".join(status.word for status in Status),
)
BOUNCE: Final = word("bounce", "Bounce", "soft or hard failure; empty: no bounce")
SCOPE: Final = word(
    "scope",
    "Scope",
    "whose fault a failure is: recipient, content, sender, account, route, network, policy or time",
)
FAIL_REASON: Final = word(
    "fail_reason", "Reason", "why it failed, a word of the list of reasons; empty: not failed"
)
ERROR_CODE: Final = word("error_code", "Error code", "code the provider gave for a failure")
ERROR_TEXT: Final = word("error_text", "Error text", "text the provider gave for a failure")
ATTEMPTS: Final = Column(
    "attempts", "UInt16", "Attempts", "highest attempt known; 1: never retried", "count"
)
NEXT_ATTEMPT_AT: Final = moment(
    "next_attempt_at", "Next attempt", "when the next attempt is or was due; empty: none"
)
DELIVERED_AT: Final = moment(
    "delivered_at", "Delivered at", "first seen delivered or read; empty: not yet"
)
READ_AT: Final = moment("read_at", "Read at", "first seen read; empty: not yet")
CLICKED_AT: Final = moment(
    "clicked_at", "Clicked at", "first click of a person on a link of it; empty: none"
)
AUTOMATED_CLICKED_AT: Final = moment(
    "automated_clicked_at",
    "Clicked by a program at",
    "first click by a link preview or a scanner; empty: none",
)
CONVERTED_AT: Final = moment(
    "converted_at", "Converted at", "when the goal of it was reached; empty: not yet"
)
UNSUBSCRIBED_AT: Final = moment(
    "unsubscribed_at", "Unsubscribed at", "first unsubscribe through it; empty: none"
)
MESSAGE_SEGMENTS: Final = Column(
    "segments", "UInt32", "Segments", "message parts charged, over all attempts", "count"
)
MESSAGE_CREDITS: Final = Column(
    "credits", "Decimal(18, 6)", "Credits", "price in credits, over all attempts", "credits"
)
PRICE: Final = Column(
    "price",
    "Nullable(Decimal(18, 6))",
    "Price",
    "price by the receipts, over all attempts; empty: unknown",
    "number",
)
CURRENCY: Final = word("currency", "Currency", "ISO 4217 of the price; empty: unknown")
MCCMNC: Final = word("mccmnc", "Network", "mobile country and network code; empty: unknown")
TEMPLATE: Final = word("template", "Template", "template it was made from; empty: unknown")
CATEGORY: Final = word("category", "Category", "marketing, utility or another word of the sender")
REFERENCE: Final = text("reference", "Reference", "reference of the sender; empty: none")
PROVIDER_MESSAGE_ID: Final = text(
    "provider_message_id", "Provider's id", "id the provider gave the latest attempt"
)
REPAIRED: Final = Column(
    "repaired",
    "Array(LowCardinality(String))",
    "Repaired",
    "fields of its events that were wrong and mended or left out",
)
CONTENT: Final = text(
    "content",
    "Content",
    "text of the latest attempt, as long as texts are kept; of a verification message none",
)
CONTENT_ON_DEMAND: Final = msgspec.structs.replace(
    CONTENT, meaning=f"{CONTENT.meaning}; empty unless requested", dimension="yes"
)
