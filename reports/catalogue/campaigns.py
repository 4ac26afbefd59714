"""Campaigns with messages in the period, and the results of each as a whole."""

from typing import Final

from reports.definition.columns import (
    AUTOMATED_CLICKS,
    CLICKS,
    UNIQUE_CLICKS,
    count,
    moment,
    text,
    word,
)
from reports.definition.filters import STANDARD
from reports.definition.report import Filter, Report, Section

NAME: Final = "campaigns"

SEARCH: Final = Filter(
    "search",
    "Search",
    "part of the name or id of a campaign, ignoring case; none: all",
    """({search:String} = ''
        OR positionCaseInsensitiveUTF8(campaign_id, {search:String}) > 0
        OR campaign_id IN (
            SELECT campaign_id FROM campaigns_current
            WHERE account = {account:String}
                AND positionCaseInsensitiveUTF8(name, {search:String}) > 0
        ))""",
    "String",
    example="spring",
)
FILTERS: Final = (*STANDARD, SEARCH)

CAMPAIGNS: Final = Report(
    NAME,
    "Campaigns",
    "The campaigns that sent messages in the period.",
    FILTERS,
    (
        Section(
            NAME,
            "",
            "Campaigns",
            "Campaigns that sent messages in the period, the latest first. Figures are of the "
            "whole campaign, also before and after the period.",
            "rows",
            (
                text("name", "Name", "name of the campaign; empty: unknown"),
                word("campaign_id", "Message id", "id of the campaign"),
                word("last_modified_by", "Last modified by", "who changed it last; empty: unknown"),
                count("sent", "Sent", "messages of the campaign"),
                count("delivered", "Delivered", "its messages delivered, read ones included"),
                CLICKS,
                UNIQUE_CLICKS,
                AUTOMATED_CLICKS,
                moment("last_sent", "Last sent", "when its latest message was sent"),
            ),
            FILTERS,
            source="reported_messages",
            only="is_sent AND campaign_id != ''",
            counted="uniqExact(campaign_id)",
        ),
    ),
)
