"""Where figures and values lead: the page that tells more about them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from reports.definition.report import Column, Section
from reports.formatting import link
from reports.query.query import ReportQuery

Record = Mapping[str, Any]

#: Figures of a campaign and the tab of the people behind each.
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
#: Figures of the traffic and the filters of the messages behind each.
_MESSAGES: Final[Mapping[str, Mapping[str, str]]] = {
    "sent": {},
    "delivered": {"carrier_status": "delivered"},
    "queued": {"carrier_status": "queued"},
    "undelivered": {"carrier_status": "undelivered"},
    "rejected": {"status": "rejected"},
}
#: Sections that count the messages of one channel, whatever channel is asked for.
_CHANNELS: Final = {"report_overview_whatsapp": "whatsapp"}


def of_figure(section: Section, column: Column, query: ReportQuery) -> str:
    """The page behind a figure; empty: none."""
    name, report = column.name, query.report.name
    if report == "campaign" and name in TABS:
        return _recipients(query, TABS[name])
    if report == "overview" and name in _MESSAGES:
        return _messages(section, query, _MESSAGES[name])
    return ""


def of_value(column: Column, record: Record, query: ReportQuery) -> str:
    """The page behind a value in a table; empty: none."""
    report, value = query.report.name, record[column.name]
    if not value:
        return ""
    match column.name:
        case "recipient" if report != "person":
            return link("/person", {}, person=value)
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
    raw_params = {"campaign": [query.values["campaign"]], "tab": [tab]}
    return link("/recipients", {**raw_params, **more})


def _messages(section: Section, query: ReportQuery, words: Mapping[str, str]) -> str:
    """The messages behind a figure; empty: of a channel that nobody asks for."""
    raw_params, channel = query.raw_params(), _CHANNELS.get(section.view, "")
    if channel:
        if channel not in raw_params.get("channel", [channel]):
            return ""
        raw_params["channel"] = [channel]
    return link("/messages", {**raw_params, **_several(words)})


def _several(words: Mapping[str, str]) -> dict[str, list[str]]:
    return {name: [word] for name, word in words.items()}
