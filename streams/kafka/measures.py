"""How long records wait, and other measures that a scrape must not miss."""

import time
from collections.abc import Callable, Hashable
from typing import Final

#: Of RecentMaximum.
WINDOW_S: Final = 30.0


class OldestWaiting:
    """Since when the oldest record of each partition waits, from looks repeated once a second.

    clock: epoch seconds
    """

    def __init__(self, clock: Callable[[], float] = time.time) -> None:
        self._clock = clock
        self._known: dict[Hashable, tuple[int, float]] = {}
        """The offset of the last look, and since when its record waits."""

    def look(
        self, partition: Hashable, lag: int, offset: int, timestamp_ms: int | None, done_ms: int
    ) -> float | None:
        """Epoch seconds; None: no record waits.

        lag: offsets from `offset`, the first that is not done, to the end of the partition
        timestamp_ms: of the record at `offset`, -1: it has none; None: it is not fetched yet
        done_ms: timestamp of the last record that is done, -1: none

        A record waits since its timestamp, or since it was seen first if that is earlier: a
        timestamp of the future must not hide that it waits. One that is not fetched is about as old
        as the last one done, if records were waiting all the time; else it is new.
        """
        if lag <= 0:
            self._known.pop(partition, None)
            return None
        now = self._clock()
        known_offset, known_since = self._known.get(partition, (offset, now))
        if known_offset == offset:
            since = known_since
        else:
            since = now if timestamp_ms is not None else max(known_since, _moment(done_ms, now))
        if timestamp_ms is not None:
            since = min(since, _moment(timestamp_ms, now))
        self._known[partition] = offset, since
        return since

    def forget(self) -> None:
        """Start again: partitions were assigned."""
        self._known.clear()


def _moment(timestamp_ms: int, now: float) -> float:
    return min(timestamp_ms / 1000, now) if timestamp_ms >= 0 else now


class RecentMaximum:
    """The greatest value of the last 30 to 60 s: what lasts a second is in some scrape.

    clock: seconds
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._began_at = clock()
        self._before = 0.0
        self._now = 0.0

    def note(self, value: float) -> None:
        """A value was measured just now."""
        self._now = max(self._now, value)

    def value(self) -> float:
        """The greatest; 0 when none is positive."""
        now = self._clock()
        if now - self._began_at > WINDOW_S:
            self._before, self._now, self._began_at = self._now, 0.0, now
        return max(self._before, self._now)


def ahead_s(timestamp_ms: int) -> float:
    """Seconds by which the timestamp of a record that was read just now is ahead of the clock of
    this machine. Either this clock is behind, or that of a producer is ahead."""
    return timestamp_ms / 1000 - time.time()
