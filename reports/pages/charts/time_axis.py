"""Time axes: every hour or day has a place, also those without messages and repeated hours."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Final
from zoneinfo import ZoneInfo

import altair as alt
import msgspec

from reports.query.query import Period

#: Lengths of slots.
_FIVE_MINUTES: Final = timedelta(minutes=5)
_HOUR: Final = timedelta(hours=1)
_DAY: Final = timedelta(days=1)
#: Starts that are at least so far apart have longer slots.
_TOO_FAR_APART: Final = {_FIVE_MINUTES: timedelta(hours=1), _HOUR: timedelta(hours=23)}
_MAX_SLOTS: Final = 800
#: Pixels of a label with day and hour, and of a label with one of them.
_LONG_LABEL: Final = 110
_SHORT_LABEL: Final = 64


class Slots(msgspec.Struct, frozen=True):
    """The slots of an axis.

    names: by start (UTC), the local time in ISO 8601; unique, since an hour that a clock change
    repeats gets one second more the second time. step: length of a slot. zone: IANA name.
    """

    names: Mapping[datetime, str]
    step: timedelta
    zone: str

    def format(self, start: datetime) -> str:
        """Local day, or day and hour, of a slot."""
        form = "%a %d %b" if self.step >= _DAY else "%a %d %b, %H:%M"
        return f"{start.astimezone(ZoneInfo(self.zone)):{form}}"

    def axis(self, width: int) -> alt.X:
        """The axis with as many labels as fit. width: of the chart, in pixels."""
        names = list(self.names.values())
        days = len({name[:10] for name in names})
        form = "%e %b" if self.step >= _DAY else ("%H:%M" if days == 1 else "%e %b %H:%M")
        ticks = width // (_LONG_LABEL if "%H" in form and days > 1 else _SHORT_LABEL)
        return alt.X(
            "slot:O",
            title=None,
            scale=alt.Scale(domain=names, paddingInner=0.2),
            axis=alt.Axis(
                values=names[:: -(-len(names) // ticks)],
                labelExpr=f"utcFormat(toDate(datum.value + 'Z'), '{form}')",
                labelAngle=0,
                grid=False,
            ),
        )


def of_period(period: Period, times: Sequence[datetime] = ()) -> Slots:
    """Every hour or day of a period. times: further starts that need a place."""
    days = [period.first + timedelta(days=n) for n in range(period.days)]
    whole = [Period(day, day, period.zone) for day in days]
    if not period.by_hour:
        return _named([*(day.since for day in whole), *times], _DAY, period.zone)
    hours = [hour for day in whole for hour in _between(day.since, day.until, _HOUR)]
    return _named([*hours, *times], _HOUR, period.zone)


def of_times(times: Sequence[datetime], zone: str) -> Slots:
    """Every slot from the first start to the last. Their shortest distance gives the length."""
    shortest = min((later - start for start, later in pairwise(times)), default=_HOUR)
    step = next((one for one, longer in _TOO_FAR_APART.items() if shortest < longer), _DAY)
    if step == _DAY:
        return _named([*_days(times, zone), *times], step, zone)
    if (times[-1] - times[0]) / step > _MAX_SLOTS:
        return _named(times, step, zone)
    return _named([*_between(times[0], times[-1], step), *times], step, zone)


def _between(first: datetime, until: datetime, step: timedelta) -> Iterator[datetime]:
    """Starts before the end. The last slot may be shorter: some clocks change by half an hour."""
    return (first + n * step for n in range(-((first - until) // step)))


def _days(times: Sequence[datetime], zone: str) -> Iterator[datetime]:
    first, last = (one.astimezone(ZoneInfo(zone)).date() for one in (times[0], times[-1]))
    return (
        Period(day, day, zone).since
        for day in (first + timedelta(days=n) for n in range((last - first).days + 1))
    )


def _named(starts: Iterable[datetime], step: timedelta, zone: str) -> Slots:
    seen, names = set[str](), {}
    for start in sorted({start.astimezone(UTC) for start in starts}):
        text = f"{start.astimezone(ZoneInfo(zone)):%Y-%m-%dT%H:%M:%S}"
        names[start] = text if text not in seen else text[:-1] + "1"
        seen.add(text)
    return Slots(names, step, zone)
