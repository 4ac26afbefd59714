"""The form of a report's filters: what was said stays in it, with what is wrong at its field."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

import msgspec

from reports.asked import Asked, Wrong
from reports.pages.words import Said, link
from reports.report import EVERYWHERE, Filter, Report

#: Words of a page's address that are no filters.
OF_THE_PAGE: Final = ("page", "columns")
_PERIODS: Final = (("1", "Today"), ("7", "7 days"), ("30", "30 days"))


class Choice(msgspec.Struct, frozen=True):
    """One value to choose."""

    value: str
    label: str
    chosen: bool


class Field(msgspec.Struct, frozen=True):
    """One filter as a field. kind: date, one (of choices), some (of choices), any or text."""

    name: str
    label: str
    meaning: str
    kind: str
    value: str = ""
    choices: list[Choice] = []
    example: str = ""
    wrong: str = ""

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
    """All fields, and what is wrong besides them. narrowed: whether any filter is set."""

    fields: list[Field]
    presets: list[Preset]
    wrongs: list[Wrong]
    narrowed: bool


def form_of(report: Report, said: Said, wrongs: Sequence[Wrong], asked: Asked | None) -> Form:
    """The form. said: words as they came. asked: what they mean, unless something is wrong."""
    problems = {
        one.name: f"{one.problem[0].upper()}{one.problem[1:]}: {one.fix}." for one in wrongs
    }
    shown = dict(said)
    if asked:
        shown |= asked.said()
    fields = [
        _field(one, shown.get(one.name, ()), problems.get(one.name, ""))
        for one in report.filters
        if one.name != "account"
    ]
    named = {field.name for field in fields}
    own = {one.name for one in report.own_filters}
    others = [one for one in wrongs if one.name not in named]
    return Form(fields, _presets(report, said, asked), others, bool(own & said.keys()))


def _field(one: Filter, words: Sequence[str], wrong: str) -> Field:
    kind = _kind(one)
    value = ", ".join(words) if kind in ("date", "text", "one") else ""
    known = one.choices or tuple(words)
    choices = [Choice(word, spoken(word), word in words) for word in known]
    return Field(one.name, one.label, one.meaning, kind, value, choices, one.example, wrong)


def _kind(one: Filter) -> str:
    if one.name in EVERYWHERE:
        return "date"
    if one.choices:
        return "some" if one.several else "one"
    return "any" if one.several else "text"


def spoken(word: str) -> str:
    """A word of a filter as people write it."""
    return {"sms": "SMS", "whatsapp": "WhatsApp"}.get(word, word.replace("_", " ").capitalize())


def _presets(report: Report, said: Said, asked: Asked | None) -> list[Preset]:
    if not any(one.name == "since" for one in report.filters):
        return []
    kept = {name: words for name, words in said.items() if name not in ("since", "until", "last")}
    days = _last_days(said, asked)
    path = f"/{report.name}"
    return [
        Preset(label, link(path, kept, last=number, page=None), days == number)
        for number, label in _PERIODS
    ]


def _last_days(said: Said, asked: Asked | None) -> str:
    """Which preset is in force; empty: days of one's own choice."""
    if "since" in said or "until" in said or not asked:
        return ""
    return str(asked.period.days)


def words_of(pairs: Sequence[tuple[str, str]]) -> dict[str, list[str]]:
    """The words of an address by name, without empty ones."""
    found: dict[str, list[str]] = {}
    for name, word in pairs:
        if word.strip():
            found.setdefault(name, []).append(word.strip())
    return found


def without_page(said: Mapping[str, Sequence[str]]) -> dict[str, Sequence[str]]:
    """The words that are filters."""
    return {name: words for name, words in said.items() if name not in OF_THE_PAGE}
