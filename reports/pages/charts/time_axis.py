"""Hours and days as places on an axis: those without messages too, and the repeated hour twice."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Final
from zoneinfo import ZoneInfo

import altair as alt
import msgspec

from reports.query.query import Period

#: Five minutes, an hour, a day: what slots can be apart.
_STEPS: Final = (timedelta(minutes=5), timedelta(hours=1), timedelta(days=1))
#: The least distance of starts that is too long for slots of a length.
_LONGER: Final = {_STEPS[0]: timedelta(hours=1), _STEPS[1]: timedelta(hours=23)}
_MOST: Final = 800
#: Pixels of a label with day and hour, and of one with either.
_LONG: Final = 110
_SHORT: Final = 64


class Slots(msgspec.Struct, frozen=True):
    """The slots of an axis. words: local time in ISO form by the start of the slot, UTC; an hour
    that a change of the clock repeats has a second more the second time. step: their length."""

    words: Mapping[datetime, str]
    step: timedelta
    zone: str

    def raw_params(self, start: datetime) -> str:
        """A slot as people write it."""
        form = "%a %d %b" if self.step >= _STEPS[2] else "%a %d %b, %H:%M"
        return f"{start.astimezone(ZoneInfo(self.zone)):{form}}"

    def axis(self, width: int) -> alt.X:
        """The axis, with as many labels as fit. width: of the chart, in pixels."""
        words = list(self.words.values())
        days = len({word[:10] for word in words})
        form = "%e %b" if self.step >= _STEPS[2] else ("%H:%M" if days == 1 else "%e %b %H:%M")
        ticks = width // (_LONG if "%H" in form and days > 1 else _SHORT)
        return alt.X(
            "slot:O",
            title=None,
            scale=alt.Scale(domain=words, paddingInner=0.2),
            axis=alt.Axis(
                values=words[:: -(-len(words) // ticks)],
                labelExpr=f"utcFormat(toDate(datum.value + 'Z'), '{form}')",
                labelAngle=0,
                grid=False,
            ),
        )


def of_period(period: Period, times: Sequence[datetime] = ()) -> Slots:
    """Every hour or day of a period. times: starts that must have a place, whatever we think."""
    days = [period.first + timedelta(days=n) for n in range(period.days)]
    whole = [Period(day, day, period.zone) for day in days]
    if not period.by_hour:
        return _named([*(day.since for day in whole), *times], _STEPS[2], period.zone)
    hours = [hour for day in whole for hour in _between(day.since, day.until, _STEPS[1])]
    return _named([*hours, *times], _STEPS[1], period.zone)


def of_times(times: Sequence[datetime], zone: str) -> Slots:
    """Every slot from the first start to the last; their least distance tells how long one is."""
    least = min((later - start for start, later in pairwise(times)), default=_STEPS[1])
    step = next((one for one, longer in _LONGER.items() if least < longer), _STEPS[2])
    if step == _STEPS[2]:
        return _named([*_days(times, zone), *times], step, zone)
    if (times[-1] - times[0]) / step > _MOST:
        return _named(times, step, zone)
    return _named([*_between(times[0], times[-1], step), *times], step, zone)


def _between(first: datetime, until: datetime, step: timedelta) -> Iterator[datetime]:
    """Starts before the end; the last may be of a part: some clocks change by half an hour."""
    return (first + n * step for n in range(-((first - until) // step)))


def _days(times: Sequence[datetime], zone: str) -> Iterator[datetime]:
    first, last = (one.astimezone(ZoneInfo(zone)).date() for one in (times[0], times[-1]))
    return (
        Period(day, day, zone).since
        for day in (first + timedelta(days=n) for n in range((last - first).days + 1))
    )


def _named(starts: Iterable[datetime], step: timedelta, zone: str) -> Slots:
    seen, words = set[str](), {}
    for start in sorted({start.astimezone(UTC) for start in starts}):
        text = f"{start.astimezone(ZoneInfo(zone)):%Y-%m-%dT%H:%M:%S}"
        words[start] = text if text not in seen else text[:-1] + "1"
        seen.add(text)
    return Slots(words, step, zone)
