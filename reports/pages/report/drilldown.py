"""Links from figures and values to the messages or people behind them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from reports.definition.report import Column, Section
from reports.pages.links import link
from reports.query.database import RowDict
from reports.query.query import ReportQuery

#: The tab of recipients behind each figure of a campaign.
TABS: Final = {
    "sent": "sent",
    "delivered": "delivered",
    "queued": "pending",
    "soft": "soft",
    "hard": "hard",
    "deleted": "deleted",
    "failed": "failed",
    "unique_clicks": "clicked",
    "unsubscribes": "unsubscribed",
}
#: The filters of the messages behind each figure of the overview.
_FILTERS: Final[Mapping[str, Mapping[str, str]]] = {
    "sent": {},
    "delivered": {"carrier_status": "delivered"},
    "queued": {"carrier_status": "queued"},
    "undelivered": {"carrier_status": "undelivered"},
    "rejected": {"status": "rejected"},
}
#: Sections that count the messages of one channel, whatever the filter `channel` is.
_CHANNELS: Final = {"report_overview_whatsapp": "whatsapp"}


def of_figure(section: Section, column: Column, query: ReportQuery) -> str:
    """Address of the page behind a figure; "" for none."""
    name, report = column.name, query.report.name
    if report == "campaign" and name in TABS:
        return _recipients(query, TABS[name])
    if report == "overview" and name in _FILTERS:
        return _messages(section, query, _FILTERS[name])
    return ""


def of_value(column: Column, record: RowDict, query: ReportQuery) -> str:
    """Address of the page behind a value in a table; "" for none."""
    report, value = query.report.name, record[column.name]
    if not value:
        return ""
    match column.name:
        case "recipient" if report != "person":
            return link("/person", {}, person=value)
        case "message_id" if report != "message":
            return link("/message", {}, message_id=value)
        case "sent_at" if report != "message" and record.get("message_id"):
            return link("/message", {}, message_id=record["message_id"])
        case "campaign_id" if report != "campaign":
            return link("/campaign", {}, campaign=value)
        case "name" if report == "campaigns":
            return link("/campaign", {}, campaign=record["campaign_id"])
        case "link_id" if report == "campaign":
            return _recipients(query, "clicked", link=[value])
        case "country" if report == "locations":
            return link("/messages", query.raw_params(), country=[value])
        case "strikes" if report == "suppressions":
            return link("/suppressions", query.raw_params(), recipient=record["recipient"])
    return ""


def _recipients(query: ReportQuery, tab: str, **more: Sequence[str]) -> str:
    return link("/recipients", {"campaign": [query.values["campaign"]], "tab": [tab], **more})


def _messages(section: Section, query: ReportQuery, filters: Mapping[str, str]) -> str:
    """The messages behind a figure; "" for a channel that the query's filter excludes."""
    params, channel = query.raw_params(), _CHANNELS.get(section.view, "")
    if channel:
        if channel not in params.get("channel", [channel]):
            return ""
        params["channel"] = [channel]
    return link("/messages", params, **filters)
