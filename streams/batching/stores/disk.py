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
from collections import UserDict
from collections.abc import Iterable, Iterator
from itertools import chain
from typing import Final

from streams.batching.stores.base import LASTING, SECOND_MS, Unfolded, second_at
from streams.batching.stores.cache import Cache
from streams.batching.stores.database import Database, after
from streams.batching.stores.index import WIDTH, Index, number_and_key, numbered
from streams.batching.stores.unwritten import Unwritten

_MISSING: Final = object()

_NEVER: Final = 1 << 40

#: A store is written so often, whether it changed or not.
REST_S: Final = 600.0
_PLAIN: Final = b"\x00"
_TIMED: Final = b"\x01"
_STATUS: Final = struct.Struct(">qq")

#: Kinds of rows, behind the prefix of the table.
VALUES: Final = b"v"
TIMERS: Final = b"t"
DAYS: Final = b"d"


class DiskStore:
    """One partition of one table.

    prefix: one byte; two tables of a database have different ones
    """

    durable = True

    def __init__(self, database: Database, prefix: bytes, cache: Cache) -> None:
        self._database = database
        self._prefix = prefix
        self._values, self._status = prefix + VALUES, prefix + b"o"
        self._timer_rows, self._day_rows = prefix + TIMERS, prefix + DAYS
        self._note_rows = prefix + b"n"
        self._cache = cache
        self._cached = cache.segment()
        self._written_at = time.monotonic()
        self._writes = 0
        self.refolding = False
        """Timers, days and notes are derived again from all values."""
        self.revert()

    def revert(self) -> None:
        """Go back to the last write."""
        if self.refolding:
            self._clear_derived()
        self._unwritten: Unwritten[bytes | None] = Unwritten()
        self._rows: dict[bytes, bytes | None] = {}
        """By key: what the write in work writes."""
        self._untimed: set[bytes] = set()
        """Keys whose row has the second of a timer that a refold has forgotten."""
        self.offset, self._count = self._read_status()
        self._frozen_count, self._writing_offset = self._count, self.offset
        self.timers = DiskTimers(self, self._database, self._timer_rows)
        self.days = Index(self._database, self._day_rows)
        self.notes = Notes(self._database, self._note_rows)
        self._parts = (self.timers, self.days, self.notes)

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
        return bool(self._unwritten) or any(part.unwritten for part in self._parts)

    @property
    def is_to_be_written(self) -> bool:
        """See StateStore: an idle store must not look like one that was left alone."""
        return self.is_changed or time.monotonic() - self._written_at > REST_S

    @property
    def changes(self) -> int:
        """Number of values that are not written."""
        return len(self._unwritten)

    def close(self) -> None:
        """Forget the cache; the database is closed by its owner."""
        self._cache.remove(self._cached)

    # --- reading --------------------------------------------------------------------------------

    def get(self, key: bytes) -> bytes | None:
        """See StateStore."""
        value = self._unwritten.get(key, _MISSING)
        if value is not _MISSING:
            return value  # type: ignore[return-value]
        row = self._row(key)
        return None if row is None else value_of(row)

    def _row(self, key: bytes) -> bytes | None:
        """What was last written for a key."""
        try:
            return self._cached.get(key)
        except KeyError:
            row = self._database.get(self._values + key)
            self._cached.put(key, row)
            self._cache.count(missed=1)
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
        unwritten, cached = self._unwritten, self._cached
        wanted = dict.fromkeys(keys)
        missing = [
            key for key in wanted if key is not None and key not in unwritten and key not in cached
        ]
        self._cache.count(found=len(wanted) - len(missing), missed=len(missing))
        if missing:
            rows = self._database.get_many([self._values + key for key in missing])
            cached.put_all(dict(zip(missing, rows, strict=True)))

    def items_of(self, prefix: bytes) -> Iterator[tuple[bytes, bytes]]:
        """See StateStore."""
        changed = [key for key, _ in self._unwritten.items() if key.startswith(prefix)]
        seen, skip, writes = set(changed), len(self._values), self._writes
        start, end = self._values + prefix, after(self._values + prefix)
        for row_key, row in self._database.items(start, end):
            key = row_key[skip:]
            if key in seen:
                continue
            # What is read together is as it was at the beginning.
            if writes == self._writes and key not in self._unwritten:
                yield key, value_of(row)
            elif (value := self.get(key)) is not None:
                yield key, value
        for key in changed:
            if (value := self.get(key)) is not None:
                yield key, value

    # --- changing -------------------------------------------------------------------------------

    def __setitem__(self, key: bytes, value: bytes) -> None:
        self.put(key, value, is_new=self.get(key) is None)

    def put(self, key: bytes, value: bytes, *, is_new: bool) -> None:
        """See StateStore."""
        self._count += is_new
        self._unwritten.changed[key] = value

    def discard(self, key: bytes) -> None:
        """See StateStore."""
        if self.get(key) is not None:
            self._count -= 1
            self.timers.clear(key)
            self._unwritten.changed[key] = None

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
            for key, kept in self.items_of(b""):
                self._forget_timer(key)
                yield key, None, kept
            self.refolding = False
            return
        for key, value in list(self._unwritten.changed.items()):
            row = self._row(key)
            yield key, None if row is None else value_of(row), value

    def _forget_timer(self, key: bytes) -> None:
        """The row of a timer is gone, but that of its value still has the second."""
        row = self._row(key)
        if row is not None and second_of(row):
            self._untimed.add(key)
            self.timers.clear(key)

    # --- writing --------------------------------------------------------------------------------

    def freeze(self) -> None:
        """See StateStore."""
        self._unwritten.freeze()
        self._frozen_count = self._count
        for part in self._parts:
            part.unwritten.freeze()

    def write(self, offset: int, *, is_current: bool = True) -> None:
        """See StateStore. It may run in another thread, but not beside another write."""
        self._writing_offset = offset
        self._rows, timers = self._frozen_rows()
        status = (self._status, _STATUS.pack(offset, self._frozen_count))
        values = ((self._values + key, row) for key, row in self._rows.items())
        changes = chain(values, timers, self.days.changes(), self.notes.changes(), [status])
        self._database.write(changes, is_current=is_current)
        self._written_at = time.monotonic()

    def _frozen_rows(
        self,
    ) -> tuple[dict[bytes, bytes | None], list[tuple[bytes, bytes | None]]]:
        """The rows of what is frozen: of values by key, and of timers."""
        frozen, seconds = self._unwritten.frozen, self.timers.unwritten.frozen
        rows: dict[bytes, bytes | None] = {}
        timers: list[tuple[bytes, bytes | None]] = []
        for key in frozen | seconds:
            known = self._row(key)
            value = frozen[key] if key in frozen else None if known is None else value_of(known)
            if known is None and value is None:
                continue
            before = second_of(known) if known is not None and key not in self._untimed else 0
            second = 0 if value is None else seconds.get(key, before)
            rows[key] = None if value is None else _row_of(value, second)
            if second != before:
                if before:
                    timers.append((numbered(self._timer_rows, before, key), None))
                if second:
                    timers.append((numbered(self._timer_rows, second, key), b""))
        return rows, timers

    def written(self) -> int:
        """See StateStore."""
        count = len(self._rows)
        self._writes += 1
        self._cached.put_all(self._rows)
        self.offset = self._writing_offset
        self._untimed.difference_update(self._rows)
        self._rows = {}
        self._unwritten.written()
        for part in self._parts:
            part.written()
        return count


