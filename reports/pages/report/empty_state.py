"""What a page shows when there is nothing to see: the reason, and what to do about it."""

from __future__ import annotations

from typing import Final

import msgspec

from reports.pages.links import link
from reports.pages.report.forms import Form
from reports.pages.report.params import PageParams
from reports.query.database import Database
from reports.query.lookups import is_known_account
from reports.query.nothing import nothing_found
from reports.query.query import ReportQuery

_LONGER_DAYS: Final = (30, 365)


class EmptyState(msgspec.Struct, frozen=True):
    """reason: one sentence. steps: what to do, each as a text and an address ("" for none)."""

    reason: str
    steps: list[tuple[str, str]]


def empty_state(
    database: Database, query: ReportQuery, params: PageParams, form: Form
) -> EmptyState:
    """Why a page is empty. Raises DatabaseError."""
    if not is_known_account(database, query.account):
        reason = f"No message of {query.account} has arrived yet."
        how = "Publish its sends and receipts to Kafka (docs/quickstart.md), or look around with"
        return EmptyState(reason, [(f"{how} `receipts demo`.", "")])
    steps = []
    if form.narrowed:
        steps.append(("Clear the filters", form.cleared))
    if query.has_period:
        steps += _longer_periods(query, params)
    if query.report.range_days:
        steps.append(("Show the 30 days before", _earlier_range(query, params)))
    return EmptyState(nothing_found(query), [one for one in steps if one[1]])


def _longer_periods(query: ReportQuery, params: PageParams) -> list[tuple[str, str]]:
    path = f"/{query.report.name}"
    return [
        (f"Show the last {days} days", params.link_to_period(path, days))
        for days in _LONGER_DAYS
        if days > query.period.days
    ]


def _earlier_range(query: ReportQuery, params: PageParams) -> str:
    back = int(query.values["range"] or 0) + 1
    return link(f"/{query.report.name}", params.filters, range=back) if back < 6 else ""
