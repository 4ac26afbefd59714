"""The tabs of a campaign's recipients, each with its number of people."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, cast

import msgspec

from reports.catalogue.recipients import CAMPAIGNS, LINKS
from reports.definition.audience import Action, condition_for
from reports.definition.report import Filter, Report, Section
from reports.formatting import label_of
from reports.pages.report.params import PageParams
from reports.query.database import Database
from reports.query.query import ReportQuery

_DEFAULT: Final = "sent"


class Tab(msgspec.Struct, frozen=True):
    """One tab. count: people. to: address. here: whether it is the tab shown."""

    name: str
    label: str
    count: int
    to: str
    here: bool


def tabs_of(database: Database, query: ReportQuery, params: PageParams) -> list[Tab]:
    """The tabs of a report, counted in one query; empty for most reports. Raises DatabaseError."""
    tabs = _tab_filter(query.report)
    if tabs is None:
        return []
    section = query.report.sections[0]
    sql = _count_sql(section, tabs.choices)
    (counts,) = database.rows(sql, query.parameters(section)).records()
    current, path = query.values["tab"] or _DEFAULT, f"/{query.report.name}"
    return [
        Tab(name, label_of(name), counts[name], params.link(path, tab=name), name == current)
        for name in tabs.choices
    ]


def _tab_filter(report: Report) -> Filter | None:
    return next((one for one in report.filters if one.name == "tab"), None)


def _count_sql(section: Section, actions: Sequence[str]) -> str:
    """A SELECT of the people of each tab: as many as the section has rows with that tab."""
    did_it = [
        f"({condition_for(cast(Action, action), CAMPAIGNS, LINKS)}) AS did_{action}"
        for action in actions
    ]
    counts = [
        f"uniqExactIf(recipient, did_{action} AND {_matches_links(action)}) AS {action}"
        for action in actions
    ]
    others = [one.condition for one in section.filters if "{tab:" not in one.condition]
    return (
        f"SELECT {', '.join(counts)} FROM (SELECT recipient, {', '.join(did_it)}"
        f" FROM {section.source} WHERE {' AND '.join(filter(None, others))})"
    )


def _matches_links(action: str) -> str:
    """`link` keeps people who clicked one of the links, except in the tab not_clicked."""
    return "true" if action == "not_clicked" else f"(empty({LINKS}) OR did_clicked)"
