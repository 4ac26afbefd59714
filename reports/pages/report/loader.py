"""Loads the sections of a report: all are fetched at once, and rendered in order as they arrive."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Final

import msgspec

from reports.definition.report import Column, Section
from reports.pages.charts.charts import WIDTH
from reports.pages.charts.choose import charts_of, country_names
from reports.pages.charts.svg import draw
from reports.pages.charts.worldmap import not_on_map, world
from reports.pages.report.params import PAGE_ROWS, PageParams
from reports.pages.report.view_model import (
    Block,
    Grid,
    Picture,
    figures,
    grid,
    is_empty,
    is_pending,
)
from reports.query.database import Database, RowDict
from reports.query.fetch import SectionGroup, count_of, fetch, group_reads
from reports.query.query import ReportQuery

_FETCHERS: Final = 8
#: Rendering is CPU work: threads of its own keep it from queueing behind the reads of other pages.
_RENDERERS: Final = 2


class Loader:
    """Loads sections. Blocking: call it from threads."""

    def __init__(self) -> None:
        self.pool = ThreadPoolExecutor(_FETCHERS, thread_name_prefix="section")
        self._renderers = ThreadPoolExecutor(_RENDERERS, thread_name_prefix="drawing")

    def blocks(
        self, database: Database, query: ReportQuery, params: PageParams, width: int
    ) -> list[Block]:
        """All sections of a report. width: of its charts, in pixels. Raises DatabaseError."""
        sections = query.report.sections
        reads = [
            (group, self.pool.submit(fetch, database, query, group, *_limits(group, params)))
            for group in group_reads(sections)
        ]
        totals = {
            one.name: self.pool.submit(count_of, database, one, query)
            for one in sections
            if one.shape == "rows"
        }
        rendered = []
        for group, read in reads:
            for section, rows in zip(group, read.result(), strict=True):
                total = totals[section.name].result() if section.name in totals else 0
                loaded = (section, rows.records(), query, params, width, total)
                rendered.append(self._renderers.submit(_block, *loaded))
        return [one.result() for one in rendered]


def warm_up() -> None:
    """Draw one chart, so that the chart library is loaded before the first request."""
    draw(world({"FI": 1}, "Sent", WIDTH), "")


def _block(
    section: Section,
    records: Sequence[RowDict],
    query: ReportQuery,
    params: PageParams,
    width: int,
    total: int,
) -> Block:
    empty, pending = is_empty(section, records), is_pending(records)
    if section.shape == "figures":
        first, others = figures(section, records[0], query) if records else ([], [])
        return Block(section, first, others, empty=empty, pending=pending)
    columns = query.columns(section, params.columns)
    table, page = grid(section, columns, records, query), params.page(section)
    if section.shape == "rows":
        table, empty = _paged(table, section, page, total, query, params), not total
    pictures = _pictures(section, columns, records, query, width) if page == 1 else []
    return Block(section, [], [], pictures, table, _note(columns, records), empty, pending)


def _pictures(
    section: Section,
    columns: Sequence[Column],
    records: Sequence[RowDict],
    query: ReportQuery,
    width: int,
) -> list[Picture]:
    if section.source:
        return []
    charts = charts_of(section, columns, records, query.period, width)
    return [Picture(title, draw(spec, title)) for title, spec in charts]


def _limits(group: SectionGroup, params: PageParams) -> tuple[int, int]:
    """LIMIT and OFFSET of a read; 0 and 0 for all rows."""
    section = group[0]
    paged = section.shape == "rows"
    return (PAGE_ROWS, (params.page(section) - 1) * PAGE_ROWS) if paged else (0, 0)


def _paged(
    table: Grid, section: Section, page: int, total: int, query: ReportQuery, params: PageParams
) -> Grid:
    path, first = f"/{query.report.name}", (page - 1) * PAGE_ROWS + 1
    is_last = first + PAGE_ROWS > total
    before = params.link_to_page(path, section, page - 1) if page > 1 else ""
    after = "" if is_last else params.link_to_page(path, section, page + 1)
    return msgspec.structs.replace(table, first=first, total=total, before=before, after=after)


def _note(columns: Sequence[Column], records: Sequence[RowDict]) -> str:
    if columns[0].name != "country" or "sent" not in {one.name for one in columns}:
        return ""
    codes = not_on_map(one["country"] for one in records)
    return f"Too small for the map, or unknown: {country_names(codes)}." if codes else ""
