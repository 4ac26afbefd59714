"""Options that are a moment: --since and --until."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from typing import Any, Final

import click

_Option = Callable[[Callable[..., None]], Callable[..., None]]
_AGO: Final = re.compile(r"(\d{1,6})\s*([smhdw])")
_SECONDS: Final = {"s": 1, "m": 60, "h": 3_600, "d": 86_400, "w": 604_800}
FORMS: Final = "2h (s, m, h, d, w ago), 2026-11-01 or 2026-11-01T12:00:00Z"


def moment_of(written: str, now_ms: int, *, ends: bool = False) -> int:
    """Epoch ms of what a person writes. Raises ValueError.

    ends: it ends a period: a day is meant with its last hour
    """
    text = written.strip()
    if ago := _AGO.fullmatch(text.lower()):
        return max(0, now_ms - int(ago[1]) * _SECONDS[ago[2]] * 1000)
    try:
        if re.fullmatch(r"\d{4}-\d\d-\d\d", text):
            day = date.fromisoformat(text) + timedelta(days=1 if ends else 0)
            at = datetime(day.year, day.month, day.day, tzinfo=UTC)
        else:
            at = datetime.fromisoformat(text)
    except (ValueError, OverflowError):
        raise ValueError(f"{written!r} is not a time. Fix: {FORMS}") from None
    if at.tzinfo is None:
        raise ValueError(f"{written!r} has no zone. Fix: add Z for UTC, or +01:00")
    return int(at.timestamp() * 1000)


class Moment(click.ParamType):
    """Epoch ms; see moment_of()."""

    name = "moment"

    def __init__(self, *, ends: bool = False) -> None:
        self._ends = ends

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        """Ends the command with exit code 2 for what is no time."""
        try:
            return moment_of(str(value), time.time_ns() // 1_000_000, ends=self._ends)
        except ValueError as error:
            self.fail(str(error), param, ctx)


def since(*, required: bool = False) -> _Option:
    """The option --since."""
    text = f"Callbacks that came then or later: {FORMS}."
    return click.option("--since", type=Moment(), metavar="TIME", required=required, help=text)


def until() -> _Option:
    """The option --until."""
    text = "Callbacks that came before it, or within this day; default: now."
    return click.option("--until", type=Moment(ends=True), metavar="TIME", help=text)
