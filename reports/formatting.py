"""Values as people read them, and addresses of pages."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from functools import cache
from typing import Any, Final
from urllib.parse import urlencode
from zoneinfo import ZoneInfo

import pycountry

from reports.definition.report import Column

#: Kinds of values that stand under each other, right-aligned.
NUMERIC: Final = frozenset({"count", "credits", "share", "seconds", "number"})

Said = Mapping[str, Sequence[str]]


def shown(column: Column, value: Any, zone: str) -> str:
    """A value in words; empty when it is unknown."""
    if value is None or value == "":
        return ""
    match column.shown:
        case "count":
            return f"{value:,}"
        case "credits":
            return f"{value:,.2f}"
        case "share":
            return f"{value:.1%}"
        case "seconds":
            return seconds(value)
        case "time":
            return moment(value, zone)
        case "country":
            return country(value)
        case "flag":
            return "yes" if value else "no"
        case _:
            return ", ".join(map(str, value)) if isinstance(value, (list, tuple)) else str(value)


def seconds(value: float) -> str:
    """A span of time, in the unit people would choose."""
    if value < 100:
        return f"{value:.1f} s"
    if value < 6000:
        return f"{value / 60:.1f} min"
    return f"{value / 3600:.1f} h" if value < 172_800 else f"{value / 86_400:.1f} days"


def moment(value: datetime, zone: str) -> str:
    """A time in a zone."""
    return f"{value.astimezone(ZoneInfo(zone)):%d %b %Y, %H:%M:%S}"


def slot(value: datetime, zone: str, *, by_hour: bool) -> str:
    """The start of an hour or day in a zone."""
    local = value.astimezone(ZoneInfo(zone))
    return f"{local:%a %d %b, %H:%M}" if by_hour else f"{local:%a %d %b %Y}"


@cache
def country(code: str) -> str:
    """Name of a country; the code itself where nobody knows it."""
    found = pycountry.countries.get(alpha_2=code)
    return str(getattr(found, "common_name", found.name)) if found else code


def offset(zone: str, now: datetime) -> str:
    """How far a zone is from UTC now, such as UTC+05:30; empty for UTC itself."""
    text = f"{now.astimezone(ZoneInfo(zone)):%z}"
    return f"UTC{text[:3]}:{text[3:]}" if zone != "UTC" else ""


def link(path: str, raw_params: Said, **changes: str | int | Sequence[str] | None) -> str:
    """An address with these words, some of them changed; None or empty takes one away."""
    words: dict[str, Any] = {**raw_params, **changes}
    kept = {name: value for name, value in words.items() if value not in (None, "", [], ())}
    return f"{path}?{urlencode(kept, doseq=True)}" if kept else path


def page_number(word: str) -> int:
    """A page of a table as an address says it, from 1; what is no page is the first."""
    fits = word.isascii() and word.isdigit() and len(word) < 7
    return max(int(word), 1) if fits else 1
