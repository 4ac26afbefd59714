"""WhatsApp details: every WhatsApp message of the period, sent or received."""

from typing import Final

from reports.definition import columns as c
from reports.definition import filters as f
from reports.definition.columns import word
from reports.definition.report import Filter, Report, Section

NAME: Final = "whatsapp"
_CONDITIONS: Final = {
    "delivered": "is_delivered",
    "read": "is_read",
    "pending": "is_queued",
    "failed": "is_failed",
    "received": "direction = 'inbound'",
}
_ANY_OF: Final = " OR ".join(
    f"(has({{status:Array(String)}}, '{status}') AND {condition})"
    for status, condition in _CONDITIONS.items()
)
STATUS: Final = Filter(
    "status",
    "Status",
    "status of the message; delivered includes read; none: all",
    f"(empty({{status:Array(String)}}) OR {_ANY_OF})",
    choices=tuple(_CONDITIONS),
)
DIRECTION: Final = Filter(
    "direction",
    "Direction",
    "outbound: sent; inbound: received; none: both",
    "({direction:String} = '' OR direction = {direction:String})",
    "String",
    choices=("outbound", "inbound"),
)
FILTERS: Final = (
    f.ACCOUNT,
    f.SINCE,
    f.UNTIL,
    DIRECTION,
    f.SENDER,
    f.TO_NUMBER,
    f.SOURCE,
    STATUS,
    f.CONTENT,
)
COLUMNS: Final = (
    c.SENT_AT,
    c.DIRECTION,
    c.SENDER,
    c.SOURCE,
    c.SENT_BY,
    c.COUNTRY,
    c.RECIPIENT,
    word("state", "Status", "pending, delivered, read or failed; received when inbound"),
    c.FAIL_REASON,
    c.CONTENT_ON_DEMAND,
    *c.optional(
        c.MESSAGE_ID,
        c.DELIVERED_AT,
        c.READ_AT,
        c.CAMPAIGN_ID,
        c.EXTERNAL_ID,
        c.EMAIL,
        c.ERROR_TEXT,
    ),
)

WHATSAPP: Final = Report(
    NAME,
    "WhatsApp details",
    "Every WhatsApp message of the period, sent or received, the newest first.",
    FILTERS,
    (
        Section(
            NAME,
            "",
            "WhatsApp messages",
            "One row for each message, with its present status.",
            "rows",
            COLUMNS,
            FILTERS,
            source="reported_messages",
            only="channel = 'whatsapp'",
            newest_first=True,
        ),
    ),
)
