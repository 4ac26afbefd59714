"""The members of a segment as an export."""

from __future__ import annotations

from typing import Final

from reports.exports import ExportDocument, ExportTable, QueryParam
from reports.query.database import Database
from reports.query.lookups import zone_of
from reports.segments.members import COLUMNS, blocks
from reports.segments.model import write
from reports.segments.saved import Segment

_MEANING: Final = "people who belong to the segment at the time of the export, by number"


def document_of_segment(
    database: Database, account: str, segment: Segment, *, with_suppressed: bool = False
) -> ExportDocument:
    """An export of the members. It reads only the time zone yet."""
    query = (
        QueryParam("account", "Account", account),
        QueryParam("segment", "Segment", segment.name),
        QueryParam("definition", "Definition", write(segment.definition)),
        QueryParam(
            "with_suppressed", "Suppressed people", "yes" if with_suppressed else "left out"
        ),
    )
    table = ExportTable(
        "members", "Members", _MEANING, COLUMNS,
        lambda: blocks(
            database, account, segment.definition, with_suppressed=with_suppressed
        ),
    )  # fmt: skip
    return ExportDocument("segment", segment.name, zone_of(database, account), query, (table,))
