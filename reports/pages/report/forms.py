"""The form of a report's filters: it keeps what was given and shows issues at their fields."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import msgspec

from models.issues import Issue
from reports.definition.report import COMMON_FILTERS, Filter, Report
from reports.formatting import label_of
from reports.pages.links import link
from reports.pages.report.params import PageParams
from reports.query.query import ReportQuery

#: Tabs are links; with_suppressed is about files only.
_WITHOUT_FIELD: Final = frozenset({"account", "tab", "with_suppressed"})
_PERIODS: Final = (("1", "Today"), ("7", "7 days"), ("30", "30 days"))


class Choice(msgspec.Struct, frozen=True):
    """One value to choose."""

    value: str
    label: str
    chosen: bool


class Field(msgspec.Struct, frozen=True):
    """One filter as a field.

    kind: date, flag, one (of choices), some (of choices), any (texts) or text. error: the issue of
    its value, with the fix; "" for none.
    """

    name: str
    label: str
    meaning: str
    kind: str
    value: str = ""
    choices: list[Choice] = []
    example: str = ""
    error: str = ""
    required: bool = False

    @property
    def summary(self) -> str:
        """The first two labels chosen, and how many more there are."""
        chosen = [one.label for one in self.choices if one.chosen]
        return ", ".join(chosen[:2]) + (f" +{len(chosen) - 2}" if len(chosen) > 2 else "")


class Preset(msgspec.Struct, frozen=True):
    """A link to a period up to today."""

    label: str
    to: str
    chosen: bool


class Form(msgspec.Struct, frozen=True):
    """All fields, and the issues that belong to none of them.

    narrowed: whether an optional filter is set. cleared: the page without optional filters. hidden:
    parameters without a field.
    """

    fields: list[Field]
    presets: list[Preset]
    issues: list[Issue]
    narrowed: bool
    cleared: str
    hidden: dict[str, Sequence[str]]

    @property
    def has_errors(self) -> bool:
        """Whether a field has an error."""
        return any(field.error for field in self.fields)


def form_of(
    report: Report, params: PageParams, issues: Sequence[Issue], query: ReportQuery | None
) -> Form:
    """The form of a page. query: made from the parameters; None when they have issues."""
    errors = {one.where: f"{one.problem}. {one.fix[:1].upper()}{one.fix[1:]}." for one in issues}
    given = {**params.filters, **(query.raw_params() if query else {})}
    fields = [
        _field(one, given.get(one.name, one.default), errors.get(one.name, ""))
        for one in report.filters
        if one.name not in _WITHOUT_FIELD
    ]
    names = {field.name for field in fields}
    has_tab = any(one.name == "tab" for one in report.filters) and given.get("tab")
    hidden = {"tab": given["tab"]} if has_tab else {}
    optional = {one.name for one in report.own_filters if not one.required} - _WITHOUT_FIELD
    required = {one.name: given.get(one.name, ()) for one in report.own_filters if one.required}
    return Form(
        fields=[*fields, *_more_columns(report, params)],
        presets=_presets(report, params, query),
        issues=[one for one in issues if one.where not in names],
        narrowed=bool(optional & params.filters.keys() - hidden.keys()),
        cleared=link(f"/{report.name}", required | hidden),
        hidden=hidden,
    )


def _field(one: Filter, texts: Sequence[str], error: str) -> Field:
    kind = _kind(one)
    known = dict.fromkeys((*one.choices, *texts))
    return Field(
        name=one.name,
        label=one.label,
        meaning=one.meaning,
        kind=kind,
        value=", ".join(texts) if kind in ("date", "text", "one", "flag") else "",
        choices=[Choice(text, label_of(text, one.name), text in texts) for text in known],
        example=one.example,
        error=error,
        required=one.required,
    )


def _more_columns(report: Report, params: PageParams) -> list[Field]:
    """The menu of the optional columns. Contents of messages are opened in place instead."""
    found = {
        one.name: one.label
        for section in report.sections
        for one in section.columns
        if one.optional and one.name != "content"
    }
    choices = [Choice(name, label, name in params.columns) for name, label in found.items()]
    meaning = "columns shown besides the usual ones, in exports too"
    return [Field("columns", "More columns", meaning, "some", choices=choices)] if found else []


def _kind(one: Filter) -> str:
    if one.name in COMMON_FILTERS:
        return "date"
    if one.choices == ("yes",):
        return "flag"
    if one.choices:
        return "some" if one.several else "one"
    return "any" if one.several else "text"


def _presets(report: Report, params: PageParams, query: ReportQuery | None) -> list[Preset]:
    if not report.has_period:
        return []
    path, current = f"/{report.name}", _last_days(params, query)
    periods = (("", "All"), *_PERIODS) if report.all_by_default else _PERIODS
    return [
        Preset(label, params.link_to_period(path, days), days == current) for days, label in periods
    ]


def _last_days(params: PageParams, query: ReportQuery | None) -> str | None:
    """The days of the period when it ends today, "" for all times; None when they were chosen."""
    if params.filters.keys() & {"since", "until"} or not query:
        return None
    return "" if query.period.is_everything else str(query.period.days)
