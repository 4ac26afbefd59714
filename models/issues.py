"""Issues: what is wrong with a user's input, and how to fix it. Secrets are masked."""

import re
from typing import NamedTuple

PREFIX = "RECEIPTS_"

_LOGIN = re.compile(r"(://[^:/@]*):.*", re.DOTALL)
_PASSWORD = re.compile(r"([?&]password)=[^&]*")


class Issue(NamedTuple):
    """One problem: where (a variable, a filter, a topic), what is wrong, and the fix."""

    where: str
    problem: str
    fix: str

    def __str__(self) -> str:
        return f"{self.where}: {self.problem}. Fix: {self.fix}"


class SettingsError(ValueError):
    """Settings cannot be used; `issues` has all mistakes. The caller exits with code 2."""

    def __init__(self, issues: list[Issue]) -> None:
        self.issues = tuple(issues)
        super().__init__("\n".join(map(str, issues)))


def mask_url(url: str) -> str:
    """The URL with its password replaced by three asterisks."""
    # A password may have an @ too: the host follows the last one.
    login, at, host = url.rpartition("@")
    return _PASSWORD.sub(r"\1=***", _LOGIN.sub(r"\1:***", login) + at + host)


def variable_of(field: str) -> str:
    """The environment variable of a field."""
    return PREFIX + field.upper()


def file_variable_of(field: str) -> str:
    """The environment variable with the path of the file that holds a secret setting."""
    return variable_of(field) + "_FILE"


def field_of(variable: str) -> str:
    """The field of an environment variable that starts with the prefix."""
    return variable.removeprefix(PREFIX).lower()
