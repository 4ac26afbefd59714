"""A question as SQL to paste: the call of a section's view, its parameters as literals."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from reports.definition.report import Section


def pasted(section: Section, parameters: Mapping[str, Any], names: Sequence[str] = ("*",)) -> str:
    """The SELECT that asks the view. parameters: values of all that the section takes."""
    arguments = ",\n".join(f"    {name} = {_literal(value)}" for name, value in parameters.items())
    return f"SELECT {', '.join(names)}\nFROM {section.view}(\n{arguments}\n)"


def _literal(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, int):
        return str(value)
    if isinstance(value, list):
        return f"[{', '.join(map(_literal, value))}]"
    return "'" + str(value).replace("\\", "\\\\").replace("'", "\\'") + "'"
