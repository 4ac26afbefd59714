"""What somebody asks of a report: words in, checked values out, or every mistake at once.

The clock and the account's time zone are arguments.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, date, datetime, time, timedelta
from typing import Any, Final
from zoneinfo import ZoneInfo

import msgspec

from models.issues import Issue
from reports.definition.report import (
    COLUMN_FILTERS,
    COMMON_FILTERS,
    Column,
    Filter,
    Report,
    Section,
    SharedQuery,
)

DEFAULT_DAYS: Final = 7
MOST_DAYS: Final = 400
#: Periods up to this many days are broken down by hour.
HOURLY_DAYS: Final = 2
#: Of a period, the part that newest rows are looked for in first.
_NEWEST: Final = 16


class InvalidQuery(ValueError):
    """Everything that is wrong with a question."""

    def __init__(self, issues: Sequence[Issue]) -> None:
        super().__init__("\n".join(map(str, issues)))
        self.issues = tuple(issues)


class Period(msgspec.Struct, frozen=True):
    """Whole days of a time zone, the last one included."""

    first: date
    last: date
    zone: str

    @property
    def days(self) -> int:
        """How many days."""
        return (self.last - self.first).days + 1

    @property
    def since(self) -> datetime:
        """The moment it begins, UTC."""
        return _midnight(self.first, self.zone)

    @property
    def until(self) -> datetime:
        """The moment after it, UTC."""
        return _midnight(self.last + timedelta(days=1), self.zone)

    @property
    def by_hour(self) -> bool:
        """Whether it is broken down by hour."""
        return self.days <= HOURLY_DAYS

    @property
    def whole_hours(self) -> bool:
        """Whether its days and hours begin with hours of UTC: not so in India and Nepal."""
        midnights = (
            _midnight(self.first + timedelta(days=day), self.zone) for day in range(self.days + 1)
        )
        return all(not (moment.minute or moment.second) for moment in midnights)

    def recent(self, now: datetime) -> datetime | None:
        """When the newest part of it begins, UTC: a sixteenth, so that looking there first costs
        little where it is not enough. None: it has not begun."""
        until = min(self.until, now.astimezone(UTC))
        return until - (until - self.since) / _NEWEST if until > self.since else None


class ReportQuery(msgspec.Struct, frozen=True):
    """A checked question. values: of the report's own filters, neutral where nothing was said. now:
    when it was asked."""

    report: Report
    account: str
    period: Period
    values: dict[str, Any]
    now: datetime

    def parameters(
        self,
        section: Section | SharedQuery,
        limit: int = 0,
        offset: int = 0,
        since: datetime | None = None,
    ) -> dict[str, Any]:
        """Query parameters of a section. limit: rows at most, 0 for all. since: within the period,
        where not all of it is read."""
        known = {
            "account": self.account,
            "zone": self.period.zone,
            "since": _wire(since or self.period.since),
            "until": _wire(self.period.until),
            "by_hour": self.period.by_hour,
            "whole_hours": self.period.whole_hours,
            "limit": limit or 2**63 - 1,
            "offset": offset,
            **self.values,
        }
        return {name: known[name] for name in section.parameters}

    def count_sql(self, section: Section) -> str:
        """How many rows a `rows` section has in all: by the counters, where they know."""
        tally = section.tally
        if tally is None or not self.period.whole_hours:
            return section.count_sql
        raw_params = {
            one.name for one in self.report.own_filters if one.condition and self.values[one.name]
        }
        return tally.sql if raw_params <= tally.knows else section.count_sql

    def columns(self, section: Section) -> tuple[Column, ...]:
        """The columns of a section that answer this question, when nobody chose others."""
        chosen = {""}
        for name in COLUMN_FILTERS:
            value = self.values.get(name, ())
            chosen.update([value] if isinstance(value, str) else value)
        return tuple(one for one in section.columns if not one.optional and one.dimension in chosen)

    def raw_params(self) -> dict[str, list[str]]:
        """The question as words again, without what is neutral: for links."""
        words = _said(self.period) if self.report.has_period else {}
        for name, value in self.values.items():
            given = [str(one) for one in (value if isinstance(value, list) else [value])]
            if any(given):
                words[name] = given
        return words


def parse_query(
    report: Report, account: str, zone: str, raw_params: Mapping[str, Sequence[str]], now: datetime
) -> ReportQuery:
    """Check a question. said: words by filter name (`since`, `until` and `last` for the period,
    where the report has one).

    Unknown names are mistakes too. Raises InvalidQuery with all of them.
    """
    issues: list[Issue] = []
    given = {name: [one for one in words if one] for name, words in raw_params.items()}
    values = {one.name: _value(one, given.get(one.name, ()), issues) for one in report.own_filters}
    period, words = _when(report, values, given, now.astimezone(ZoneInfo(zone)), issues)
    known = {*values, *words}
    fix = f"use {_listed(known)}"
    unknown = sorted(given.keys() - known)
    issues += [Issue(name, "is no filter of this report", fix) for name in unknown]
    if issues:
        raise InvalidQuery(issues)
    return ReportQuery(report, account, period, values, now)


def _value(one: Filter, words: Sequence[str], issues: list[Issue]) -> Any:
    words = words or one.default
    if one.choices and (unknown := [word for word in words if word not in one.choices]):
        problem = f"{_listed(unknown)} is not known"
        issues.append(Issue(one.name, problem, one.fix or f"use {_listed(one.choices)}"))
    if len(words) > 1 and not one.several:
        issues.append(Issue(one.name, "is given more than once", "give one value"))
    if one.required and not words:
        issues.append(Issue(one.name, "is missing", one.fix or f"give {one.meaning}"))
    if one.several:
        return list(words)
    return words[0] if words else ""


def _when(
    report: Report,
    values: Mapping[str, Any],
    given: Mapping[str, Sequence[str]],
    now: datetime,
    issues: list[Issue],
) -> tuple[Period, tuple[str, ...]]:
    """The period asked for, and the words it can be asked for with. now: in the account's zone."""
    zone, today = str(now.tzinfo), now.date()
    if report.has_period:
        return _period(given, zone, today, issues), (*COMMON_FILTERS, "last")
    if not report.range_days:
        return _period({}, zone, today, issues), ("account",)
    word = values["range"]
    back = int(word) if len(word) == 1 and word.isdecimal() else 0
    last = today - timedelta(days=back * report.range_days)
    return Period(last - timedelta(days=report.range_days - 1), last, zone), ("account",)


