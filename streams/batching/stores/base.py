"""The contract of a state store: one partition of one table."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, MutableMapping
from typing import Final, Protocol

SECOND_MS: Final = 1_000

#: How the names of notes begin that do not follow from the values.
LASTING: Final = b"\x00"


def second_at(at_ms: int) -> int:
    """The second at which a timer of this time, epoch ms, is due."""
    return -(-at_ms // SECOND_MS)


class Timers(Protocol):
    """Keys by the time they are due, epoch ms, rounded up to whole seconds."""

    def set(self, key: bytes, at_ms: int) -> None:
        """`key` is due once the clock reaches `at_ms`, which is above 0."""

    def clear(self, key: bytes) -> None:
        """The key is not due any more. It may be taken nevertheless: its value decides."""

    def take_due(self, clock_ms: int, most: int) -> list[bytes]:
        """Remove and return at most `most` due keys; a key may appear twice."""

    def any_due(self, clock_ms: int) -> bool:
        """Whether any key is due."""


class Days(Protocol):
    """Keys by the UTC day (days since 1970) whose retention applies to their values."""

    def add(self, day: int, key: bytes, /) -> None:
        """The value of `key` belongs to a day."""

    def remove(self, day: int, key: bytes, /) -> None:
        """It does not any more. It may be taken nevertheless: its value decides."""

    def take(self, last_day: int, most: int, /) -> list[bytes]:
        """Remove and return at most `most` keys of days up to and including `last_day`."""

    def first(self) -> int | None:
        """The first day that has keys; None: no day has."""


#: Key, the value that timers, days and notes follow, and the value that they do not follow yet.
#: None: there is none.
Unfolded = tuple[bytes, bytes | None, bytes | None]


class StateStore(Protocol):
    """Values by key. Timers, days and notes are what its owner derives from the values.

    durable: it outlives the process, and so do timers, days and notes
    refolding: what follows from the values was forgotten; `unfolded` has all of them
    notes: small values that follow from the others, but for those whose names begin with LASTING;
        all are in memory
    """

    @property
    def durable(self) -> bool: ...
    @property
    def refolding(self) -> bool: ...
    @property
    def timers(self) -> Timers: ...
    @property
    def days(self) -> Days: ...
    @property
    def notes(self) -> MutableMapping[bytes, bytes]: ...

    def get(self, key: bytes, /) -> bytes | None:
        """The value of a key, with all changes."""

    def __getitem__(self, key: bytes, /) -> bytes: ...

    def __contains__(self, key: object, /) -> bool: ...

    def __len__(self) -> int:
        """The number of keys."""

    def items_of(self, prefix: bytes) -> Iterator[tuple[bytes, bytes]]:
        """Keys that begin with `prefix`, and their values as they are when they are yielded.

        The store may change meanwhile: what is added may be missing.
        """

    def prefetch(self, keys: Iterable[bytes | None]) -> None:
        """Read values together that are needed soon."""

    def __setitem__(self, key: bytes, value: bytes, /) -> None: ...

    def put(self, key: bytes, value: bytes, *, is_new: bool) -> None:
        """The same as setting an item, for those who know whether the key has a value."""

    def discard(self, key: bytes) -> None:
        """Delete a key, if it is there."""

    def unfolded(self) -> Iterator[Unfolded]:
        """What changed since timers, days and notes were last known to follow from the values."""

    # --- writing to disk ------------------------------------------------------------------------

    def freeze(self) -> None:
        """What is changed from here on is not part of the next write."""

    def write(self, offset: int, *, is_current: bool = True) -> None:
        """Write what is frozen, all or nothing.

        offset: of the changelog; the store then has all records up to and including it
        is_current: the changelog has no more that others wrote
        """

    def written(self) -> int:
        """The write succeeded: forget what was frozen. The number of values that were written."""

    @property
    def offset(self) -> int:
        """Of the changelog: what is written has all records up to and including it; -1: none."""

    @property
    def is_changed(self) -> bool:
        """Whether something is not written."""

    @property
    def is_to_be_written(self) -> bool:
        """Whether something is not written, or the last write was long ago."""

    @property
    def changes(self) -> int:
        """Number of values that are not written."""

    def revert(self) -> None:
        """Go back to the last write."""

    def clear(self) -> None:
        """Forget all, also what is written."""