class DiskTimers:
    """A timer is a row in the order of seconds; the row of its value has the second, too.

    So a key has one timer, a new one replaces it, and a write knows which row to delete.
    """

    def __init__(self, store: DiskStore, database: Database, prefix: bytes) -> None:
        self._store = store
        self._database = database
        self._prefix = prefix
        self.unwritten: Unwritten[int] = Unwritten()
        """Seconds by key; 0: no timer."""
        self._lowest = _NEVER
        """No second that is not written lies before it."""
        self._floor = prefix
        """No row of the database before it is there."""

    def set(self, key: bytes, at_ms: int) -> None:
        """See Timers."""
        second = second_at(at_ms)
        self.unwritten.changed[key] = second
        if second < self._lowest:
            self._lowest = second

    def clear(self, key: bytes) -> None:
        """See Timers."""
        self.unwritten.changed[key] = 0

    def take_due(self, clock_ms: int, most: int) -> list[bytes]:
        """See Timers."""
        last, taken = clock_ms // SECOND_MS, list[bytes]()
        if self._lowest <= last:
            taken = [key for key, second in self._set() if second <= last]
            if len(taken) <= most:
                self._lowest = last + 1
            taken = taken[:most]
        if len(taken) < most:
            self._take_written(numbered(self._prefix, last + 1, b""), most, taken)
        self.unwritten.changed.update(dict.fromkeys(taken, 0))
        self._store.prefetch(taken)
        return taken

    def _take_written(self, end: bytes, most: int, taken: list[bytes]) -> None:
        for row, _, key in self._written(self._floor, end):
            if len(taken) == most:
                self._floor = row
                return
            taken.append(key)
        self._floor = max(self._floor, end)

    def any_due(self, clock_ms: int) -> bool:
        """See Timers."""
        last = clock_ms // SECOND_MS
        if self._lowest <= last and any(second <= last for _, second in self._set()):
            return True
        end = numbered(self._prefix, last + 1, b"")
        for row, _, _ in self._written(self._floor, end):
            self._floor = row
            return True
        self._floor = max(self._floor, end)
        return False

    def _set(self) -> Iterator[tuple[bytes, int]]:
        """Keys with a second that is perhaps not written."""
        return ((key, second) for key, second in self.unwritten.items() if second)

    def _written(self, start: bytes, end: bytes) -> Iterator[tuple[bytes, int, bytes]]:
        """Rows from `start` before `end`, with second and key, unless they were changed."""
        for row in self._database.keys(start, end):
            second, key = number_and_key(self._prefix, row)
            if key not in self.unwritten:
                yield row, second, key

    def written(self) -> None:
        """What was frozen is in the database."""
        lowest = min((second for second in self.unwritten.frozen.values() if second), default=0)
        if lowest:
            self._floor = min(self._floor, numbered(self._prefix, lowest, b""))
        self.unwritten.written()
        self._lowest = min((second for _, second in self._set()), default=_NEVER)

    def __iter__(self) -> Iterator[tuple[bytes, int]]:
        """All timers, in no order: keys and their seconds."""
        yield from self._set()
        for _, second, key in self._written(self._prefix, after(self._prefix)):
            yield key, second

    def __len__(self) -> int:
        return sum(1 for _ in self)


