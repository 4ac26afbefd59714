"""The views of the tables: `CREATE OR REPLACE`, repeated whenever the schema is migrated.

One file each in `views/`. They hold no data, so they are not migrations; they replace those of old
migrations. A view names its times as the table does, so a filter on them sees NULL and not 1970.
"""

import re
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Final

from clickhouse_connect.driver.binding import format_str

from models.suppression import VERIFICATION_SOURCES
from models.view_columns import ViewColumn, message_columns
from models.vocabulary import CHANNELS, COUNTS
from sinks.sql import statements

DIRECTORY: Final = Path(__file__).with_name("views")
_INCLUDE: Final = re.compile(r"/\*include (\w+)\*/")
#: The counts before the sums; those that came later follow them, so that columns keep their order.
_COUNTS_BEFORE_SUMS: Final = 9


def views() -> list[str]:
    """The statements that create the views."""
    files = sorted(DIRECTORY.glob("*.sql"))
    return [one for file in files for one in statements(_complete(file.read_text("utf-8")))]


def _complete(sql: str) -> str:
    return _INCLUDE.sub(lambda named: _PARTS[named[1]](), sql)


def _definitions(columns: Callable[[], Iterator[ViewColumn]]) -> str:
    return ",\n    ".join(
        f"{column.name} {column.type} COMMENT {format_str(column.meaning)}" for column in columns()
    )


def _values(columns: Callable[[], Iterator[ViewColumn]]) -> str:
    return ",\n    ".join(column.value for column in columns())


def _count_columns() -> Iterator[ViewColumn]:
    """Messages by what they count under, and sums of all of them."""
    counts = [
        ViewColumn(count.name, "UInt64", count.meaning, f"sum(cells.{count.name}) AS {count.name}")
        for count in COUNTS
    ]
    yield from counts[:_COUNTS_BEFORE_SUMS]
    for name, kind, meaning in (
        ("segments", "UInt64", "message parts of all these messages"),
        ("credits", "Decimal(38, 6)", "credits of all these messages"),
    ):
        yield ViewColumn(name, kind, meaning, f"sum(cells.{name}) AS {name}")
    total = f"{' + '.join(count.name for count in COUNTS)} AS messages"
    yield ViewColumn("messages", "UInt64", "all these messages: the sum of the counts", total)
    yield from counts[_COUNTS_BEFORE_SUMS:]


def _channel_and_binds() -> str:
    """A row of `stored` from before channels were known is about all of them, as
    `models.suppression.channels_of` reads its record."""
    channels = ", ".join(map(format_str, CHANNELS))
    return f"""arrayJoin(if(stored.channel = '', [{channels}], [stored.channel])) AS channel,
    multiIf(
        NOT suppressed, '',
        stored.binds != '', stored.binds,
        reasons = ['unsubscribed'], 'marketing', 'all'
    ) AS binds"""


def _verification_sources() -> str:
    return f"({', '.join(map(format_str, sorted(VERIFICATION_SOURCES)))})"


#: What a file includes by its name.
_PARTS: Final[dict[str, Callable[[], str]]] = {
    "message_columns": partial(_definitions, message_columns),
    "message_values": partial(_values, message_columns),
    "count_columns": partial(_definitions, _count_columns),
    "count_sums": partial(_values, _count_columns),
    "channel_and_binds": _channel_and_binds,
    "verification_sources": _verification_sources,
}
