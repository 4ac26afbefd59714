"""Timers of one partition: derived from the states, rebuilt with them, never stored."""

import heapq

SECOND_MS = 1_000


class Timers:
    """Which keys to look at when. A key may be due for nothing any more: its state decides.

    Times are epoch ms; due times are rounded up to whole seconds.
    """

    def __init__(self) -> None:
        self._due: dict[int, list[bytes]] = {}
        self._seconds: list[int] = []

    def set(self, key: bytes, at_ms: int) -> None:
        """Look at `key` as soon as the clock reaches `at_ms`."""
        second = -(-at_ms // SECOND_MS)
        keys = self._due.get(second)
        if keys is None:
            self._due[second] = [key]
            heapq.heappush(self._seconds, second)
        else:
            keys.append(key)

    def take_due(self, clock_ms: int, most: int) -> list[bytes]:
        """At most so many keys whose time has come, each timer once; the others stay."""
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
        """Whether a time has come and its key was not taken yet."""
        return bool(self._seconds) and self._seconds[0] * SECOND_MS <= clock_ms

    def __len__(self) -> int:
        return sum(len(keys) for keys in self._due.values())
