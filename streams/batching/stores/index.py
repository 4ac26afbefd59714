"""Keys in the order of a number, as rows of a database."""

from __future__ import annotations

import heapq
from collections.abc import Iterator

from streams.batching.stores.database import Database, after

_WIDTH = 4


class Index:
    """Rows `prefix + number + key` without a value. Changes wait for `freeze` and a write.

    Whatever is taken is deleted. The scan remembers where it ended: deleted rows at the beginning
    of a range would slow it down.
    """

    def __init__(self, database: Database, prefix: bytes) -> None:
        self._database = database
        self._prefix = prefix
        self._changed: dict[bytes, bool] = {}
        """Whether a row is there, by row: since the last freeze."""
        self._frozen: dict[bytes, bool] = {}
        self._added: list[bytes] = []
        """A heap of rows that were added; those that the changes do not confirm are obsolete."""
        self._floor = prefix
        """No row of the database before it is there."""

    def add(self, number: int, key: bytes) -> None:
        """Add a key; number: at least 0, below 2**32."""
        row = self._row(number, key)
        self._changed[row] = True
        heapq.heappush(self._added, row)

    def remove(self, number: int, key: bytes) -> None:
        """Remove a key that was added with this number."""
        self._changed[self._row(number, key)] = False

    def take(self, last: int, most: int) -> list[bytes]:
        """Remove and return at most `most` keys with numbers up to and including `last`."""
        end, taken = self._row(last + 1, b""), list[bytes]()
        while self._added and self._added[0] < end and len(taken) < most:
            row = heapq.heappop(self._added)
            if self._known(row):
                taken.append(row)
        self._added_are_taken(taken)
        if len(taken) < most:
            self._take_written(end, most, taken)
        start = len(self._prefix) + _WIDTH
        return [row[start:] for row in taken]

    def _added_are_taken(self, taken: list[bytes]) -> None:
        """One row may be in the heap twice."""
        taken[:] = dict.fromkeys(taken)
        self._changed.update(dict.fromkeys(taken, False))

    def _take_written(self, end: bytes, most: int, taken: list[bytes]) -> None:
        if self._floor >= end:
            return
        for row in self._database.keys(self._floor, end):
            if self._known(row) is None:
                if len(taken) == most:
                    self._floor = row
                    return
                self._changed[row] = False
                taken.append(row)
        self._floor = end

    def first(self) -> int | None:
        """The lowest number that has keys; None: no key is there."""
        while self._added and not self._known(self._added[0]):
            heapq.heappop(self._added)
        rows = self._added[:1]
        for row in self._database.keys(self._floor, after(self._prefix)):
            if self._known(row) is None:
                self._floor = row
                rows.append(row)
                break
        start = len(self._prefix)
        return int.from_bytes(min(rows)[start : start + _WIDTH], "big") if rows else None

    def __iter__(self) -> Iterator[bytes]:
        """All rows that are there, without the prefix, in no order."""
        start = len(self._prefix)
        changed = self._frozen | self._changed
        for row in self._database.keys(self._prefix, after(self._prefix)):
            if row not in changed:
                yield row[start:]
        yield from (row[start:] for row, there in changed.items() if there)

    @property
    def is_changed(self) -> bool:
        """Whether something is not written."""
        return bool(self._changed or self._frozen)

    def freeze(self) -> None:
        """What is changed from here on is not part of the next write."""
        self._frozen |= self._changed
        self._changed = {}

    def changes(self) -> Iterator[tuple[bytes, bytes | None]]:
        """What is frozen, to be written."""
        return ((row, b"" if there else None) for row, there in self._frozen.items())

    def written(self) -> None:
        """It is in the database."""
        added = [row for row, there in self._frozen.items() if there]
        self._floor = min([self._floor, *added])
        self._frozen = {}
        self._added = [row for row, there in self._changed.items() if there]
        heapq.heapify(self._added)

    def _known(self, row: bytes) -> bool | None:
        """Whether the changes have a row; None: the database decides."""
        there = self._changed.get(row)
        return self._frozen.get(row) if there is None else there

    def _row(self, number: int, key: bytes) -> bytes:
        return self._prefix + number.to_bytes(_WIDTH, "big") + key
