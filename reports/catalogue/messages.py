"""Message details: every message of the period, one row each."""

from typing import Final

from reports.columns import COUNTRY, RECIPIENT, moment, text, word
from reports.filters import (
    CARRIER_STATUS,
    IN_COUNTRY,
    PROVIDER,
    SENDER,
    SENT_BY,
    SOURCE,
    STANDARD,
    STATUS,
    TO_NUMBER,
)
from reports.report import Column, Report, Section

NAME: Final = "messages"
FILTERS: Final = (
    *STANDARD,
    SENT_BY,
    SOURCE,
    STATUS,
    CARRIER_STATUS,
    SENDER,
    TO_NUMBER,
    PROVIDER,
    IN_COUNTRY,
)

COLUMNS: Final = (
    moment("sent_at", "Sent at", "when attempt 1 was sent"),
    text("message_id", "Message id", "id given by the sending service"),
    word("channel", "Channel", "sms or whatsapp"),
    word("sender_id", "Sender", "number or name the recipient sees as sender"),
    word("source", "Source", "what sent it"),
    word("sent_by", "Sent by", "person or service that sent it"),
    COUNTRY,
    RECIPIENT,
    word("platform_status", "Status", "what the platform did: submitted or rejected"),
    word(
        "carrier_status", "Carrier status", "what the network did: queued, delivered, undelivered"
    ),
    word("fail_reason", "Reason", "why it failed, in words for people; empty: not failed"),
    Column("attempts", "UInt16", "Attempts", "highest attempt known; 1: never retried", "count"),
    word("provider", "Provider", "provider of the latest attempt"),
)

MESSAGES: Final = Report(
    NAME,
    "Message details",
    "Every outbound message of the period, the newest first.",
    FILTERS,
    (
        Section(
            NAME,
            "",
            "Messages",
            "One row a message, as it stands now.",
            "rows",
            COLUMNS,
            FILTERS,
            source="reported_messages",
            only="is_sent",
        ),
    ),
)
