"""Timers of one partition: derived from stored values, rebuilt at a restore, never stored."""

import heapq

SECOND_MS = 1_000


class Timers:
    """Keys by the time they are due. A timer may be obsolete: the key's value decides.

    Times are epoch ms; due times are rounded up to whole seconds.
    """

    def __init__(self) -> None:
        self._due: dict[int, list[bytes]] = {}
        self._seconds: list[int] = []

    def set(self, key: bytes, at_ms: int) -> None:
        """Add a timer: `key` is due once the clock reaches `at_ms`."""
        second = -(-at_ms // SECOND_MS)
        keys = self._due.get(second)
        if keys is None:
            self._due[second] = [key]
            heapq.heappush(self._seconds, second)
        else:
            keys.append(key)

    def take_due(self, clock_ms: int, most: int) -> list[bytes]:
        """Remove and return at most `most` due keys; a key with two timers appears twice."""
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
        """Whether any key is due."""
        return bool(self._seconds) and self._seconds[0] * SECOND_MS <= clock_ms

    def __len__(self) -> int:
        return sum(len(keys) for keys in self._due.values())
