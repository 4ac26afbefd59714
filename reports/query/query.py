"""Queries of reports: raw parameters in, checked values out, or all issues at once.

The clock and the account's time zone are arguments.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import UTC, date, datetime, time, timedelta
from typing import Any, Final, Self
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
from reports.query.reading import read_value

DEFAULT_DAYS: Final = 7
MAX_DAYS: Final = 400
_PERIOD_NAMES: Final = ("since", "until", "last")
_WITH_SUPPRESSED: Final = "with_suppressed"
#: Periods up to this many days are broken down by hour.
HOURLY_DAYS: Final = 2
#: The newest rows are first looked for in the newest part of a period, one sixteenth of it.
_NEWEST_PARTS: Final = 16
#: The days of a report that is about all times: further apart than any event.
_FIRST_DAY: Final = date(1970, 1, 2)
_LAST_DAY: Final = date(2200, 1, 1)

RawParams = Mapping[str, Sequence[str]]
"""Texts by filter name, as an address or a command line gives them."""


class InvalidQuery(ValueError):
    """A query cannot be run. issues: everything that is wrong with it."""

    def __init__(self, issues: Sequence[Issue]) -> None:
        super().__init__("\n".join(map(str, issues)))
        self.issues = tuple(issues)


class Period(msgspec.Struct, frozen=True):
    """Whole days of a time zone, first to last inclusive."""

    first: date
    last: date
    zone: str

    @classmethod
    def everything(cls, zone: str) -> Self:
        """All times."""
        return cls(_FIRST_DAY, _LAST_DAY, zone)

    @property
    def is_everything(self) -> bool:
        """Whether it is all times."""
        return (self.first, self.last) == (_FIRST_DAY, _LAST_DAY)

    @property
    def days(self) -> int:
        """Number of days."""
        return (self.last - self.first).days + 1

    @property
    def since(self) -> datetime:
        """Start of the first day, UTC."""
        return _midnight(self.first, self.zone)

    @property
    def until(self) -> datetime:
        """End of the last day, exclusive, UTC."""
        return _midnight(self.last + timedelta(days=1), self.zone)

    @property
    def by_hour(self) -> bool:
        """Whether figures over time are by hour instead of by day."""
        return self.days <= HOURLY_DAYS

    @property
    def whole_hours(self) -> bool:
        """Whether its days begin on a full hour of UTC. In India and Nepal they do not."""
        midnights = (
            _midnight(self.first + timedelta(days=day), self.zone) for day in range(self.days + 1)
        )
        return all(not (moment.minute or moment.second) for moment in midnights)

    def newest_since(self, now: datetime) -> datetime | None:
        """Start of the newest sixteenth, UTC: small enough that a read in vain costs little.

        None: the period has not begun.
        """
        until = min(self.until, now.astimezone(UTC))
        return until - (until - self.since) / _NEWEST_PARTS if until > self.since else None


class ReportQuery(msgspec.Struct, frozen=True):
    """A checked query of a report.

    values: of the report's own filters by name; neutral ("" or []) where none was given. now: when
    the query was made. all_texts: whether it shows the texts of verification messages.
    """

    report: Report
    account: str
    period: Period
    values: dict[str, Any]
    now: datetime
    all_texts: bool = False

    @property
    def has_period(self) -> bool:
        """Whether it is about chosen days."""
        return self.report.has_period and not self.period.is_everything

    def sql(self, section: Section) -> str:
        """The SELECT of a section."""
        return section.sql_with_all_texts if self.all_texts else section.sql

    def with_suppressed(self) -> ReportQuery:
        """The same with the people whom it leaves out because they are suppressed."""
        if _WITH_SUPPRESSED not in self.values:
            return self
        return msgspec.structs.replace(self, values={**self.values, _WITH_SUPPRESSED: "yes"})

    def parameters(
        self,
        section: Section | SharedQuery,
        limit: int = 0,
        offset: int = 0,
        since: datetime | None = None,
    ) -> dict[str, Any]:
        """ClickHouse parameters of a section.

        limit: maximum rows, 0 for all. since: a later start of the period, to read less.
        """
        known = {
            "account": self.account,
            "zone": self.period.zone,
            "since": _sql_time(since or self.period.since),
            "until": _sql_time(self.period.until),
            "by_hour": self.period.by_hour,
            "limit": limit or 2**63 - 1,
            "offset": offset,
            **self.values,
        }
        if "whole_hours" in section.parameters:
            known["whole_hours"] = self.period.whole_hours
        return {name: known[name] for name in section.parameters}

    def count_sql(self, section: Section) -> str:
        """The SELECT of a section's row count: from the counters where they suffice."""
        total = section.counter_total
        if total is None or not self.period.whole_hours:
            return section.count_sql
        used = {
            one.name for one in self.report.own_filters if one.condition and self.values[one.name]
        }
        return total.sql if used <= total.supported_filters else section.count_sql

    def columns(self, section: Section, more: Collection[str] = ()) -> tuple[Column, ...]:
        """The columns of a section that this query shows. more: names of further ones."""
        chosen = {""}
        for name in COLUMN_FILTERS:
            value = self.values.get(name, ())
            chosen.update([value] if isinstance(value, str) else value)
        return tuple(
            one
            for one in section.columns
            if one.name in more or (not one.optional and one.dimension in chosen)
        )

    def raw_params(self) -> dict[str, list[str]]:
        """The query as raw parameters again, without neutral values: for links."""
        params = _period_params(self.period) if self.has_period else {}
        for name, value in self.values.items():
            texts = [str(one) for one in (value if isinstance(value, list) else [value])]
            if any(texts):
                params[name] = texts
        return params


