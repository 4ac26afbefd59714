"""What to do where there is nothing to see."""

from __future__ import annotations

from typing import Final

import msgspec

from reports.formatting import Said, link
from reports.pages.report.forms import Form, filters_of, without_period
from reports.query.accounts import is_known
from reports.query.database import Database
from reports.query.query import Asked

_LONGER: Final = (30, 365)


class Advice(msgspec.Struct, frozen=True):
    """What is the matter, in a sentence, and what to do about it: words and addresses."""

    words: str
    steps: list[tuple[str, str]]


def advice(database: Database, asked: Asked, said: Said, form: Form) -> Advice:
    """What to do about an empty page."""
    if not is_known(database, asked.account):
        words = f"No message of {asked.account} has arrived yet."
        how = "Publish its sends and receipts to Kafka (docs/quickstart.md), or look around with"
        return Advice(words, [(f"{how} `receipts demo`.", "")])
    steps = []
    if form.narrowed:
        steps.append(("Ask with fewer filters", form.cleared))
    if asked.report.has_period:
        steps += _longer(asked, said)
    if asked.report.range_days:
        steps.append(("Look at the 30 days before", _before(asked, said)))
    return Advice("Nothing fits what you ask for.", [one for one in steps if one[1]])


def _longer(asked: Asked, said: Said) -> list[tuple[str, str]]:
    kept = without_period(said)
    path = f"/{asked.report.name}"
    return [
        (f"Look at the last {days} days", link(path, kept, last=days))
        for days in _LONGER
        if days > asked.period.days
    ]


def _before(asked: Asked, said: Said) -> str:
    back = int(asked.values["range"] or 0) + 1
    return link(f"/{asked.report.name}", filters_of(said), range=back) if back < 6 else ""
