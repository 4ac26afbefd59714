"""Campaign recipients: the people behind each figure of a campaign, one tab for each figure."""

from typing import Final, get_args

import msgspec

from reports.definition import columns as c
from reports.definition import filters as f
from reports.definition.audience import (
    CLICK_ACTIONS,
    Action,
    clicked,
    condition_for,
    messages_of,
    without_suppressed,
)
from reports.definition.columns import count, moment, text
from reports.definition.report import Filter, Report, Section

NAME: Final = "recipients"
#: SQL of the campaign and of the links of a query.
CAMPAIGNS: Final = "[{campaign:String}]"
LINKS: Final = "{link:Array(String)}"
#: The condition of `link` decides the tabs of clicks too, so that clicks are read once.
_CLICKS: Final = str(CLICK_ACTIONS)
_TABS: Final = " OR ".join(
    f"{{tab:String}} = '{action}' AND {condition_for(action, CAMPAIGNS)}"
    for action in get_args(Action)
    if action not in CLICK_ACTIONS
)
TAB: Final = Filter(
    "tab",
    "Tab",
    "people with at least one message of the campaign in this status, or who did this; none: sent",
    f"({{tab:String}} = '' OR {{tab:String}} IN {_CLICKS} OR {_TABS})",
    "String",
    choices=get_args(Action),
)
LINK: Final = Filter(
    "link",
    "Link",
    "ids of links: people who clicked one of them (tab not_clicked: none of them); none: any",
    f"({{tab:String}} NOT IN {_CLICKS} AND empty({LINKS})"
    f" OR ({clicked(CAMPAIGNS, LINKS)}) = ({{tab:String}} != 'not_clicked')"
    " AND ({tab:String} != 'not_clicked' OR is_delivered))",
)
SEARCH: Final = Filter(
    "search",
    "Search",
    "part of a number, an external id or an e-mail address, ignoring case; none: all",
    "positionCaseInsensitiveUTF8(arrayStringConcat([person, recipient, external_id, email,"
    " replaceRegexpAll(external_id, '[^0-9+]', '')], '\\n'), {search:String}) > 0",
    "String",
    reads="search",
)
WITH_SUPPRESSED: Final = msgspec.structs.replace(
    f.WITH_SUPPRESSED,
    meaning=f"{f.WITH_SUPPRESSED.meaning}; ignored in the tab suppressed",
    condition=without_suppressed(
        CAMPAIGNS, "{with_suppressed:String} = 'yes' OR {tab:String} = 'suppressed'"
    ),
)
FILTERS: Final = (f.ACCOUNT, f.CHANNEL, f.IN_CAMPAIGN, TAB, LINK, SEARCH, WITH_SUPPRESSED)
COLUMNS: Final = (
    c.RECIPIENT,
    c.EXTERNAL_ID,
    c.EMAIL,
    c.COUNTRY,
    moment("sent_at", "Sent at", "when their latest message of this tab was sent"),
    c.PLATFORM_STATUS,
    c.CARRIER_STATUS,
    c.FAIL_REASON,
    c.SUPPRESSED,
    *c.optional(
        text("message_id", "Message id", "id of their latest message of this tab"),
        count("messages", "Messages", "their messages of this tab"),
        moment("clicked_at", "Clicked at", "first click through one of these messages"),
        moment("unsubscribed_at", "Unsubscribed at", "first unsubscribe through one of these"),
        c.ERROR_TEXT,
    ),
)

RECIPIENTS: Final = Report(
    NAME,
    "Campaign recipients",
    "The people behind each figure of a campaign, each with their latest message.",
    FILTERS,
    (
        Section(
            NAME,
            "",
            "Recipients",
            "One row for each person with their latest message of the tab, the newest first.",
            "rows",
            COLUMNS,
            FILTERS,
            source=messages_of(CAMPAIGNS),
            counted="uniqExact(person)",
        ),
    ),
)
