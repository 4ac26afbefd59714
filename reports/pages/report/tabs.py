"""The tabs of a campaign's recipients, each with how many people are behind it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, cast

import msgspec

from reports.catalogue.recipients import CAMPAIGNS, LINKS
from reports.definition.audience import Action, condition_for
from reports.definition.report import Filter, Report, Section
from reports.formatting import Said, link
from reports.pages.report.forms import is_page, label_of
from reports.query.database import Database
from reports.query.query import ReportQuery

_FIRST: Final = "sent"


class Tab(msgspec.Struct, frozen=True):
    """One tab; count: people."""

    name: str
    label: str
    count: int
    to: str
    here: bool


def tab_filter(report: Report) -> Filter | None:
    """The filter that is shown as tabs."""
    return next((one for one in report.filters if one.name == "tab"), None)


def tabs_of(database: Database, query: ReportQuery, raw_params: Said) -> list[Tab]:
    """Every tab of a report that has some; all are counted in one pass."""
    found = tab_filter(query.report)
    if found is None:
        return []
    section = query.report.sections[0]
    sql = _counts(section, found.choices)
    (counts,) = database.rows(sql, query.parameters(section)).records()
    kept = {name: words for name, words in raw_params.items() if not is_page(name)}
    chosen, path = query.values["tab"] or _FIRST, f"/{query.report.name}"
    return [
        Tab(word, label_of(word), counts[word], link(path, kept, tab=word), word == chosen)
        for word in found.choices
    ]


def _counts(section: Section, words: Sequence[str]) -> str:
    """A SELECT of the people of each tab, as many as the section has rows with that tab."""
    did_it = [
        f"({condition_for(cast(Action, word), CAMPAIGNS, LINKS)}) AS did_{word}" for word in words
    ]
    counts = [f"uniqExactIf(recipient, did_{word} AND {_linked(word)}) AS {word}" for word in words]
    others = [one.condition for one in section.filters if "{tab:" not in one.condition]
    return (
        f"SELECT {', '.join(counts)} FROM (SELECT recipient, {', '.join(did_it)}"
        f" FROM {section.source} WHERE {' AND '.join(filter(None, others))})"
    )


def _linked(word: str) -> str:
    """Links narrow every tab to people who clicked one of them, but that of those who did not."""
    return "true" if word == "not_clicked" else f"(empty({LINKS}) OR did_clicked)"
