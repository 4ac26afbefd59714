"""The answers to a question: every section asked at once, drawn in their order as they come."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Final

from reports.definition.report import Column, Section
from reports.exports.table import count_of
from reports.formatting import Said, link, page_number
from reports.pages.charts.charts import WIDTH
from reports.pages.charts.choose import charts_of, country_names
from reports.pages.charts.svg import ChartRenderer
from reports.pages.charts.worldmap import unseen, world
from reports.pages.report.view_model import (
    PAGE_ROWS,
    Block,
    Grid,
    Picture,
    Record,
    figures,
    grid,
    is_empty,
    is_pending,
)
from reports.query.database import Database
from reports.query.fetch import SectionGroup, fetch, group_reads
from reports.query.query import ReportQuery

_THREADS: Final = 8
#: Drawing is work of the processor; it does not wait behind the reads of other pages.
_DRAWERS: Final = 2


class Loader:
    """Asks the database for the sections of reports. Blocking: call it from threads."""

    def __init__(self) -> None:
        self._pictures = ChartRenderer()
        self.pool = ThreadPoolExecutor(_THREADS, thread_name_prefix="section")
        self._drawers = ThreadPoolExecutor(_DRAWERS, thread_name_prefix="drawing")

    def blocks(
        self, database: Database, query: ReportQuery, raw_params: Said, width: int
    ) -> list[Block]:
        """Every section of a report. Raises DatabaseError.

        said: the words of the page, those of paging too. width: of its charts, in pixels.
        """
        sections = query.report.sections
        found = [
            (
                together,
                self.pool.submit(fetch, database, query, together, *_limits(together, raw_params)),
            )
            for together in group_reads(sections)
        ]
        totals = {
            one.name: self.pool.submit(count_of, database, one, query)
            for one in sections
            if one.shape == "rows"
        }
        drawn = []
        for together, answers in found:
            for section, rows in zip(together, answers.result(), strict=True):
                total = totals[section.name].result() if section.name in totals else 0
                seen = (section, rows.records(), query, raw_params, width, total)
                drawn.append(self._drawers.submit(self._block, *seen))
        return [one.result() for one in drawn]

    def _block(
        self,
        section: Section,
        records: Sequence[Record],
        query: ReportQuery,
        raw_params: Said,
        width: int,
        total: int,
    ) -> Block:
        empty, pending = is_empty(section, records), is_pending(records)
        if section.shape == "figures":
            first, others = figures(section, records[0], query) if records else ([], [])
            return Block(section, first, others, empty=empty, pending=pending)
        columns = columns_of(section, query, raw_params)
        table, page = grid(section, columns, records, query), page_of(section, raw_params)
        if section.shape == "rows":
            table, empty = _placed(table, section, page, total, query, raw_params), not total
        pictures = self._drawn(section, columns, records, query, width) if page == 1 else []
        note = _note(columns, records)
        return Block(section, [], [], pictures, table, note, empty, pending)

    def _drawn(
        self,
        section: Section,
        columns: Sequence[Column],
        records: Sequence[Record],
        query: ReportQuery,
        width: int,
    ) -> list[Picture]:
        if section.source:
            return []
        drawn = charts_of(section, columns, records, query.period, width)
        return [Picture(title, self._pictures.draw(spec, title)) for title, spec in drawn]


def warm_up() -> None:
    """Let the drawing library load what it needs, so that nobody waits for it later."""
    ChartRenderer().draw(world({"FI": 1}, "Sent", WIDTH), "")


def page_name(section: Section) -> str:
    """The word of an address that says which page of a section is shown."""
    return f"{section.name}_page" if section.name else "page"


def page_of(section: Section, raw_params: Said) -> int:
    """Which page is asked for; others than `rows` have one."""
    if section.shape != "rows":
        return 1
    return page_number(next(iter(raw_params.get(page_name(section), ())), ""))


def _limits(together: SectionGroup, raw_params: Said) -> tuple[int, int]:
    section = together[0]
    paged = section.shape == "rows"
    return (PAGE_ROWS, (page_of(section, raw_params) - 1) * PAGE_ROWS) if paged else (0, 0)


def columns_of(section: Section, query: ReportQuery, raw_params: Said) -> tuple[Column, ...]:
    """The columns that answer, and those asked for besides them."""
    more = raw_params.get("columns", ())
    shown = query.columns(section)
    return tuple(one for one in section.columns if one in shown or one.name in more)


def _placed(
    table: Grid, section: Section, page: int, total: int, query: ReportQuery, raw_params: Said
) -> Grid:
    path, name = f"/{query.report.name}", page_name(section)
    first = (page - 1) * PAGE_ROWS + 1
    after = link(path, {**raw_params, name: str(page + 1)}) if first + PAGE_ROWS <= total else ""
    last = str(page - 1) if page > 2 else ""
    before = link(path, {**raw_params, name: last}) if page > 1 else ""
    return Grid(table.headings, table.rows, first, total, before, after)


def _note(columns: Sequence[Column], records: Sequence[Record]) -> str:
    if columns[0].name != "country" or "sent" not in {one.name for one in columns}:
        return ""
    codes = unseen(one["country"] for one in records)
    return f"Too small for the map, or unknown: {country_names(codes)}." if codes else ""
