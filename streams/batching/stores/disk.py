"""A state store on disk: what changed since the last write, a cache, and a database.

Rows of the database, each behind the prefix of the table:

    v key             value: flags, second of its timer (4 bytes, if it has one), value
    t second key      timer
    d day key         the day of a value
    n name            note
    o                 offset of the changelog, number of keys
"""

from __future__ import annotations

import struct
import time
from collections.abc import Iterable, Iterator
from typing import Final

from streams.batching.stores.base import LASTING, SECOND_MS, Unfolded
from streams.batching.stores.cache import Cache
from streams.batching.stores.database import Database, after
from streams.batching.stores.index import Index

_MISSING: Final = object()

#: A store is written so often, whether it changed or not.
REST_S: Final = 600.0
_PLAIN: Final = b"\x00"
_TIMED: Final = b"\x01"
_STATUS: Final = struct.Struct(">qq")


class DiskStore:
    """One partition of one table.

    prefix: one byte; two tables of a database have different ones
    """

    durable = True

    def __init__(self, database: Database, prefix: bytes, cache: Cache) -> None:
        self._database = database
        self._prefix = prefix
        self._values, self._status = prefix + b"v", prefix + b"o"
        self._timer_rows, self._day_rows = prefix + b"t", prefix + b"d"
        self._note_rows = prefix + b"n"
        self._cache = cache
        self._cached = cache.segment()
        self._written_at = time.monotonic()
        self.refolding = False
        """Timers, days and notes are derived again from all values."""
        self.revert()

    def revert(self) -> None:
        """Go back to the last write."""
        if self.refolding:
            self._clear_derived()
        self._changed: dict[bytes, bytes | None] = {}
        self._frozen: dict[bytes, bytes | None] = {}
        self._seconds: dict[bytes, int] = {}
        self._frozen_seconds: dict[bytes, int] = {}
        self._rows: dict[bytes, bytes | None] = {}
        """By key: what the write in work writes."""
        self.offset, self._count = self._read_status()
        self._frozen_count = self._count
        self._timers = Index(self._database, self._timer_rows)
        self._days = Index(self._database, self._day_rows)
        self.timers = DiskTimers(self, self._timers)
        self.days = self._days
        self.notes = Notes(self._database, self._note_rows)

    def clear(self) -> None:
        """See StateStore."""
        self._database.clear(self._prefix, after(self._prefix))
        self._cached.clear()
        self.refolding = False
        self.revert()

    def _read_status(self) -> tuple[int, int]:
        found = self._database.get(self._status)
        return (-1, 0) if found is None else _STATUS.unpack(found)

    @property
    def is_changed(self) -> bool:
        """Whether something is not written."""
        parts = (self._timers, self._days, self.notes)
        return bool(self._changed or self._frozen or self._seconds or self._frozen_seconds) or any(
            part.is_changed for part in parts
        )

    @property
    def is_to_be_written(self) -> bool:
        """See StateStore: an idle store must not look like one that was left alone."""
        return self.is_changed or time.monotonic() - self._written_at > REST_S

    @property
    def changes(self) -> int:
        """Number of values that are not written."""
        return len(self._changed) + len(self._frozen)

    def close(self) -> None:
        """Forget the cache; the database is closed by its owner."""
        self._cache.remove(self._cached)

    # --- reading --------------------------------------------------------------------------------

    def get(self, key: bytes) -> bytes | None:
        """See StateStore."""
        value = self._changed.get(key, _MISSING)
        if value is _MISSING and self._frozen:
            value = self._frozen.get(key, _MISSING)
        if value is not _MISSING:
            return value  # type: ignore[return-value]
        row = self._row(key)
        return None if row is None else _value_of(row)

    def _row(self, key: bytes) -> bytes | None:
        """What was last written for a key."""
        try:
            return self._cached.get(key)
        except KeyError:
            row = self._database.get(self._values + key)
            self._cached.put(key, row)
            return row

    def __getitem__(self, key: bytes) -> bytes:
        value = self.get(key)
        if value is None:
            raise KeyError(key)
        return value

    def __contains__(self, key: object) -> bool:
        return isinstance(key, bytes) and self.get(key) is not None

    def __len__(self) -> int:
        return self._count

    def prefetch(self, keys: Iterable[bytes | None]) -> None:
        """See StateStore."""
        changed, frozen, cached = self._changed, self._frozen, self._cached
        missing = [
            key
            for key in dict.fromkeys(keys)
            if key is not None and key not in changed and key not in frozen and key not in cached
        ]
        if missing:
            rows = self._database.get_many([self._values + key for key in missing])
            for key, row in zip(missing, rows, strict=True):
                cached.put(key, row)

    def items_of(self, prefix: bytes) -> Iterator[tuple[bytes, bytes]]:
        """See StateStore."""
        changed = [key for key in self._frozen | self._changed if key.startswith(prefix)]
        seen, skip = set(changed), len(self._values)
        for row_key, _ in self._database.items(self._values + prefix, after(self._values + prefix)):
            key = row_key[skip:]
            if key not in seen and (value := self.get(key)) is not None:
                yield key, value
        for key in changed:
            if (value := self.get(key)) is not None:
                yield key, value

    # --- changing -------------------------------------------------------------------------------

    def __setitem__(self, key: bytes, value: bytes) -> None:
        if self.get(key) is None:
            self._count += 1
        self._changed[key] = value

    def discard(self, key: bytes) -> None:
        """See StateStore."""
        if self.get(key) is not None:
            self._count -= 1
            self.timers.clear(key)
            self._changed[key] = None

    def second_of(self, key: bytes) -> int:
        """The second at which a key is due; 0: never."""
        second = self._seconds.get(key)
        if second is None:
            second = self._frozen_seconds.get(key)
        if second is None:
            row = self._row(key)
            second = 0 if row is None else _second_of(row)
        return second

    def set_second(self, key: bytes, second: int) -> None:
        """Called by the timers."""
        self._seconds[key] = second

    # --- folding --------------------------------------------------------------------------------

    def refold(self) -> None:
        """Forget what follows from the values; `unfolded` will have all of them."""
        self.refolding = True
        self.revert()

    def _clear_derived(self) -> None:
        for rows in (self._timer_rows, self._day_rows):
            self._database.clear(rows, after(rows))
        self._database.clear(after(self._note_rows + LASTING), after(self._note_rows))

    def unfolded(self) -> Iterator[Unfolded]:
        """See StateStore."""
        if self.refolding:
            yield from (Unfolded(key, None, value) for key, value in self.items_of(b""))
            self.refolding = False
            return
        for key, value in list(self._changed.items()):
            row = self._row(key)
            yield Unfolded(key, None if row is None else _value_of(row), value)

    # --- writing --------------------------------------------------------------------------------

    def freeze(self) -> None:
        """See StateStore."""
        self._frozen |= self._changed
        self._frozen_seconds |= self._seconds
        self._changed, self._seconds = {}, {}
        self._frozen_count = self._count
        for part in (self._timers, self._days, self.notes):
            part.freeze()

    def write(self, offset: int, *, is_current: bool = True) -> None:
        """See StateStore. It may run in another thread, but not beside another write."""
        self._rows = self._frozen_rows()
        self._database.write(self._writes(offset), is_current=is_current)
        self._written_at = time.monotonic()

    def _writes(self, offset: int) -> Iterator[tuple[bytes, bytes | None]]:
        for key, row in self._rows.items():
            yield self._values + key, row
        yield from self._timers.changes()
        yield from self._days.changes()
        yield from self.notes.changes()
        yield self._status, _STATUS.pack(offset, self._frozen_count)

    def _frozen_rows(self) -> dict[bytes, bytes | None]:
        frozen, seconds = self._frozen, self._frozen_seconds
        rows: dict[bytes, bytes | None] = {}
        for key in [key for key in seconds if key not in frozen]:
            if (row := self._row(key)) is not None:
                rows[key] = _row_of(_value_of(row), seconds[key])
        for key, value in frozen.items():
            if value is None:
                rows[key] = None
                continue
            second = seconds.get(key)
            if second is None:
                row = self._row(key)
                second = 0 if row is None else _second_of(row)
            rows[key] = _row_of(value, second)
        return rows

    def written(self) -> int:
        """See StateStore."""
        count = len(self._rows)
        for key, row in self._rows.items():
            self._cached.put(key, row)
        self.offset, _ = self._read_status()
        self._rows, self._frozen, self._frozen_seconds = {}, {}, {}
        for part in (self._timers, self._days, self.notes):
            part.written()
        return count


