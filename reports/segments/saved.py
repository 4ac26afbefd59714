"""Saved segments; reading them needs the rights of a report."""

from __future__ import annotations

from datetime import datetime
from typing import Final

import msgspec

from reports.query.database import Database
from reports.segments.model import Node, parse

_ALL: Final = """
SELECT name, definition, updated_at FROM segments_current
WHERE account = {account:String} ORDER BY name
"""


class Segment(msgspec.Struct, frozen=True):
    """A saved segment. updated_at: UTC."""

    name: str
    definition: Node
    updated_at: datetime


def segments(database: Database, account: str) -> list[Segment]:
    """All saved segments of an account, by name."""
    rows = database.rows(_ALL, {"account": account}).rows
    return [Segment(name, parse(text), at) for name, text, at in rows]


def saved(database: Database, account: str) -> dict[str, Node]:
    """Definitions by name."""
    return {one.name: one.definition for one in segments(database, account)}
