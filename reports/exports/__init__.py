"""Answers as files: CSV and JSON as streams, XLSX for people with a spreadsheet.

`exported(FORMATS["csv"], database, [section], asked)` gives the bytes of a file piece by piece.
"""

from reports.exports.formats import FORMATS, Format, exported, file_name, started
from reports.exports.table import Book, Fact, Table, Tell, book_of, chosen, rows_in_all

__all__ = [
    "FORMATS",
    "Book",
    "Fact",
    "Format",
    "Table",
    "Tell",
    "book_of",
    "chosen",
    "exported",
    "file_name",
    "rows_in_all",
    "started",
]