class DiskTimers:
    """A timer is a row in the order of seconds; the row of its value has the second, too.

    So a key has one timer, and a new one replaces it.
    """

    def __init__(self, store: DiskStore, index: Index) -> None:
        self._store = store
        self._index = index

    def set(self, key: bytes, at_ms: int) -> None:
        """See Timers."""
        self._move(key, -(-at_ms // SECOND_MS))

    def clear(self, key: bytes) -> None:
        """See Timers."""
        self._move(key, 0)

    def _move(self, key: bytes, second: int) -> None:
        before = self._store.second_of(key)
        if before == second:
            return
        if before:
            self._index.remove(before, key)
        if second:
            self._index.add(second, key)
        self._store.set_second(key, second)

    def take_due(self, clock_ms: int, most: int) -> list[bytes]:
        """See Timers."""
        keys = self._index.take(clock_ms // SECOND_MS, most)
        for key in keys:
            self._store.set_second(key, 0)
        self._store.prefetch(keys)
        return keys

    def any_due(self, clock_ms: int) -> bool:
        """See Timers."""
        first = self._index.first()
        return first is not None and first * SECOND_MS <= clock_ms

    def __len__(self) -> int:
        return sum(1 for _ in self._index)


class Notes(dict[bytes, bytes]):
    """Small values that are in memory and in the database."""

    def __init__(self, database: Database, prefix: bytes) -> None:
        skip = len(prefix)
        super().__init__((key[skip:], row) for key, row in database.items(prefix, after(prefix)))
        self._prefix = prefix
        self._changed: dict[bytes, bytes | None] = {}
        self._frozen: dict[bytes, bytes | None] = {}

    def __setitem__(self, name: bytes, note: bytes) -> None:
        super().__setitem__(name, note)
        self._changed[name] = note

    def __delitem__(self, name: bytes) -> None:
        super().__delitem__(name)
        self._changed[name] = None

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
        return ((self._prefix + name, note) for name, note in self._frozen.items())

    def written(self) -> None:
        """It is in the database."""
        self._frozen = {}


def _row_of(value: bytes, second: int) -> bytes:
    return _TIMED + second.to_bytes(4, "big") + value if second else _PLAIN + value


def _value_of(row: bytes) -> bytes:
    return row[5:] if row[0] else row[1:]


def _second_of(row: bytes) -> int:
    return int.from_bytes(row[1:5], "big") if row[0] else 0
