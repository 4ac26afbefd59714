"""Days in a database: keys in the order of a number, as rows."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from streams.batching.stores.database import Database, after
from streams.batching.stores.unwritten import Unwritten

#: Bytes of a number in a row.
WIDTH: Final = 4


def numbered(prefix: bytes, number: int, key: bytes) -> bytes:
    """The row of a key in the order of a number, which is at least 0 and below 2**32."""
    return prefix + number.to_bytes(WIDTH, "big") + key


def number_and_key(prefix: bytes, row: bytes) -> tuple[int, bytes]:
    """What `numbered` made a row of."""
    start = len(prefix)
    return int.from_bytes(row[start : start + WIDTH], "big"), row[start + WIDTH :]


class Index:
    """Rows `prefix + number + key` without a value. Changes wait for a write.

    Whatever is taken is deleted. The scan remembers where it ended: deleted rows at the beginning
    of a range would slow it down.
    """

    def __init__(self, database: Database, prefix: bytes) -> None:
        self._database = database
        self._prefix = prefix
        self.unwritten: Unwritten[bool] = Unwritten()
        """Whether a row is there, by row."""
        self._lowest = after(prefix)
        """No row that was added and is not written lies before it."""
        self._floor = prefix
        """No row of the database before it is there."""

    def add(self, number: int, key: bytes) -> None:
        """Add a key; number: at least 0, below 2**32."""
        row = numbered(self._prefix, number, key)
        self.unwritten.changed[row] = True
        if row < self._lowest:
            self._lowest = row

    def remove(self, number: int, key: bytes) -> None:
        """Remove a key that was added with this number."""
        self.unwritten.changed[numbered(self._prefix, number, key)] = False

    def take(self, last: int, most: int) -> list[bytes]:
        """Remove and return at most `most` keys with numbers up to and including `last`."""
        end, taken = numbered(self._prefix, last + 1, b""), list[bytes]()
        if self._lowest < end:
            taken = [row for row in self._added() if row < end]
            if len(taken) <= most:
                self._lowest = end
            taken = taken[:most]
        if len(taken) < most:
            self._take_written(end, most, taken)
        self.unwritten.changed.update(dict.fromkeys(taken, False))
        start = len(self._prefix) + WIDTH
        return [row[start:] for row in taken]

    def _take_written(self, end: bytes, most: int, taken: list[bytes]) -> None:
        for row in self._database.keys(self._floor, end):
            if row not in self.unwritten:
                if len(taken) == most:
                    self._floor = row
                    return
                taken.append(row)
        self._floor = max(self._floor, end)

    def first(self) -> int | None:
        """The lowest number that has keys; None: no key is there."""
        end = after(self._prefix)
        first = self._first_written() or end
        if self._lowest < first:
            self._lowest = min(self._added(), default=end)
            first = min(first, self._lowest)
        return None if first == end else number_and_key(self._prefix, first)[0]

    def _first_written(self) -> bytes | None:
        for row in self._database.keys(self._floor, after(self._prefix)):
            if row not in self.unwritten:
                self._floor = row
                return row
        return None

    def _added(self) -> list[bytes]:
        """Rows that are there and perhaps not written."""
        return [row for row, there in self.unwritten.items() if there]

    def __iter__(self) -> Iterator[bytes]:
        """All rows that are there, without the prefix, in no order."""
        start = len(self._prefix)
        for row in self._database.keys(self._prefix, after(self._prefix)):
            if row not in self.unwritten:
                yield row[start:]
        yield from (row[start:] for row in self._added())

    def changes(self) -> Iterator[tuple[bytes, bytes | None]]:
        """What is frozen, to be written."""
        return ((row, b"" if there else None) for row, there in self.unwritten.frozen.items())

    def written(self) -> None:
        """What was frozen is in the database."""
        frozen = self.unwritten.frozen
        self._floor = min([self._floor, *(row for row, there in frozen.items() if there)])
        self.unwritten.written()
        self._lowest = min(self._added(), default=after(self._prefix))
