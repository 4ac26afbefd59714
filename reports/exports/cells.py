"""How one value is written: what a column holds decides, never the look of the value."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import datetime
from math import isfinite
from typing import Any, Final, Literal
from zoneinfo import ZoneInfo

from reports.definition.report import Column

Kind = Literal["text", "number", "time", "date", "flag", "list", "map"]
Write = Callable[[Any], Any]

_WRAPPED: Final = re.compile(r"(?:Nullable|LowCardinality)\((.*)\)")
_KINDS: Final[tuple[tuple[str, Kind], ...]] = (
    ("DateTime", "time"),
    ("Date", "date"),
    ("Bool", "flag"),
    ("Array", "list"),
    ("Map", "map"),
    ("Int", "number"),
    ("UInt", "number"),
    ("Float", "number"),
    ("Decimal", "number"),
)
#: Spreadsheets take a cell that starts like this for a formula (OWASP, "CSV injection"); the
#: full-width forms count where East Asian input does.
_FORMULA: Final = re.compile("[=+\\-@\t\r\n＝＋－＠]")
_HARMLESS: Final = re.compile(r"[+-]?[0-9]+(\.[0-9]+)?")


def kind_of(column: Column) -> Kind:
    """What a column holds."""
    if column.shown == "flag":
        return "flag"
    name = bare(column.type)
    return next((kind for start, kind in _KINDS if name.startswith(start)), "text")


def bare(type_: str) -> str:
    """A ClickHouse type without Nullable and LowCardinality."""
    while wrapped := _WRAPPED.fullmatch(type_):
        type_ = wrapped[1]
    return type_


def in_zone(column: Column, zone: str) -> Callable[[datetime], str]:
    """Writes a time as ISO 8601 with the zone's offset, as exactly as the column has it."""
    exact = "milliseconds" if bare(column.type).startswith("DateTime64") else "seconds"
    tz = ZoneInfo(zone)
    return lambda value: value.astimezone(tz).isoformat(timespec=exact)


def number(value: Any) -> Any:
    """A number as it is; what is no number (0 / 0) is unknown."""
    return value if not isinstance(value, float) or isfinite(value) else None


def escape_formula(text: str) -> str:
    """A text that no spreadsheet takes for a formula; numbers, also with their +, stay."""
    if _FORMULA.match(text) and not _HARMLESS.fullmatch(text):
        return "'" + text
    return text


def joined(values: list[Any] | dict[str, Any]) -> str:
    """Several values in one cell."""
    if isinstance(values, dict):
        return ", ".join(f"{name}={value}" for name, value in values.items())
    return ", ".join(map(str, values))
