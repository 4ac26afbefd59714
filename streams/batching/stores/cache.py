"""Recently used rows in memory, within a number of bytes for all stores of a process."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from itertools import islice
from typing import Final

#: What Python needs for a key, a row and their place in a dict, besides their bytes.
_OVERHEAD: Final = 200
_AT_ONCE: Final = 100


class Cache:
    """Two generations: what is used goes to the young one; when that is full the old one goes.

    limit: bytes
    """

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self._half = limit // 2
        self._young_bytes = self._old_bytes = 0
        self._segments: list[Segment] = []
        self._counting = threading.Lock()
        self.found = self.missed = 0
        """Rows that were looked for and were in it, or were not."""

    def count(self, *, found: int = 0, missed: int = 0) -> None:
        """Called by stores, from several threads."""
        with self._counting:
            self.found += found
            self.missed += missed

    @property
    def size(self) -> int:
        """Bytes of its rows, at most."""
        return self._young_bytes + self._old_bytes

    def segment(self) -> Segment:
        """A part of the cache for one store."""
        segment = Segment(self)
        self._segments.append(segment)
        return segment

    def remove(self, segment: Segment) -> None:
        """Forget a segment and what it has."""
        self._segments.remove(segment)

    def grow(self, size: int) -> None:
        """Called by segments: a row became young."""
        self._young_bytes += size
        if self._young_bytes > self._half:
            self._young_bytes, self._old_bytes = 0, self._young_bytes
            for segment in self._segments:
                segment.age()


class Segment:
    """Rows of one store; None: the database has no row for a key."""

    __slots__ = ("_cache", "_old", "_young")

    def __init__(self, cache: Cache) -> None:
        self._cache = cache
        self._young: dict[bytes, bytes | None] = {}
        self._old: dict[bytes, bytes | None] = {}

    def get(self, key: bytes) -> bytes | None:
        """The row of a key. Raises KeyError when the cache does not know it."""
        try:
            return self._young[key]
        except KeyError:
            row = self._old.pop(key)
            self.put(key, row)
            return row

    def __contains__(self, key: object) -> bool:
        return key in self._young or key in self._old

    def put(self, key: bytes, row: bytes | None) -> None:
        """Keep a row for a while."""
        self._old.pop(key, None)
        self._young[key] = row
        self._cache.grow(len(key) + len(row or b"") + _OVERHEAD)

    def put_all(self, rows: Mapping[bytes, bytes | None]) -> None:
        """Keep rows for a while, some at a time: the limit holds meanwhile."""
        left = iter(rows.items())
        while some := dict(islice(left, _AT_ONCE)):
            for key in some.keys() & self._old.keys():
                del self._old[key]
            self._young.update(some)
            size = sum(map(len, some)) + sum(map(len, filter(None, some.values())))
            self._cache.grow(size + len(some) * _OVERHEAD)

    def age(self) -> None:
        """Forget what is old; what is young becomes old."""
        self._old, self._young = self._young, {}

    def clear(self) -> None:
        """Forget all."""
        self._old, self._young = {}, {}
