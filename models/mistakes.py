"""What is wrong with a setting, said so that it can be put right, and never with its secret."""

import re
from typing import NamedTuple

PREFIX = "RECEIPTS_"

_PASSWORD = re.compile(r"(://[^:/@]*):.*@|([?&]password)=[^&]*")


class Mistake(NamedTuple):
    """One thing wrong with one variable, and what to do about it."""

    variable: str
    wrong: str
    fix: str

    def __str__(self) -> str:
        return f"{self.variable}: {self.wrong}. Fix: {self.fix}"


class SettingsError(ValueError):
    """All mistakes of one mapping. The caller stops with exit code 2."""

    def __init__(self, mistakes: list[Mistake]) -> None:
        self.mistakes = tuple(mistakes)
        super().__init__("\n".join(map(str, mistakes)))


def mask_url(url: str) -> str:
    """The URL with its password, if it has one, replaced by three stars."""
    return _PASSWORD.sub(lambda m: f"{m[1]}:***@" if m[2] is None else f"{m[2]}=***", url)


def variable_of(field: str) -> str:
    """The environment variable of a field."""
    return PREFIX + field.upper()


def field_of(variable: str) -> str:
    """The field of an environment variable that starts with the prefix."""
    return variable.removeprefix(PREFIX).lower()
