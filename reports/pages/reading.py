"""The answers to a question: every section asked at once, each drawn as soon as it is there."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Final

from markupsafe import Markup

from reports.asked import Asked
from reports.database import Database
from reports.exports import rows_in_all
from reports.pages.charts import chart_of
from reports.pages.drawing import Pictures
from reports.pages.shown import PAGE_ROWS, Block, Grid, figures, grid
from reports.pages.words import Said, link
from reports.report import Section

_THREADS: Final = 8


class Reader:
    """Asks the database for the sections of reports. Blocking: call it from threads."""

    def __init__(self, database: Database, pictures: Pictures) -> None:
        self._database = database
        self._pictures = pictures
        self._pool = ThreadPoolExecutor(_THREADS, thread_name_prefix="section")

    def blocks(self, asked: Asked, said: Said, page: int) -> list[Block]:
        """Every section of a report. page: of its rows, from 1. Raises DatabaseError."""
        waiting = [
            self._pool.submit(self._block, section, asked, said, page)
            for section in asked.report.sections
        ]
        return [one.result() for one in waiting]

    def _block(self, section: Section, asked: Asked, said: Said, page: int) -> Block:
        if section.shape == "rows":
            return Block(section, grid=self._page(section, asked, said, page))
        records = self._database.rows(section.sql, asked.parameters(section)).records()
        if section.shape == "figures":
            first, others = figures(section, records[0], asked.period.zone) if records else ([], [])
            return Block(section, first, others)
        spec = chart_of(section, records, asked.period)
        picture = self._pictures.draw(spec, section.title) if spec else Markup("")
        return Block(section, chart=picture, grid=grid(section, records, asked))

    def _page(self, section: Section, asked: Asked, said: Said, page: int) -> Grid:
        first = (page - 1) * PAGE_ROWS
        asking = asked.parameters(section, PAGE_ROWS, first)
        records = self._database.rows(section.sql, asking).records()
        path, total = f"/{asked.report.name}", rows_in_all(self._database, [section], asked) or 0
        after = link(path, said, page=page + 1) if first + len(records) < total else ""
        before = link(path, said, page=page - 1 if page > 2 else None) if page > 1 else ""
        made = grid(section, records, asked)
        return Grid(made.headings, made.rows, first + 1, total, before, after)
