"""How values are written: the type of the column decides, never the value itself."""

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
#: Spreadsheets read a cell with this start as a formula (OWASP, "CSV injection"); the full-width
#: forms in East Asian locales.
_FORMULA: Final = re.compile("[=+\\-@\t\r\n＝＋－＠]")
#: Signed numbers are not formulas.
_NUMBER: Final = re.compile(r"[+-]?[0-9]+(\.[0-9]+)?")


def kind_of(column: Column) -> Kind:
    """What a column holds."""
    if column.format == "flag":
        return "flag"
    name = base_type(column.type)
    return next((kind for start, kind in _KINDS if name.startswith(start)), "text")


def base_type(type_: str) -> str:
    """A ClickHouse type without Nullable and LowCardinality."""
    while wrapped := _WRAPPED.fullmatch(type_):
        type_ = wrapped[1]
    return type_


def iso_time_writer(column: Column, zone: str) -> Callable[[datetime], str]:
    """A writer of times as ISO 8601 with the zone's offset, in the precision of the column."""
    precision = "milliseconds" if base_type(column.type).startswith("DateTime64") else "seconds"
    tz = ZoneInfo(zone)
    return lambda value: value.astimezone(tz).isoformat(timespec=precision)


def finite(value: Any) -> Any:
    """The number; None for NaN and infinity."""
    return value if not isinstance(value, float) or isfinite(value) else None


def escape_formula(text: str) -> str:
    """The text, with an apostrophe before it if a spreadsheet would read it as a formula."""
    if _FORMULA.match(text) and not _NUMBER.fullmatch(text):
        return "'" + text
    return text


def joined(values: list[Any] | dict[str, Any]) -> str:
    """The values of a list or map as one text."""
    if isinstance(values, dict):
        return ", ".join(f"{name}={value}" for name, value in values.items())
    return ", ".join(map(str, values))
