"""What to say where a query finds no rows."""

from __future__ import annotations

from reports.query.query import ReportQuery


def nothing_found(query: ReportQuery) -> str:
    """One sentence that names the person who was looked for."""
    person = query.values.get("person") or query.values.get("recipient")
    if not person:
        return "Nothing matches these filters."
    if query.report.all_by_default:
        start = f"No suppression of {person}"
    else:
        start = f"No message to {person} {_days(query)}"
    return f"{start}{' matches the other filters' if _narrows(query) else ''}."


def _days(query: ReportQuery) -> str:
    days = query.period.days
    return "on this day" if days == 1 else f"in these {days} days"


def _narrows(query: ReportQuery) -> bool:
    return any(
        query.values[one.name]
        for one in query.report.own_filters
        if one.condition and one.name not in ("person", "recipient")
    )
