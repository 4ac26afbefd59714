"""Days in a database: keys in the order of a number, as rows."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from streams.batching.stores.database import Database, after

#: Bytes of a number in a row.
WIDTH: Final = 4


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
        self._lowest = after(prefix)
        """No row that was added and is not written lies before it."""
        self._floor = prefix
        """No row of the database before it is there."""

    def add(self, number: int, key: bytes) -> None:
        """Add a key; number: at least 0, below 2**32."""
        row = self._row(number, key)
        self._changed[row] = True
        self._lowest = min(self._lowest, row)

    def remove(self, number: int, key: bytes) -> None:
        """Remove a key that was added with this number."""
        self._changed[self._row(number, key)] = False

    def take(self, last: int, most: int) -> list[bytes]:
        """Remove and return at most `most` keys with numbers up to and including `last`."""
        end, taken = self._row(last + 1, b""), list[bytes]()
        if self._lowest < end:
            taken = [row for row in self._added() if row < end]
            if len(taken) <= most:
                self._lowest = end
            taken = taken[:most]
        if len(taken) < most:
            self._take_written(end, most, taken)
        self._changed.update(dict.fromkeys(taken, False))
        start = len(self._prefix) + WIDTH
        return [row[start:] for row in taken]

    def _take_written(self, end: bytes, most: int, taken: list[bytes]) -> None:
        for row in self._database.keys(self._floor, end):
            if self._known(row) is None:
                if len(taken) == most:
                    self._floor = row
                    return
                taken.append(row)
        self._floor = max(self._floor, end)

    def first(self) -> int | None:
        """The lowest number that has keys; None: no key is there."""
        first = self._first_written()
        if first is None or self._lowest < first:
            first = min(self._added(), default=first)
            self._lowest = self._lowest if first is None else first
        start = len(self._prefix)
        return None if first is None else int.from_bytes(first[start : start + WIDTH], "big")

    def _first_written(self) -> bytes | None:
        for row in self._database.keys(self._floor, after(self._prefix)):
            if self._known(row) is None:
                self._floor = row
                return row
        return None

    def _added(self) -> list[bytes]:
        """Rows that are there and perhaps not written."""
        changed = self._changed
        frozen = [row for row, there in self._frozen.items() if there and row not in changed]
        return [*frozen, *(row for row, there in changed.items() if there)]

    def __iter__(self) -> Iterator[bytes]:
        """All rows that are there, without the prefix, in no order."""
        start = len(self._prefix)
        for row in self._database.keys(self._prefix, after(self._prefix)):
            if self._known(row) is None:
                yield row[start:]
        yield from (row[start:] for row in self._added())

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
        self._floor = min([self._floor, *(row for row, there in self._frozen.items() if there)])
        self._frozen = {}
        self._lowest = min(self._added(), default=after(self._prefix))

    def _known(self, row: bytes) -> bool | None:
        """Whether the changes have a row; None: the database decides."""
        there = self._changed.get(row)
        return self._frozen.get(row) if there is None else there

    def _row(self, number: int, key: bytes) -> bytes:
        return self._prefix + number.to_bytes(WIDTH, "big") + key