class Notes(UserDict[bytes, bytes]):
    """Small values that are in memory and in the database."""

    def __init__(self, database: Database, prefix: bytes) -> None:
        super().__init__()
        skip = len(prefix)
        rows = database.items(prefix, after(prefix))
        self.data = {key[skip:]: row for key, row in rows}
        self._prefix = prefix
        self.unwritten: Unwritten[bytes | None] = Unwritten()

    def __setitem__(self, name: bytes, note: bytes) -> None:
        self.data[name] = note
        self.unwritten.changed[name] = note

    def __delitem__(self, name: bytes) -> None:
        super().__delitem__(name)
        self.unwritten.changed[name] = None

    def changes(self) -> Iterator[tuple[bytes, bytes | None]]:
        """What is frozen, to be written."""
        return ((self._prefix + name, note) for name, note in self.unwritten.frozen.items())

    def written(self) -> None:
        """What was frozen is in the database."""
        self.unwritten.written()


def _row_of(value: bytes, second: int) -> bytes:
    return numbered(_TIMED, second, value) if second else _PLAIN + value


def value_of(row: bytes) -> bytes:
    """The value in a row."""
    return row[1 + WIDTH :] if row[0] else row[1:]


def second_of(row: bytes) -> int:
    """The second of its timer in a row; 0: it has none."""
    return number_and_key(_TIMED, row)[0] if row[0] else 0
