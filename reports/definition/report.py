"""The language reports are written in: what a report shows, by which filters, in which columns.

A report is defined once, in `reports/catalogue/`, and its SQL once, in `reports/sql/`; the views in
ClickHouse, the command line and the pages are made from these.
"""

from __future__ import annotations

import re
from functools import cached_property
from pathlib import Path
from typing import Final, Literal

import msgspec

from reports.definition.figures import PARTS

SQL: Final = Path(__file__).parents[1] / "sql"
_FILTERS_MARK: Final = "/*filters*/ true"
_COLUMNS_MARK: Final = "/*columns*/ *"
_INCLUDE: Final = re.compile(r"/\*include (\w+)\*/")
_PAGE: Final = "LIMIT {limit:UInt64} OFFSET {offset:UInt64}"
_PARAMETER: Final = re.compile(r"\{(\w+):([^}]+)\}")

#: How a value is shown: in the words of people, the same on a page, in a table and in a file.
ValueFormat = Literal[
    "text", "count", "credits", "share", "seconds", "time", "number", "country", "flag"
]
#: figures: one row. series: rows of time or rank, all shown. rows: many rows, shown by the page.
Shape = Literal["figures", "series", "rows"]


class Column(msgspec.Struct, frozen=True):
    """One column: its ClickHouse type on the wire, and what it means to people.

    label: its heading. meaning: one sentence, shown wherever the figure is. offered: not shown
    unless asked for (`--columns`, the page's column menu), yet always part of the view. dimension:
    the value of one of the filters COLUMN_FILTERS without which this column is empty or not shown.
    """

    name: str
    type: str
    label: str
    meaning: str
    shown: ValueFormat = "text"
    optional: bool = False
    dimension: str = ""


class Filter(msgspec.Struct, frozen=True):
    """One thing to ask for, and the condition it puts on rows.

    type: of the query parameter in ClickHouse; `Array(...)` may be given several times. condition:
    SQL over the columns of the section's source, with the parameter in braces; true when the
    parameter has its neutral value (empty text or array). Empty: the section's SQL uses the
    parameter itself. choices: all values allowed; empty: any. required: there is no neutral value.
    fix: what to write instead of a value that was refused.
    """

    name: str
    label: str
    meaning: str
    condition: str
    type: str = "Array(String)"
    choices: tuple[str, ...] = ()
    default: tuple[str, ...] = ()
    example: str = ""
    required: bool = False
    fix: str = ""

    @property
    def several(self) -> bool:
        """Whether it may be given several times."""
        return self.type.startswith("Array(")


class SharedQuery(msgspec.Struct, frozen=True, dict=True):
    """One read of the tables that answers several sections; its column `section` says which one a
    row is of.

    name: of its SQL file in `sql/shared/`. order: of the rows of a section, names of columns, as in
    ORDER BY. only: a condition that always holds, besides the filters.
    """

    name: str
    filters: tuple[Filter, ...]
    order: str
    only: str = ""

    @cached_property
    def sql(self) -> str:
        """The SELECT, with shared parts and the conditions of the filters in place."""
        return f"{self.unordered}\nORDER BY section, {self.order}"

    @cached_property
    def unordered(self) -> str:
        """The same in any order, to be read from."""
        return _complete(f"shared/{self.name}", self.only, self.filters)

    @cached_property
    def parameters(self) -> dict[str, str]:
        """Query parameters the SELECT needs, with their types."""
        return parameters_of(self.sql)


class CounterTotal(msgspec.Struct, frozen=True):
    """How the counters know the number of a section's rows, without a look at the messages.

    number: SQL over the columns of reported_counts: rows a cell stands for. by: the filters that it
    uses. filters: those that are conditions on cells. Asked by any other, the messages are counted.
    """

    number: str
    by: tuple[Filter, ...]
    filters: tuple[Filter, ...]

    @property
    def sql(self) -> str:
        """The SELECT; for periods of whole hours only (ADR 0010)."""
        conditions = _conditions("", self.filters)
        return (
            f"SELECT sum({self.number}) AS rows\n"
            f"FROM reported_counts(whole_hours = true)\nWHERE {conditions}"
        )

    @property
    def knows(self) -> frozenset[str]:
        """Names of the filters that may be asked by."""
        return frozenset(one.name for one in (*self.by, *self.filters))


