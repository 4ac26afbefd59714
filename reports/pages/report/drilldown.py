"""Where figures and values lead: the page that tells more about them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from reports.definition.report import Column, Section
from reports.formatting import link
from reports.query.query import Asked

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


def of_figure(section: Section, column: Column, asked: Asked) -> str:
    """The page behind a figure; empty: none."""
    name, report = column.name, asked.report.name
    if report == "campaign" and name in TABS:
        return _recipients(asked, TABS[name])
    if report == "overview" and name in _MESSAGES:
        return _messages(section, asked, _MESSAGES[name])
    return ""


def of_value(column: Column, record: Record, asked: Asked) -> str:
    """The page behind a value in a table; empty: none."""
    report, value = asked.report.name, record[column.name]
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
            return _recipients(asked, "clicked", link=[value])
        case "country" if report == "locations":
            return link("/messages", asked.said(), country=[value])
        case "strikes" if report == "suppressions":
            return link("/suppressions", asked.said(), recipient=record["recipient"])
    return ""


def _recipients(asked: Asked, tab: str, **more: Sequence[str]) -> str:
    said = {"campaign": [asked.values["campaign"]], "tab": [tab]}
    return link("/recipients", {**said, **more})


def _messages(section: Section, asked: Asked, words: Mapping[str, str]) -> str:
    """The messages behind a figure; empty: of a channel that nobody asks for."""
    said, channel = asked.said(), _CHANNELS.get(section.view, "")
    if channel:
        if channel not in said.get("channel", [channel]):
            return ""
        said["channel"] = [channel]
    return link("/messages", {**said, **_several(words)})


def _several(words: Mapping[str, str]) -> dict[str, list[str]]:
    return {name: [word] for name, word in words.items()}
