"""Reports as files: CSV and JSON are streamed, XLSX is written to disk first.

`export(FORMATS["csv"], database, [section], query)` returns the bytes of a file piece by piece.
"""

from reports.exports.formats import FORMATS, Format, export, file_name, start_export
from reports.exports.table import (
    ExportDocument,
    ExportTable,
    OnProgress,
    QueryParam,
    chosen_columns,
    document_of,
    total_rows,
)

__all__ = [
    "FORMATS",
    "ExportDocument",
    "ExportTable",
    "Format",
    "OnProgress",
    "QueryParam",
    "chosen_columns",
    "document_of",
    "export",
    "file_name",
    "start_export",
    "total_rows",
]
