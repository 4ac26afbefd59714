"""A query as SQL to paste: a call of a section's view, with its parameters as literals."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from clickhouse_connect.driver.binding import str_query_value

from reports.definition.report import Section


def render_sql(
    section: Section, parameters: Mapping[str, Any], columns: Sequence[str] = ("*",)
) -> str:
    """The SELECT from the view. parameters: values of all parameters of the section."""
    arguments = ",\n".join(f"    {name} = {_literal(value)}" for name, value in parameters.items())
    return f"SELECT {', '.join(columns)}\nFROM {section.view}(\n{arguments}\n)"


def _literal(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(str_query_value(value))
