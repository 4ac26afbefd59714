"""JSON and times as simulated services write them."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from functools import lru_cache

from deploy.simulator.traffic.profiles import ZONES

_encode = json.JSONEncoder(separators=(",", ":"), ensure_ascii=False).encode
_escape = json.JSONEncoder(separators=(",", ":")).encode

Fields = dict[str, object]


def to_json(fields: Fields) -> bytes:
    """Compact UTF-8 JSON; ASCII with escapes where a text is not valid Unicode."""
    try:
        return _encode(fields).encode()
    except UnicodeEncodeError:
        return _escape(fields).encode()


@lru_cache(maxsize=100_000)
def _minute(minute: int, offset_minutes: int) -> str:
    return datetime.fromtimestamp((minute + offset_minutes) * 60, UTC).strftime("%Y-%m-%dT%H:%M:")


def stamp(ms: int, zone: str, seconds_only: bool = False) -> int | str:
    """A time (epoch ms) as a service would write it.

    zone: "ms" for epoch milliseconds, "Z", or a key of `ZONES`. seconds_only: writes no fraction;
    `ms` must then be whole seconds.
    """
    if zone == "ms":
        return ms
    offset = ZONES.get(zone, 0)
    minute, rest = divmod(ms, 60_000)
    second, fraction = divmod(rest, 1000)
    digits = "" if seconds_only else f".{fraction:03d}"
    return f"{_minute(minute, offset)}{second:02d}{digits}{zone}"


def key_of(fields: Fields) -> bytes:
    """The record key of a correct producer."""
    part = fields.get("message_id") or fields.get("recipient") or fields.get("campaign_id")
    return (f"{fields['account']}/{part}" if part else str(fields["account"])).encode()
