"""Answers as files: CSV and JSON as streams, XLSX for people with a spreadsheet.

`exported(FORMATS["csv"], database, [section], asked)` gives the bytes of a file piece by piece.
"""

from reports.exports.formats import FORMATS, Format, export, file_name, start_export
from reports.exports.table import (
    ExportDocument,
    OnProgress,
    QueryParam,
    Table,
    chosen,
    document_of,
    rows_in_all,
)

__all__ = [
    "FORMATS",
    "ExportDocument",
    "Format",
    "OnProgress",
    "QueryParam",
    "Table",
    "chosen",
    "document_of",
    "export",
    "file_name",
    "rows_in_all",
    "start_export",
]
