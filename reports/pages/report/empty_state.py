"""What to do where there is nothing to see."""

from __future__ import annotations

from typing import Final

import msgspec

from reports.formatting import Said, link
from reports.pages.report.forms import Form, filters_of, without_period
from reports.query.accounts import is_known
from reports.query.database import Database
from reports.query.query import ReportQuery

_LONGER: Final = (30, 365)


class EmptyState(msgspec.Struct, frozen=True):
    """What is the matter, in a sentence, and what to do about it: words and addresses."""

    words: str
    steps: list[tuple[str, str]]


def empty_state(database: Database, query: ReportQuery, raw_params: Said, form: Form) -> EmptyState:
    """What to do about an empty page."""
    if not is_known(database, query.account):
        words = f"No message of {query.account} has arrived yet."
        how = "Publish its sends and receipts to Kafka (docs/quickstart.md), or look around with"
        return EmptyState(words, [(f"{how} `receipts demo`.", "")])
    steps = []
    if form.narrowed:
        steps.append(("Ask with fewer filters", form.cleared))
    if query.report.has_period:
        steps += _longer(query, raw_params)
    if query.report.range_days:
        steps.append(("Look at the 30 days before", _before(query, raw_params)))
    return EmptyState("Nothing fits what you ask for.", [one for one in steps if one[1]])


def _longer(query: ReportQuery, raw_params: Said) -> list[tuple[str, str]]:
    kept = without_period(raw_params)
    path = f"/{query.report.name}"
    return [
        (f"Look at the last {days} days", link(path, kept, last=days))
        for days in _LONGER
        if days > query.period.days
    ]


def _before(query: ReportQuery, raw_params: Said) -> str:
    back = int(query.values["range"] or 0) + 1
    return link(f"/{query.report.name}", filters_of(raw_params), range=back) if back < 6 else ""
