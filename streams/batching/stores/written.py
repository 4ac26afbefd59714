"""What a database has of a table, row by row: to be proved, not to be worked with."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from streams.batching.stores.database import Database, after
from streams.batching.stores.disk import DAYS, TIMERS, VALUES, second_of, value_of
from streams.batching.stores.index import number_and_key, numbered


class Row(NamedTuple):
    """A written value, and the second at which it is due; 0: never."""

    key: bytes
    value: bytes
    second: int


class WrittenTable:
    """The rows of one table. Changes that are not written are not seen.

    prefix: as of its DiskStore
    """

    def __init__(self, database: Database, prefix: bytes) -> None:
        self._database = database
        self._values, self._timers, self._days = prefix + VALUES, prefix + TIMERS, prefix + DAYS

    def values(self) -> Iterator[Row]:
        """All values, in the order of their keys."""
        skip = len(self._values)
        for key, row in self._database.items(self._values, after(self._values)):
            yield Row(key[skip:], value_of(row), second_of(row))

    def values_of(self, keys: Sequence[bytes]) -> list[Row | None]:
        """The values of some keys, in their order."""
        rows = self._database.get_many([self._values + key for key in keys])
        return [
            None if row is None else Row(key, value_of(row), second_of(row))
            for key, row in zip(keys, rows, strict=True)
        ]

    def timers(self) -> Iterator[tuple[int, bytes]]:
        """All rows of timers: second and key."""
        return self._numbered(self._timers)

    def days(self) -> Iterator[tuple[int, bytes]]:
        """All rows of days: day and key."""
        return self._numbered(self._days)

    def have_timers(self, pairs: Sequence[tuple[int, bytes]]) -> list[bool]:
        """Whether (second, key) has a row, in their order."""
        return self._have(self._timers, pairs)

    def have_days(self, pairs: Sequence[tuple[int, bytes]]) -> list[bool]:
        """Whether (day, key) has a row, in their order."""
        return self._have(self._days, pairs)

    def _numbered(self, prefix: bytes) -> Iterator[tuple[int, bytes]]:
        return (number_and_key(prefix, row) for row in self._database.keys(prefix, after(prefix)))

    def _have(self, prefix: bytes, pairs: Sequence[tuple[int, bytes]]) -> list[bool]:
        rows = [numbered(prefix, number, key) for number, key in pairs]
        return [row is not None for row in self._database.get_many(rows)]
