"""A segment as a file: everybody who belongs to it when it is asked."""

from __future__ import annotations

from typing import Final

from reports.exports import ExportDocument, QueryParam, Table
from reports.query.accounts import zone_of
from reports.query.database import Database
from reports.segments.members import COLUMNS, blocks
from reports.segments.model import write
from reports.segments.saved import Segment

_MEANING: Final = "who belongs to it when it was asked, by number"


def document_of_segment(database: Database, account: str, segment: Segment) -> ExportDocument:
    """The members of a segment, ready to be written. Reads nothing of them yet."""
    query = (
        QueryParam("account", "Account", account),
        QueryParam("segment", "Segment", segment.name),
        QueryParam("definition", "Definition", write(segment.definition)),
    )
    table = Table(
        "members", "Members", _MEANING, COLUMNS,
        lambda: blocks(database, account, segment.definition),
    )  # fmt: skip
    return ExportDocument("segment", segment.name, zone_of(database, account), query, (table,))
