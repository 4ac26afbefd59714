"""How the texts of numbers, people and searches become values of a query."""

from __future__ import annotations

import re
from typing import Final

from models.issues import Issue
from models.numbers import is_person, person_from, person_of, without_separators
from reports.definition.report import Filter

FORM_OF_NUMBERS: Final = "write it with + and the country's code, such as +358401234567"
_DIGITS: Final = re.compile(r"\+?[0-9]+")
#: Shorter digits are rather an external id than a number.
_MIN_DIGITS: Final = 7


def read_value(one: Filter, text: str, identifier: str) -> str | Issue:
    """The value of a filter from its text, or what is wrong with it.

    Numbers get their canonical spelling, that of the person. identifier: kind of a `person`, as the
    filter of that name has it; "" decides by the text.
    """
    if one.reads == "number":
        return _number(one.name, text)
    if one.reads == "person" and (identifier == "number" or (not identifier and _is_like(text))):
        return _number(one.name, text)
    return _search(text) if one.reads == "search" else text


def _number(name: str, text: str) -> str | Issue:
    number = person_from(text)
    if number is None:
        start = text[:40]
        return Issue(name, f"{start!r} is not a number with a country code", FORM_OF_NUMBERS)
    return person_of(number)


def _is_like(text: str) -> bool:
    """Whether a text is meant as a number: it begins with +, or is digits and their separators."""
    if text.startswith("+") or is_person(text):
        return True
    plain = without_separators(text)
    return bool(_DIGITS.fullmatch(plain)) and len(plain) >= _MIN_DIGITS


def _search(text: str) -> str:
    """Part of a number without what people write between digits, and without the 00 before them.

    A whole number in another spelling is that of its person.
    """
    number = person_from(text)
    if number and person_of(number) != number:
        return person_of(number)
    plain = without_separators(text)
    if not _DIGITS.fullmatch(plain):
        return text
    return plain.removeprefix("00") if len(plain) > _MIN_DIGITS else plain
