"""The columns of a message in views of sinks and of reports, from those of its table."""

from collections.abc import Iterator
from typing import Final, NamedTuple

from models.message_row import MESSAGE_COLUMNS, OUTCOME, TableColumn

#: Views list it after the columns it came with; those that came later follow.
_BEFORE_OUTCOME: Final = "sent_to_suppressed"


class ViewColumn(NamedTuple):
    """A column of a view.

    type: in ClickHouse. value: SQL over the columns of the table
    """

    name: str
    type: str
    meaning: str
    value: str


def message_columns() -> Iterator[ViewColumn]:
    """The columns of a message, in the order that views keep."""
    for column in MESSAGE_COLUMNS:
        yield _view_column(column)
        if column.name == _BEFORE_OUTCOME:
            yield _view_column(OUTCOME)


def _view_column(column: TableColumn) -> ViewColumn:
    """Absent values are NULL. The value has the name of its column, so that a filter on it never
    compares with 1970."""
    name, kind, meaning, absent = column
    if not absent:
        return ViewColumn(name, kind, meaning, name)
    zero = "toDateTime64(0, 3, 'UTC')" if kind.startswith("DateTime64") else "0"
    null = f"{meaning}; NULL: {absent}"
    return ViewColumn(name, f"Nullable({kind})", null, f"nullIf({name}, {zero}) AS {name}")
