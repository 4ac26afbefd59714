"""Saving segments: the only thing the reports ever write."""

from __future__ import annotations

from collections.abc import Collection
from datetime import UTC, datetime
from threading import Lock
from typing import Final

from models.issues import Issue
from reports.query.database import Database, Writer
from reports.query.query import InvalidQuery
from reports.segments.members import resolved
from reports.segments.model import Node, Saved, checked, write
from reports.segments.saved import Segment, saved, segments

MOST_NAME: Final = 80
#: Of an account: the list of segments counts the people of each.
MOST_SEGMENTS: Final = 100
#: Of deleted ones too.
_VERSION: Final = """
SELECT max(version) FROM segments WHERE account = {account:String} AND name = {name:String}
"""


class SegmentStore:
    """Segments of all accounts. Blocking: call it from threads, as many as you like.

    Saving checks what others have saved, so a process needs one store alone. Of two processes that
    save at the same moment neither sees the other's; asking checks circles anew.
    """

    def __init__(self, url: str) -> None:
        """url: of a user that may SELECT, and INSERT into `segments`. Raises Unavailable."""
        self._database = Database(url)
        self._writer = Writer(url)
        self._one_at_a_time = Lock()

    def list(self, account: str) -> list[Segment]:
        """All segments of an account, by name."""
        return segments(self._database, account)

    def get(self, account: str, name: str) -> Segment | None:
        """A segment by its name; None: not saved."""
        return {one.name: one for one in self.list(account)}.get(name)

    def save(
        self, account: str, name: str, definition: Node, now: datetime, *, replace: bool = True
    ) -> None:
        """Save a segment, or change the one of that name if it may be replaced.

        Raises InvalidQuery when the name cannot be one or is taken, when there are too many, when a
        segment it names is not saved, and when it would contain itself; DatabaseError when it could
        not be written.
        """
        _check_name(name)
        with self._one_at_a_time:
            definitions = saved(self._database, account)
            _check_room(name, definitions, replace=replace)
            definitions[name] = checked(definition)
            checked(resolved(Saved(name), definitions))
            self._write(account, name, write(definition), now)

    def delete(self, account: str, name: str, now: datetime) -> bool:
        """Delete a segment; False: there was none. Others that name it can no longer be asked."""
        with self._one_at_a_time:
            known = self.get(account, name) is not None
            if known:
                self._write(account, name, "", now)
        return known

    def close(self) -> None:
        """Let go of the connections."""
        self._database.close()
        self._writer.close()

    def _write(self, account: str, name: str, definition: str, now: datetime) -> None:
        """No definition: deleted. Its version is above those before, whatever the clock says."""
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
    if not (1 <= len(name) <= MOST_NAME and name.isprintable() and name == name.strip()):
        fix = f"give 1 to {MOST_NAME} printable characters, without spaces around them"
        raise InvalidQuery([Issue("name", f"{name!r} cannot be a name", fix)])


def _check_room(name: str, known: Collection[str], *, replace: bool) -> None:
    if name in known and not replace:
        fix = "choose another, or delete that segment first"
        raise InvalidQuery([Issue("name", f"{name!r} is taken", fix)])
    if name not in known and len(known) >= MOST_SEGMENTS:
        fix = "delete one that nobody needs"
        raise InvalidQuery([Issue("name", f"{len(known)} segments are saved already", fix)])
