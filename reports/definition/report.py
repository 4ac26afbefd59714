"""What a report is made of: sections, columns and filters.

Each report is defined once, in `reports/catalogue/`, with its SQL in `reports/sql/`. The views in
ClickHouse, the commands and the pages are made from these.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from functools import cached_property
from pathlib import Path
from typing import Any, Final, Literal

import msgspec

from reports.definition.figures import PARTS

SQL: Final = Path(__file__).parents[1] / "sql"
_FILTERS_MARK: Final = "/*filters*/ true"
_COLUMNS_MARK: Final = "/*columns*/ *"
#: The view of texts that a SELECT reads; it leaves out those of verification messages.
_TEXTS_MARK: Final = "/*texts*/ reported_texts"
_INCLUDE: Final = re.compile(r"/\*include (\w+)\*/")
_PAGE: Final = "LIMIT {limit:UInt64} OFFSET {offset:UInt64}"
_PARAMETER: Final = re.compile(r"\{(\w+):([^}]+)\}")

#: How a value is formatted for people, the same on a page, in a terminal and in a file.
ValueFormat = Literal[
    "text", "count", "credits", "share", "seconds", "time", "number", "country", "flag"
]
#: figures: one row. series: all rows, over time or ranked. rows: many rows, in pages.
Shape = Literal["figures", "series", "rows"]


class Column(msgspec.Struct, frozen=True):
    """One column. type: in ClickHouse.

    label: its heading. meaning: one sentence, shown with the figure. optional: only shown on
    request (`--columns`, the page's column menu); always part of the view. dimension: the value of
    a filter of COLUMN_FILTERS that shows this column; "": always shown. computed: its value from
    the other values of its row, by column name; the view does not have such a column.
    """

    name: str
    type: str
    label: str
    meaning: str
    format: ValueFormat = "text"
    optional: bool = False
    dimension: str = ""
    computed: Callable[[Mapping[str, Any]], Any] | None = None


class Filter(msgspec.Struct, frozen=True):
    """One filter of a report: a query parameter, and the condition it puts on rows.

    type: of the parameter in ClickHouse; `Array(...)` takes several values. condition: SQL over the
    columns of the section's source, with the parameter in braces; it must hold for the neutral
    value (empty text or array). "": the section's SQL uses the parameter itself. choices: the
    values allowed; empty: any. default: values when none is given. example: for docs and help.
    required: a query must give a value. fix: what to write instead of a refused value. reads: how a
    text becomes a value (`reports/query/reading.py`); "": as it is. known: a SELECT that has a row
    if its value exists in the account; "": any value is accepted.
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
    reads: Literal["", "number", "person", "search"] = ""
    known: str = ""

    @property
    def several(self) -> bool:
        """Whether it takes several values."""
        return self.type.startswith("Array(")

    @property
    def example_value(self) -> str:
        """A value for examples in help texts and docs."""
        return self.example or (self.choices[0] if self.choices else self.name)


class SharedQuery(msgspec.Struct, frozen=True, dict=True):
    """One SELECT shared by several sections; its column `section` names the section of each row.

    name: of its SQL file in `sql/shared/`. order: of the rows of a section, as in ORDER BY. only: a
    condition on all rows, besides the filters.
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
        """The SELECT without ORDER BY, for use in a subquery."""
        return _complete(f"shared/{self.name}", self.only, self.filters)

    @cached_property
    def parameters(self) -> dict[str, str]:
        """ClickHouse types of the query parameters, by name."""
        return parameters_of(self.sql)


class CounterTotal(msgspec.Struct, frozen=True):
    """Computes a section's row count from the counters instead of scanning messages.

    number: SQL over the columns of reported_counts, the rows that one counter row counts for. by:
    the filters that `number` uses. filters: those applied as conditions. With any other filter the
    messages are counted.
    """

    number: str
    by: tuple[Filter, ...]
    filters: tuple[Filter, ...]

    @property
    def sql(self) -> str:
        """The SELECT; valid for periods of whole hours only (docs/adr/0010)."""
        conditions = _conditions("", self.filters)
        return (
            f"SELECT sum({self.number}) AS rows\n"
            f"FROM reported_counts(whole_hours = true)\nWHERE {conditions}"
        )

    @property
    def supported_filters(self) -> frozenset[str]:
        """Names of the filters that it can apply."""
        return frozenset(one.name for one in (*self.by, *self.filters))


class Section(msgspec.Struct, frozen=True, dict=True):
    """One table of a report.

    name: "" when the report has only one. source: the view in which the rows of a `rows` section
    are counted, under the same filters; "": its own SELECT is counted. counted: the aggregate that
    counts them, where a row is not a row of the source. only: a condition on all rows, besides the
    filters. shared_query: the SELECT that returns its rows together with those of other sections;
    None: it has its own SQL file. newest_first: its rows are messages of the period, the newest
    `sent_at` first. counter_total: how to count its rows from the counters.
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
    shared_query: SharedQuery | None = None
    newest_first: bool = False
    counter_total: CounterTotal | None = None

    @property
    def view(self) -> str:
        """Name of its view in ClickHouse, and of its SQL file."""
        return "_".join(filter(None, ("report", self.report, self.name)))

    @property
    def option(self) -> str:
        """Its name in commands, addresses and files."""
        return self.name or self.report

    @cached_property
    def view_columns(self) -> tuple[Column, ...]:
        """The columns that its SELECT returns; the others are computed from them."""
        return tuple(column for column in self.columns if column.computed is None)

    @cached_property
    def sql(self) -> str:
        """The SELECT, with shared parts, its columns and the conditions of the filters in place."""
        names = ", ".join(column.name for column in self.view_columns)
        if self.shared_query is None:
            sql = _complete(self.view, self.only, self.filters)
            return sql.replace(_COLUMNS_MARK, names)
        return (
            f"SELECT {names}\nFROM (\n{self.shared_query.unordered}\n)\n"
            f"WHERE section = '{self.name}'\nORDER BY {self.shared_query.order}"
        )

    @cached_property
    def sql_with_all_texts(self) -> str:
        """The same, with the texts of verification messages."""
        return self.sql.replace(_TEXTS_MARK, ALL_TEXTS)

    @cached_property
    def parameters(self) -> dict[str, str]:
        """ClickHouse types of the query parameters, by name."""
        return parameters_of(self.sql)

    @cached_property
    def count_sql(self) -> str:
        """The SELECT of the row count of a `rows` section."""
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
    """ClickHouse types of the query parameters in SQL, by name."""
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
    """One report. about: one sentence on what it shows.

    range_days: the length of a range, for a report whose period is chosen by the filter `range`: 0
    is the latest range, 1 the one before, and so on. 0: the report has no ranges. all_by_default:
    without a period it is about all times.
    """

    name: str
    title: str
    about: str
    filters: tuple[Filter, ...]
    sections: tuple[Section, ...]
    range_days: int = 0
    all_by_default: bool = False

    def section(self, name: str) -> Section:
        """A section by its name. Raises KeyError."""
        return {section.name: section for section in self.sections}[name]

    @property
    def has_period(self) -> bool:
        """Whether the user chooses its period."""
        return any(one.name == "since" for one in self.filters)

    @property
    def own_filters(self) -> tuple[Filter, ...]:
        """The filters besides COMMON_FILTERS."""
        return tuple(one for one in self.filters if one.name not in COMMON_FILTERS)


#: SQL of the texts of all messages, those of verification messages too.
ALL_TEXTS: Final = expand_includes("/*include all_texts*/")
#: Filters with their own treatment: the account is given, the period has several parameters.
COMMON_FILTERS: Final = ("account", "since", "until")
#: Filters whose values choose columns by their `dimension`.
COLUMN_FILTERS: Final = ("by", "identifiers", "content")
