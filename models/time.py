"""Days of UTC, as retention and counters know them, and zones."""

from datetime import UTC, datetime, timedelta
from typing import Final
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

DAY_MS: Final = 86_400_000
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


def is_zone(name: str) -> bool:
    """Whether a name is one of the IANA database, as Europe/London."""
    try:
        ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return False
    return True


def rfc3339(at_ms: int) -> str:
    """A time in epoch ms as RFC 3339, UTC, to the millisecond."""
    at = _EPOCH + timedelta(milliseconds=at_ms)
    return at.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def last_retirable_day(clock_ms: int, retention_days: int) -> int:
    """The latest day (since 1970) that ended at least `retention_days` before the clock."""
    return (clock_ms - retention_days * DAY_MS) // DAY_MS - 1


#: Delivered this much before it was sent, in ms: a clock is wrong, and the delay is unknown.
MAX_CLOCK_ERROR_MS: Final = 300_000


def delay_of(sent_at: int, delivered_at: int) -> int | None:
    """Milliseconds from sent to delivered (both epoch ms); None: a clock is wrong.

    A small negative delay is a clock that differs, and counts as 0.
    """
    delay = delivered_at - sent_at
    return max(0, delay) if delay >= -MAX_CLOCK_ERROR_MS else None