def _said(period: Period) -> dict[str, list[str]]:
    return {"since": [period.first.isoformat()], "until": [period.last.isoformat()]}


def _period(
    given: Mapping[str, Sequence[str]], zone: str, today: date, issues: list[Issue]
) -> Period:
    several = [name for name in ("since", "until", "last") if len(given.get(name, ())) > 1]
    issues += [Issue(name, "is given more than once", "give one value") for name in several]
    days = _days(given.get("last", ()), issues)
    last = _day("until", given, today, issues)
    first = _day("since", given, last - timedelta(days=days - 1), issues)
    if first > last:
        issues.append(Issue("since", f"{first} is after {last}", "give a day before until"))
    elif (last - first).days >= MOST_DAYS:
        problem = f"the period has {(last - first).days + 1} days"
        issues.append(Issue("since", problem, f"ask for at most {MOST_DAYS} days"))
    return Period(first, last, zone)


def _days(words: Sequence[str], issues: list[Issue]) -> int:
    if not words:
        return DEFAULT_DAYS
    number = words[0].removesuffix("d")
    if re.fullmatch("[0-9]{1,4}", number) and 1 <= int(number) <= MOST_DAYS:
        return int(number)
    raw_params = words[0][:20]
    issues.append(Issue("last", f"{raw_params!r} is no number of days", f"give 1 to {MOST_DAYS}"))
    return DEFAULT_DAYS


def _day(name: str, given: Mapping[str, Sequence[str]], default: date, issues: list[Issue]) -> date:
    words = given.get(name, ())
    if not words:
        return default
    try:
        found = date.fromisoformat(words[0])
        if not 2000 <= found.year <= 2100:
            raise ValueError("not between 2000 and 2100")
    except ValueError:
        issues.append(Issue(name, f"{words[0]!r} is no date", "write it as 2026-11-22"))
        return default
    return found


def _midnight(day: date, zone: str) -> datetime:
    """The first moment of a day; where it has no midnight (some changes of the clock), the next."""
    return datetime.combine(day, time(), ZoneInfo(zone)).astimezone(UTC)


def _wire(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%d %H:%M:%S.000")


def _listed(words: Iterable[str]) -> str:
    return ", ".join(sorted(words))
