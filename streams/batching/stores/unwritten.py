"""Changes that a database does not have yet."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Generic, TypeVar

Change = TypeVar("Change")
Default = TypeVar("Default")


class Unwritten(Generic[Change]):
    """Changes by key: those that the next write has, and those that came later.

    changed: since the last freeze; whoever changes something puts it there
    frozen: before it
    """

    __slots__ = ("changed", "frozen")

    def __init__(self) -> None:
        self.changed: dict[bytes, Change] = {}
        self.frozen: dict[bytes, Change] = {}

    def get(self, key: bytes, default: Default) -> Change | Default:
        """The latest change of a key; `default`: the database decides."""
        return self.changed[key] if key in self.changed else self.frozen.get(key, default)

    def __contains__(self, key: object) -> bool:
        return key in self.changed or key in self.frozen

    def __len__(self) -> int:
        return len(self.changed) + len(self.frozen)

    def items(self) -> Iterator[tuple[bytes, Change]]:
        """The latest change of each key."""
        changed = self.changed
        for key, change in self.frozen.items():
            if key not in changed:
                yield key, change
        yield from changed.items()

    def freeze(self) -> None:
        """What is changed from here on is not part of the next write."""
        self.frozen |= self.changed
        self.changed = {}

    def written(self) -> None:
        """What was frozen is in the database."""
        self.frozen = {}