def parse_query(
    report: Report,
    account: str,
    zone: str,
    raw_params: RawParams,
    now: datetime,
    *,
    all_texts: bool = False,
) -> ReportQuery:
    """Check raw parameters. A report with a period also takes `since`, `until` and `last`.

    zone: IANA name. all_texts: as of `ReportQuery`. Raises InvalidQuery with all issues; unknown
    parameters are issues too.
    """
    issues: list[Issue] = []
    given = {name: [one for one in texts if one] for name, texts in raw_params.items()}
    values = {one.name: _value(one, given, issues) for one in report.own_filters}
    today = now.astimezone(ZoneInfo(zone)).date()
    period, period_names = _period_of(report, values, given, zone, today, issues)
    known = {*values, *period_names}
    fix = f"use {_listed(known)}"
    unknown = sorted(given.keys() - known)
    issues += [Issue(name, "is not a filter of this report", fix) for name in unknown]
    if issues:
        raise InvalidQuery(issues)
    return ReportQuery(report, account, period, values, now, all_texts)


def _value(one: Filter, given: RawParams, issues: list[Issue]) -> Any:
    texts = given.get(one.name, ()) or one.default
    if one.choices and (unknown := [text for text in texts if text not in one.choices]):
        problem = f"{_listed(unknown)} is not known"
        issues.append(Issue(one.name, problem, one.fix or f"use {_listed(one.choices)}"))
    if len(texts) > 1 and not one.several:
        issues.append(Issue(one.name, "is given more than once", "give one value"))
    if one.required and not texts:
        issues.append(Issue(one.name, "is missing", one.fix or f"give {one.meaning}"))
    if one.several:
        return list(texts)
    if not texts:
        return ""
    found = read_value(one, texts[0], next(iter(given.get("identifier", ())), ""))
    if isinstance(found, Issue):
        issues.append(found)
        return texts[0]
    return found


def _period_of(
    report: Report,
    values: Mapping[str, Any],
    given: RawParams,
    zone: str,
    today: date,
    issues: list[Issue],
) -> tuple[Period, tuple[str, ...]]:
    """The period of a query, and the names of the parameters that may set it."""
    if report.all_by_default and not any(given.get(name) for name in _PERIOD_NAMES):
        return Period.everything(zone), (*COMMON_FILTERS, "last")
    if report.has_period:
        return _period(given, zone, today, issues), (*COMMON_FILTERS, "last")
    if not report.range_days:
        return _period({}, zone, today, issues), ("account",)
    text = values["range"]
    back = int(text) if len(text) == 1 and text.isdecimal() else 0
    last = today - timedelta(days=back * report.range_days)
    return Period(last - timedelta(days=report.range_days - 1), last, zone), ("account",)


def _period_params(period: Period) -> dict[str, list[str]]:
    return {"since": [period.first.isoformat()], "until": [period.last.isoformat()]}


def _period(given: RawParams, zone: str, today: date, issues: list[Issue]) -> Period:
    repeated = [name for name in ("since", "until", "last") if len(given.get(name, ())) > 1]
    issues += [Issue(name, "is given more than once", "give one value") for name in repeated]
    days = _days(given.get("last", ()), issues)
    last = _day("until", given, today, issues)
    first = _day("since", given, last - timedelta(days=days - 1), issues)
    if first > last:
        issues.append(Issue("since", f"{first} is after {last}", "give a day before until"))
    elif (last - first).days >= MAX_DAYS:
        problem = f"the period has {(last - first).days + 1} days"
        issues.append(Issue("since", problem, f"give at most {MAX_DAYS} days"))
    return Period(first, last, zone)


def _days(texts: Sequence[str], issues: list[Issue]) -> int:
    if not texts:
        return DEFAULT_DAYS
    number = texts[0].removesuffix("d")
    if re.fullmatch("[0-9]{1,4}", number) and 1 <= int(number) <= MAX_DAYS:
        return int(number)
    start = texts[0][:20]
    issues.append(Issue("last", f"{start!r} is not a number of days", f"give 1 to {MAX_DAYS}"))
    return DEFAULT_DAYS


def _day(name: str, given: RawParams, default: date, issues: list[Issue]) -> date:
    texts = given.get(name, ())
    if not texts:
        return default
    try:
        found = date.fromisoformat(texts[0])
        if not 2000 <= found.year <= 2100:
            raise ValueError("not between 2000 and 2100")
    except ValueError:
        issues.append(Issue(name, f"{texts[0]!r} is not a date", "write it as 2026-11-22"))
        return default
    return found


def _midnight(day: date, zone: str) -> datetime:
    """The first moment of a day, UTC. Some clock changes skip midnight; then it is the next one."""
    return datetime.combine(day, time(), ZoneInfo(zone)).astimezone(UTC)


def _sql_time(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%d %H:%M:%S.000")


def _listed(texts: Iterable[str]) -> str:
    return ", ".join(sorted(texts))
