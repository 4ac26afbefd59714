"""The tabs of a campaign's recipients, each with how many people are behind it."""

from __future__ import annotations

from concurrent.futures import Executor
from typing import Final

import msgspec

from reports.asked import Asked
from reports.database import Database
from reports.pages.forms import is_page, spoken
from reports.pages.words import Said, link
from reports.report import Filter, Report

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


def tabs_of(database: Database, pool: Executor, asked: Asked, said: Said) -> list[Tab]:
    """Every tab of a report that has some; all are counted at once, in threads of the pool."""
    found = tab_filter(asked.report)
    if found is None:
        return []
    section = asked.report.sections[0]
    asking = asked.parameters(section)
    waiting = {
        word: pool.submit(database.rows, section.count_sql, {**asking, "tab": word})
        for word in found.choices
    }
    counts = {word: int(one.result().rows[0][0]) for word, one in waiting.items()}
    kept = {name: words for name, words in said.items() if not is_page(name)}
    chosen, path = asked.values["tab"] or _FIRST, f"/{asked.report.name}"
    return [
        Tab(word, spoken(word), counts[word], link(path, kept, tab=word), word == chosen)
        for word in found.choices
    ]
