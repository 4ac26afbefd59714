"""Saved segments as ClickHouse holds them; reading needs no more rights than a report."""

from __future__ import annotations

from datetime import datetime
from typing import Final

import msgspec

from reports.database import Database
from reports.segments.model import Node, parse

_ALL: Final = """
SELECT name, definition, updated_at, version FROM segments_current
WHERE account = {account:String} ORDER BY name
"""


class Segment(msgspec.Struct, frozen=True):
    """A saved segment. updated_at: UTC. version: of its row."""

    name: str
    definition: Node
    updated_at: datetime
    version: int


def segments(database: Database, account: str) -> list[Segment]:
    """All saved segments of an account, by name."""
    rows = database.rows(_ALL, {"account": account}).rows
    return [Segment(name, parse(text), at, version) for name, text, at, version in rows]


def saved(database: Database, account: str) -> dict[str, Node]:
    """Definitions by name."""
    return {one.name: one.definition for one in segments(database, account)}
