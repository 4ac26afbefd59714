"""Message details: every message of the period."""

from typing import Final

from reports.definition import columns as c
from reports.definition import filters as f
from reports.definition.report import CounterTotal, Report, Section

NAME: Final = "messages"
FILTERS: Final = (
    *f.STANDARD,
    f.SENT_BY,
    f.SOURCE,
    f.STATUS,
    f.CARRIER_STATUS,
    f.SENDER,
    f.TO_NUMBER,
    f.PROVIDER,
    f.IN_COUNTRY,
    f.CONTENT,
)
COLUMNS: Final = (
    c.SENT_AT,
    c.MESSAGE_ID,
    c.CHANNEL,
    c.SENDER,
    c.SOURCE,
    c.SENT_BY,
    c.COUNTRY,
    c.RECIPIENT,
    c.PLATFORM_STATUS,
    c.CARRIER_STATUS,
    c.FAIL_REASON,
    c.ATTEMPTS,
    c.PROVIDER,
    c.CONTENT_ON_DEMAND,
    *c.optional(
        c.STATUS,
        c.BOUNCE,
        c.ERROR_CODE,
        c.ERROR_TEXT,
        c.DELIVERED_AT,
        c.READ_AT,
        c.NEXT_ATTEMPT_AT,
        c.CAMPAIGN_ID,
        c.MESSAGE_TYPE,
        c.EXTERNAL_ID,
        c.EMAIL,
        c.PLATFORM,
        c.MESSAGE_SEGMENTS,
        c.MESSAGE_CREDITS,
        c.PRICE,
        c.CURRENCY,
        c.MCCMNC,
        c.TEMPLATE,
        c.CATEGORY,
        c.REFERENCE,
        c.PROVIDER_MESSAGE_ID,
        c.CLICKED_AT,
        c.AUTOMATED_CLICKED_AT,
        c.CONVERTED_AT,
        c.REPAIRED,
    ),
)


def _selects(name: str, value: str) -> str:
    """Whether a filter selects a value, or has none."""
    return f"(empty({{{name}:Array(String)}}) OR has({{{name}:Array(String)}}, '{value}'))"


#: Follows platform_status and carrier_status; rejected messages have no carrier status.
_COUNTER_TOTAL: Final = CounterTotal(
    f"""
    {_selects("status", "submitted")} * (
        {_selects("carrier_status", "queued")} * is_queued
        + {_selects("carrier_status", "delivered")} * is_delivered
        + {_selects("carrier_status", "undelivered")} * is_undelivered
    ) + {_selects("status", "rejected")} * empty({{carrier_status:Array(String)}}) * is_rejected""",
    by=(f.STATUS, f.CARRIER_STATUS),
    filters=(*f.STANDARD, f.SOURCE, f.PROVIDER, f.IN_COUNTRY),
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
            "One row for each message, with its present status.",
            "rows",
            COLUMNS,
            FILTERS,
            source="reported_messages",
            only="is_sent",
            newest_first=True,
            counter_total=_COUNTER_TOTAL,
        ),
    ),
)
