"""Values formatted for people: the same on pages, in terminals and in charts."""

from __future__ import annotations

from datetime import datetime
from functools import cache
from typing import Any, Final
from zoneinfo import ZoneInfo

import pycountry

from reports.definition.report import Column

#: Formats of numbers: right-aligned in tables.
NUMERIC: Final = frozenset({"count", "credits", "share", "seconds", "number"})

_LABELS: Final = {
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


def format_value(column: Column, value: Any, zone: str) -> str:
    """A value as text; empty when it is unknown. zone: IANA name, for times."""
    if value is None or value == "":
        return ""
    match column.format:
        case "count":
            return f"{value:,}"
        case "credits":
            return f"{value:,.2f}"
        case "share":
            return f"{value:.1%}"
        case "seconds":
            return format_seconds(value)
        case "time":
            return format_time(value, zone)
        case "country":
            return country_name(value)
        case "flag":
            return "yes" if value else "no"
        case "text" if column.name == "fail_reason":
            return f"{value[:1].upper()}{value[1:]}"
        case _:
            return ", ".join(map(str, value)) if isinstance(value, (list, tuple)) else str(value)


def format_seconds(value: float) -> str:
    """A duration in seconds, minutes, hours or days."""
    if value < 100:
        return f"{value:.1f} s"
    if value < 6000:
        return f"{value / 60:.1f} min"
    return f"{value / 3600:.1f} h" if value < 172_800 else f"{value / 86_400:.1f} days"


def format_time(value: datetime, zone: str) -> str:
    """Date and time of day in a zone."""
    return f"{value.astimezone(ZoneInfo(zone)):%d %b %Y, %H:%M:%S}"


def format_slot(value: datetime, zone: str, *, by_hour: bool) -> str:
    """The start of an hour or day in a zone."""
    local = value.astimezone(ZoneInfo(zone))
    return f"{local:%a %d %b, %H:%M}" if by_hour else f"{local:%a %d %b %Y}"


@cache
def country_name(code: str) -> str:
    """Name of a country by its ISO 3166-1 alpha-2 code; an unknown code itself."""
    found = pycountry.countries.get(alpha_2=code)
    return str(getattr(found, "common_name", found.name)) if found else code


def utc_offset(zone: str, now: datetime) -> str:
    """Offset of a zone from UTC at a time, such as UTC+05:30; empty for UTC itself."""
    text = f"{now.astimezone(ZoneInfo(zone)):%z}"
    return f"UTC{text[:3]}:{text[3:]}" if zone != "UTC" else ""


def label_of(value: str, name: str = "") -> str:
    """Label of a value of a filter. name: of the filter."""
    if name == "range" and value.isdecimal():
        return f"{int(value) * 30} to {int(value) * 30 + 30} days ago"
    return _LABELS.get(value, value.replace("_", " ").capitalize())
