"""Campaign: everything about one campaign, over its whole time."""

from typing import Final

from reports.definition.columns import (
    AUTOMATED_CLICKS,
    CLICKS,
    COUNTS,
    DELIVERED,
    FAILED,
    SENT,
    UNIQUE_CLICKS,
    count,
    moment,
    share,
    text,
    word,
)
from reports.definition.filters import ACCOUNT, IN_CAMPAIGN
from reports.definition.report import Column, Report, Section, Shape, SharedQuery

NAME: Final = "campaign"
FILTERS: Final = (ACCOUNT, IN_CAMPAIGN)

CONTEXT: Final = (
    text("name", "Name", "name of the campaign"),
    text("campaign_id", "Message id", "id of the campaign"),
    word("message_type", "Type", "type of its messages; empty: unknown"),
    text("text", "Text", "template of its text; empty: unknown"),
    word("creator", "Creator", "who created it; empty: unknown"),
    word("method", "Method", "broadcast, targeted or another word; empty: unknown"),
    word("status", "Status", "draft, sending, finished or another word; empty: unknown"),
    moment("created_at", "Created", "when it was created; empty: unknown"),
    moment("started_at", "Started", "when sending began; empty: not yet, or unknown"),
    moment("ended_at", "Ended", "when sending ended; empty: not yet, or unknown"),
    text("audience", "Audience", "description of whom it is meant for; empty: unknown"),
    word("last_modified_by", "Last modified by", "who changed it last; empty: unknown"),
    moment("updated_at", "Last modified", "when it was changed last"),
)
TOTALS: Final = (
    Column(
        "target_audience",
        "Nullable(UInt64)",
        "Target audience",
        "number of people it is meant for; empty: unknown",
        "count",
    ),
    *COUNTS,
    count("bounced", "Bounced", "soft bounces + hard bounces"),
    CLICKS,
    UNIQUE_CLICKS,
    AUTOMATED_CLICKS,
    count("unsubscribes", "Unsubscribes", "people who unsubscribed through the campaign"),
    count("conversions", "Conversions", "people who reached the goal of the campaign"),
)
HEATMAP: Final = (
    Column("weekday", "UInt8", "Weekday", "1: Monday to 7: Sunday, in the account's time zone"),
    Column("hour", "UInt8", "Hour", "hour of delivery, 0 to 23, in the account's time zone"),
    DELIVERED,
)
TIMELINE: Final = (
    Column(
        "slot",
        "DateTime('UTC')",
        "Time",
        "start of the five minutes (deliveries within 6 hours), hour (within 3 days) or day of "
        "delivery, in the account's time zone",
        "time",
    ),
    DELIVERED,
)


_TOTALS_AND_LINKS: Final = SharedQuery(NAME, FILTERS, order="clicks DESC, link_id, url")
_MESSAGES: Final = SharedQuery(
    "campaign_messages", FILTERS, order="weight DESC, slot, weekday, hour, platform, fail_reason"
)


def _section(
    name: str,
    title: str,
    meaning: str,
    columns: tuple[Column, ...],
    shape: Shape = "series",
    shared_query: SharedQuery | None = None,
) -> Section:
    return Section(NAME, name, title, meaning, shape, columns, FILTERS, shared_query=shared_query)


CAMPAIGN: Final = Report(
    NAME,
    "Campaign",
    "One campaign as a whole: its settings, and the results of all its messages.",
    FILTERS,
    (
        _section("context", "Context", "What is known about the campaign.", CONTEXT, "figures"),
        _section(
            "totals",
            "Totals",
            "All its messages, by their present status.",
            TOTALS,
            "figures",
            _TOTALS_AND_LINKS,
        ),
        _section(
            "links",
            "Links",
            "The links people clicked, the most clicked first.",
            (
                word("link_id", "Link id", "id of the link; empty: unknown"),
                text("url", "Address", "address that was opened; empty: unknown"),
                CLICKS,
                UNIQUE_CLICKS,
                AUTOMATED_CLICKS,
            ),
            shared_query=_TOTALS_AND_LINKS,
        ),
        _section(
            "platforms",
            "Platforms",
            "Its messages by platform they were sent from, the largest number first.",
            (
                word("platform", "Platform", "platform it was sent from; empty: unknown"),
                SENT,
                DELIVERED,
                FAILED,
            ),
            shared_query=_MESSAGES,
        ),
        _section(
            "heatmap",
            "When they were delivered",
            "Deliveries by weekday and hour in the account's time zone; others have none.",
            HEATMAP,
            shared_query=_MESSAGES,
        ),
        _section(
            "timeline",
            "Deliveries over time",
            "Deliveries by time of delivery; times without deliveries are left out.",
            TIMELINE,
            shared_query=_MESSAGES,
        ),
        _section(
            "reasons",
            "Fail reasons",
            "Why messages failed, the most frequent reason first.",
            (
                word("fail_reason", "Reason", "why they failed, in plain words; empty: unknown"),
                FAILED,
                share("share", "Share", "share of all failed messages of the campaign"),
            ),
            shared_query=_MESSAGES,
        ),
    ),
)
