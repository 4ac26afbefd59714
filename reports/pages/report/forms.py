"""The form of a report's filters: what was said stays in it, with what is wrong at its field."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import msgspec

from models.issues import Issue
from reports.definition.report import COMMON_FILTERS, Filter, Report
from reports.formatting import Said, link
from reports.query.query import ReportQuery

#: Words of an address that say a period.
_OF_PERIOD: Final = ("since", "until", "last")
_SPOKEN: Final = {
    "sms": "SMS",
    "whatsapp": "WhatsApp",
    "soft": "Soft bounces",
    "hard": "Hard bounces",
    "not_clicked": "Did not click",
    "open_api_direct": "Open API, direct",
    "open_api_verification": "Open API, verification",
    "external_id": "External id",
    "email": "E-mail",
    "message_id": "Message id",
}
_PERIODS: Final = (("1", "Today"), ("7", "7 days"), ("30", "30 days"))


class Choice(msgspec.Struct, frozen=True):
    """One value to choose."""

    value: str
    label: str
    chosen: bool


class Field(msgspec.Struct, frozen=True):
    """One filter as a field.

    kind: date, flag, one (of choices), some (of choices), any (texts) or text.
    """

    name: str
    label: str
    meaning: str
    kind: str
    value: str = ""
    choices: list[Choice] = []
    example: str = ""
    wrong: str = ""
    required: bool = False

    @property
    def summary(self) -> str:
        """What is chosen, in a word or two."""
        chosen = [one.label for one in self.choices if one.chosen]
        return ", ".join(chosen[:2]) + (f" +{len(chosen) - 2}" if len(chosen) > 2 else "")


class Preset(msgspec.Struct, frozen=True):
    """A period at a touch."""

    label: str
    to: str
    chosen: bool


class Form(msgspec.Struct, frozen=True):
    """All fields, and what is wrong besides them.

    narrowed: whether any filter is set. cleared: the same without filters. kept: said, not shown.
    """

    fields: list[Field]
    presets: list[Preset]
    issues: list[Issue]
    narrowed: bool
    cleared: str
    kept: dict[str, Sequence[str]]

    @property
    def marked(self) -> bool:
        """Whether something is wrong at a field."""
        return any(field.wrong for field in self.fields)


def form_of(
    report: Report, raw_params: Said, issues: Sequence[Issue], query: ReportQuery | None
) -> Form:
    """The form. said: words as they came. asked: what they mean, unless something is wrong."""
    problems = {one.where: f"{one.problem}. {one.fix[:1].upper()}{one.fix[1:]}." for one in issues}
    shown = {**raw_params, **(query.raw_params() if query else {})}
    fields = [
        _field(one, shown.get(one.name, one.default), problems.get(one.name, ""))
        for one in report.filters
        if one.name not in ("account", "tab")
    ]
    named = {field.name for field in fields}
    own = {one.name for one in report.own_filters if not one.required}
    others = [one for one in issues if one.where not in named]
    kept = _kept(report, shown)
    return Form(
        [*fields, *_more_columns(report, raw_params)],
        _presets(report, raw_params, query),
        others,
        bool(own & raw_params.keys() - kept.keys()),
        link(f"/{report.name}", {one.name: shown.get(one.name, ()) for one in report.own_filters
                                 if one.required} | kept),
        kept,
    )  # fmt: skip


def _kept(report: Report, raw_params: Said) -> dict[str, Sequence[str]]:
    """What the form carries on without a field: the tab."""
    tab = any(one.name == "tab" for one in report.filters) and raw_params.get("tab")
    return {"tab": tab} if tab else {}


def _field(one: Filter, words: Sequence[str], wrong: str) -> Field:
    kind = _kind(one)
    value = ", ".join(words) if kind in ("date", "text", "one", "flag") else ""
    known = dict.fromkeys((*one.choices, *words))
    choices = [Choice(word, label_of(word, one.name), word in words) for word in known]
    meaning = one.meaning
    return Field(
        one.name, one.label, meaning, kind, value, choices, one.example, wrong, one.required
    )


def _more_columns(report: Report, raw_params: Said) -> list[Field]:
    """Columns that are shown to those who ask for them."""
    found = {
        one.name: one.label
        for section in report.sections
        for one in section.columns
        if one.optional and one.name != "content"
    }
    wanted = raw_params.get("columns", ())
    choices = [Choice(name, label, name in wanted) for name, label in found.items()]
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


def label_of(word: str, name: str = "") -> str:
    """A word of a filter as people write it. name: of the filter."""
    if name == "range" and word.isdecimal():
        return f"{int(word) * 30} to {int(word) * 30 + 30} days ago"
    return _SPOKEN.get(word, word.replace("_", " ").capitalize())


def _presets(report: Report, raw_params: Said, query: ReportQuery | None) -> list[Preset]:
    if not report.has_period:
        return []
    kept = without_period(raw_params)
    days = _last_days(raw_params, query)
    path = f"/{report.name}"
    return [
        Preset(label, link(path, kept, last=number), days == number) for number, label in _PERIODS
    ]


def _last_days(raw_params: Said, query: ReportQuery | None) -> str:
    """Which preset is in force; empty: days of one's own choice."""
    if "since" in raw_params or "until" in raw_params or not query:
        return ""
    return str(query.period.days)


def words_of(pairs: Sequence[tuple[str, str]]) -> dict[str, list[str]]:
    """The words of an address by name, without empty ones."""
    found: dict[str, list[str]] = {}
    for name, word in pairs:
        if word.strip():
            found.setdefault(name, []).append(word.strip())
    return found


def is_page(name: str) -> bool:
    """Whether a word of an address says which page of a table is shown."""
    return name == "page" or name.endswith("_page")


def without_period(raw_params: Said) -> dict[str, Sequence[str]]:
    """The words that hold for other periods too."""
    return {
        name: words
        for name, words in raw_params.items()
        if name not in _OF_PERIOD and not is_page(name)
    }


def filters_of(raw_params: Said) -> dict[str, Sequence[str]]:
    """The words that are filters."""
    return {
        name: words for name, words in raw_params.items() if name != "columns" and not is_page(name)
    }
