"""Days of UTC, as retention and counters know them."""

from typing import Final

DAY_MS: Final = 86_400_000


def last_retirable_day(clock_ms: int, retention_days: int) -> int:
    """The latest day (since 1970) that ended at least `retention_days` before the clock."""
    return (clock_ms - retention_days * DAY_MS) // DAY_MS - 1
