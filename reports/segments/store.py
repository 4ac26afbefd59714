"""Saving segments: all that the reports write."""

from __future__ import annotations

from collections.abc import Collection
from datetime import UTC, datetime
from threading import Lock
from typing import Final

from models.issues import Issue
from reports.query.database import Database, RowWriter
from reports.query.query import InvalidQuery
from reports.segments.members import resolved
from reports.segments.model import Node, Saved, checked, write
from reports.segments.saved import Segment, saved, segments

MAX_NAME_LENGTH: Final = 80
#: Of an account: the page of segments counts the people of each.
MAX_SEGMENTS: Final = 100
#: Deleted segments keep their version.
_VERSION: Final = """
SELECT max(version) FROM segments WHERE account = {account:String} AND name = {name:String}
"""


class SegmentStore:
    """Segments of all accounts. Blocking, and safe to use from many threads.

    Saving checks the segments saved so far, so a process must use one store. Two processes that
    save at the same moment do not see each other's segments, so cycles are checked again at use.
    """

    def __init__(self, url: str) -> None:
        """url: of a user that may SELECT, and INSERT into `segments`.

        Raises DatabaseUnavailable.
        """
        self._database = Database(url)
        self._writer = RowWriter(url)
        self._lock = Lock()

    def list(self, account: str) -> list[Segment]:
        """All segments of an account, by name."""
        return segments(self._database, account)

    def get(self, account: str, name: str) -> Segment | None:
        """A segment by its name; None: not saved."""
        return {one.name: one for one in self.list(account)}.get(name)

    def save(
        self, account: str, name: str, definition: Node, now: datetime, *, replace: bool = True
    ) -> None:
        """Save a segment. replace: whether one of that name may be replaced.

        Raises InvalidQuery when the name is not valid or taken, when there are too many segments,
        when it names an unknown segment, and when it would contain itself; DatabaseError when the
        write failed.
        """
        _check_name(name)
        with self._lock:
            definitions = saved(self._database, account)
            _check_room(name, definitions, replace=replace)
            definitions[name] = checked(definition)
            checked(resolved(Saved(name), definitions))
            self._write(account, name, write(definition), now)

    def delete(self, account: str, name: str, now: datetime) -> bool:
        """Delete a segment; False: there was none. Segments that name it no longer work."""
        with self._lock:
            known = self.get(account, name) is not None
            if known:
                self._write(account, name, "", now)
        return known

    def close(self) -> None:
        """Close the connections."""
        self._database.close()
        self._writer.close()

    def _write(self, account: str, name: str, definition: str, now: datetime) -> None:
        """No definition: deleted. The version rises even when the clock goes back."""
        found = self._database.rows(_VERSION, {"account": account, "name": name}).rows
        version = max(int(now.timestamp() * 1000), int(found[0][0]) + 1)
        self._writer.insert(
            "segments",
            {
                "account": account,
                "name": name,
                "definition": definition,
                "updated_at": now.astimezone(UTC),
                "version": version,
                "is_deleted": int(not definition),
            },
        )


def _check_name(name: str) -> None:
    if not (1 <= len(name) <= MAX_NAME_LENGTH and name.isprintable() and name == name.strip()):
        fix = f"give 1 to {MAX_NAME_LENGTH} printable characters, without spaces around them"
        raise InvalidQuery([Issue("name", f"{name!r} cannot be a name", fix)])


def _check_room(name: str, known: Collection[str], *, replace: bool) -> None:
    if name in known and not replace:
        fix = "choose another, or delete that segment first"
        raise InvalidQuery([Issue("name", f"{name!r} is taken", fix)])
    if name not in known and len(known) >= MAX_SEGMENTS:
        fix = "delete one first"
        raise InvalidQuery([Issue("name", f"{len(known)} segments are saved already", fix)])
