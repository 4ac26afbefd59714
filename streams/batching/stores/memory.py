"""A state store in memory: everything is derived again when a partition is opened."""

from __future__ import annotations

import heapq
from collections import defaultdict
from collections.abc import Iterable, Iterator

from streams.batching.stores.base import SECOND_MS, Unfolded, second_at


class MemoryTimers:
    """Timers in a heap; a timer that was cleared stays until it is due."""

    def __init__(self) -> None:
        self._due: dict[int, list[bytes]] = {}
        self._seconds: list[int] = []

    def set(self, key: bytes, at_ms: int) -> None:
        """See Timers."""
        second = second_at(at_ms)
        keys = self._due.get(second)
        if keys is None:
            self._due[second] = [key]
            heapq.heappush(self._seconds, second)
        else:
            keys.append(key)

    def clear(self, key: bytes) -> None:
        """Nothing: to find its timer would cost more than to take it in vain."""

    def take_due(self, clock_ms: int, most: int) -> list[bytes]:
        """See Timers."""
        taken: list[bytes] = []
        while self._seconds and self._seconds[0] * SECOND_MS <= clock_ms and len(taken) < most:
            keys, room = self._due[self._seconds[0]], most - len(taken)
            taken += keys[:room]
            if len(keys) > room:
                self._due[self._seconds[0]] = keys[room:]
            else:
                del self._due[heapq.heappop(self._seconds)]
        return taken

    def any_due(self, clock_ms: int) -> bool:
        """See Timers."""
        return bool(self._seconds) and self._seconds[0] * SECOND_MS <= clock_ms

    def __len__(self) -> int:
        return sum(len(keys) for keys in self._due.values())


class MemoryDays:
    """Keys by day; a key that moved to another day stays in the list of the old one."""

    def __init__(self) -> None:
        self._keys: defaultdict[int, list[bytes]] = defaultdict(list)

    def add(self, day: int, key: bytes) -> None:
        """See Days."""
        self._keys[day].append(key)

    def remove(self, day: int, key: bytes) -> None:
        """Nothing: to find it would cost more than to take it in vain."""

    def take(self, last_day: int, most: int) -> list[bytes]:
        """See Days."""
        taken: list[bytes] = []
        while len(taken) < most and (day := self.first()) is not None and day <= last_day:
            keys = self._keys[day]
            room = most - len(taken)
            taken += keys[-room:]
            del keys[-room:]
            if not keys:
                del self._keys[day]
        return taken

    def first(self) -> int | None:
        """See Days."""
        return min(self._keys, default=None)


class MemoryStore(dict[bytes, bytes]):
    """A dict with timers and days."""

    durable = False
    refolding = False
    offset = -1
    is_changed = False
    is_to_be_written = False
    changes = 0

    def __init__(self, values: Iterable[tuple[bytes, bytes]] = ()) -> None:
        super().__init__(values)
        self._derive()

    def _derive(self) -> None:
        self.timers = MemoryTimers()
        self.days = MemoryDays()
        self.notes: dict[bytes, bytes] = {}

    def items_of(self, prefix: bytes) -> Iterator[tuple[bytes, bytes]]:
        """See StateStore."""
        return (item for item in list(self.items()) if item[0].startswith(prefix))

    def prefetch(self, keys: Iterable[bytes | None]) -> None:
        """Nothing: all values are in memory."""

    def put(self, key: bytes, value: bytes, *, is_new: bool) -> None:
        """See StateStore."""
        self[key] = value

    def discard(self, key: bytes) -> None:
        """See StateStore."""
        self.pop(key, None)

    def unfolded(self) -> Iterator[Unfolded]:
        """All values: what follows from them is forgotten first."""
        self._derive()
        return ((key, None, value) for key, value in self.items())

    def freeze(self) -> None:
        """Nothing: it does not outlive the process."""

    def write(self, offset: int, *, is_current: bool = True) -> None:
        """Nothing."""

    def written(self) -> int:
        """Nothing."""
        return 0

    def revert(self) -> None:
        """Nothing: all is in memory alone."""