class Section(msgspec.Struct, frozen=True, dict=True):
    """One table of a report.

    name: "" when the report has only one. source: the view that a `rows` section counts its rows
    in, under the same filters; empty: it counts itself. counted: how its rows are counted there,
    where a row is not a row of the source. only: a condition that always holds, besides the
    filters. within: the pass that answers it among others, instead of SQL of its own. newest_first:
    its rows are messages of the period, ordered by `sent_at`, the newest first. tally: how the
    counters know how many rows there are.
    """

    report: str
    name: str
    title: str
    meaning: str
    shape: Shape
    columns: tuple[Column, ...]
    filters: tuple[Filter, ...]
    source: str = ""
    only: str = ""
    counted: str = "count()"
    within: SharedQuery | None = None
    newest_first: bool = False
    tally: CounterTotal | None = None

    @property
    def view(self) -> str:
        """Name of its view in ClickHouse, and of its SQL file."""
        return "_".join(word for word in ("report", self.report, self.name) if word)

    @cached_property
    def sql(self) -> str:
        """The SELECT, with shared parts, its columns and the conditions of the filters in place."""
        names = ", ".join(column.name for column in self.columns)
        if self.within is None:
            sql = _complete(self.view, self.only, self.filters)
            return sql.replace(_COLUMNS_MARK, names)
        return (
            f"SELECT {names}\nFROM (\n{self.within.unordered}\n)\n"
            f"WHERE section = '{self.name}'\nORDER BY {self.within.order}"
        )

    @cached_property
    def parameters(self) -> dict[str, str]:
        """Query parameters the SELECT needs, with their types."""
        return parameters_of(self.sql)

    @cached_property
    def count_sql(self) -> str:
        """How many rows a `rows` section has in all."""
        if not self.source:
            return f"SELECT count() AS rows FROM (\n{self.sql.removesuffix(_PAGE)})"
        conditions = _conditions(self.only, self.filters)
        return f"SELECT {self.counted} AS rows FROM {self.source} WHERE {conditions}"


def _complete(name: str, only: str, filters: tuple[Filter, ...]) -> str:
    text = (SQL / f"{name}.sql").read_text(encoding="utf-8").strip().rstrip(";")
    return expand_includes(text).replace(_FILTERS_MARK, _conditions(only, filters))


def _conditions(only: str, filters: tuple[Filter, ...]) -> str:
    return "\n    AND ".join(filter(None, [only, *(one.condition for one in filters)])) or "true"


def parameters_of(sql: str) -> dict[str, str]:
    """Query parameters that SQL needs, with their types."""
    return dict(_PARAMETER.findall(sql))


def expand_includes(sql: str) -> str:
    """SQL with what several statements share in place, from `sql/parts/` and the figures."""
    return _INCLUDE.sub(_part, sql)


def _part(named: re.Match[str]) -> str:
    if named[1] in PARTS:
        return PARTS[named[1]]
    text = (SQL / "parts" / f"{named[1]}.sql").read_text(encoding="utf-8").strip()
    return expand_includes(text)


class Report(msgspec.Struct, frozen=True):
    """One report; about: the question it answers.

    range_days: not 0 where the period is chosen by the filter `range`: 0 are the latest so many
    days, 1 those before them, and so on.
    """

    name: str
    title: str
    about: str
    filters: tuple[Filter, ...]
    sections: tuple[Section, ...]
    range_days: int = 0

    def section(self, name: str) -> Section:
        """A section by its name. Raises KeyError."""
        return {section.name: section for section in self.sections}[name]

    @property
    def has_period(self) -> bool:
        """Whether it is about a period of one's choice, not a range or something whole."""
        return any(one.name == "since" for one in self.filters)

    @property
    def own_filters(self) -> tuple[Filter, ...]:
        """The filters besides those that every report has."""
        return tuple(one for one in self.filters if one.name not in COMMON_FILTERS)


#: Filters that are not asked for as such: the account is known, the period has words of its own.
COMMON_FILTERS: Final = ("account", "since", "until")
#: Filters whose values choose columns, by their `dimension`.
COLUMN_FILTERS: Final = ("by", "identifiers", "content")
