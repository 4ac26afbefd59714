"""The query parameters of a report's page, parsed once."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final

import msgspec

from reports.definition.report import Section
from reports.pages.links import link
from reports.query.query import RawParams

#: Rows of a table on a page.
PAGE_ROWS: Final = 25
_PAGE: Final = "page"


class PageParams(msgspec.Struct, frozen=True):
    """What an address requests, besides the report.

    filters: raw parameters of the query, with period and tab. columns: names of optional columns to
    show. pages: page numbers from 1, by their parameter (`page`, `SECTION_page`). sections: names
    of the sections of an export; none: all.
    """

    filters: RawParams
    columns: Sequence[str] = ()
    pages: dict[str, int] = {}
    sections: Sequence[str] = ()

    @property
    def is_blank(self) -> bool:
        """Whether nothing but a tab is given, as when a page is opened from the menu."""
        return not (self.filters.keys() - {"tab"} or self.columns or self.pages)

    def page(self, section: Section) -> int:
        """Page number of a section, from 1."""
        return self.pages.get(_page_name(section), 1)

    def link(self, path: str, **changes: str | int | Sequence[str] | None) -> str:
        """The same parameters with changes; tables start at their first page again."""
        return link(path, {**self.filters, "columns": self.columns}, **changes)

    def link_to_period(self, path: str, last: int | str) -> str:
        """The same for another period. last: days up to today."""
        return self.link(path, since=None, until=None, last=last)

    def link_to_page(self, path: str, section: Section, page: int) -> str:
        """The same with another page of one section; other sections keep theirs."""
        pages = {**self.pages, _page_name(section): page}
        return self.link(path, **{name: number for name, number in pages.items() if number > 1})


def parse_page(pairs: Iterable[tuple[str, str]]) -> PageParams:
    """The parameters of a page, from the names and texts of an address."""
    filters = group_params(pairs)
    columns = filters.pop("columns", [])
    pages = {name: page_number(filters.pop(name)[0]) for name in [*filters] if _is_page(name)}
    return PageParams(filters, columns, pages)


def parse_export(pairs: Iterable[tuple[str, str]]) -> PageParams:
    """The parameters of an export: those of a page, and `section`."""
    params = parse_page(pairs)
    filters = dict(params.filters)
    sections = filters.pop("section", [])
    return msgspec.structs.replace(params, filters=filters, sections=sections)


def group_params(pairs: Iterable[tuple[str, str]]) -> dict[str, list[str]]:
    """Texts by name, stripped, without empty ones."""
    found: dict[str, list[str]] = {}
    for name, text in pairs:
        if text.strip():
            found.setdefault(name, []).append(text.strip())
    return found


def page_number(text: str) -> int:
    """A page number from 1; anything else is the first page."""
    fits = text.isascii() and text.isdigit() and len(text) < 7
    return max(int(text), 1) if fits else 1


def _page_name(section: Section) -> str:
    return f"{section.name}_{_PAGE}" if section.name else _PAGE


def _is_page(name: str) -> bool:
    return name == _PAGE or name.endswith(f"_{_PAGE}")
