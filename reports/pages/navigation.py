"""The menu: the reports that need no campaign chosen first, in groups."""

from __future__ import annotations

from typing import Final

import msgspec

from reports.catalogue import BY_NAME

_GROUPS: Final = (
    ("Traffic", ("overview", "locations", "insight", "speed")),
    ("Campaigns", ("campaigns", "recipients", "failed")),
    ("Messages", ("messages", "whatsapp", "singles", "unmatched")),
    ("Numbers", ("suppressions",)),
)


class Entry(msgspec.Struct, frozen=True):
    """One line of the menu. to: address. here: whether it is the page shown."""

    label: str
    to: str
    here: bool


def menu(path: str) -> list[tuple[str, list[Entry]]]:
    """Entries by group. path: of the page shown."""
    groups = [(title, [_entry(name, path) for name in names]) for title, names in _GROUPS]
    segments = Entry("Segments", "/segments", path.startswith("/segments"))
    return [*groups, ("People", [_entry("person", path), segments])]


def _entry(name: str, path: str) -> Entry:
    return Entry(BY_NAME[name].title, f"/{name}", path == f"/{name}")
