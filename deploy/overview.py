"""Overview tables of what is in ClickHouse, for the terminal: what the demo shows."""

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

from rich.box import SIMPLE_HEAD
from rich.table import Table

COUNTS = """
    sum(messages), sum(submitted + queued), sum(delivered + read), sum(read),
    sum(undelivered_soft + expired), sum(undelivered_hard), sum(rejected), sum(deleted)
"""
COLUMNS = (
    "messages",
    "pending",
    "delivered",
    "read",
    "soft",
    "hard",
    "rejected",
    "deleted",
)


class Overview(NamedTuple):
    """One table: what it is by, and the query of its rows (name, then the COLUMNS)."""

    title: str
    by: str
    sql: str


OVERVIEWS = (
    Overview(
        "Totals", "channel", f"SELECT channel, {COUNTS} FROM counters_day GROUP BY 1 ORDER BY 1"
    ),
    Overview(
        "By source",
        "source",
        f"SELECT source, {COUNTS} FROM counters_day GROUP BY 1 ORDER BY 2 DESC",
    ),
    Overview(
        "By country (top 8)",
        "country",
        f"SELECT country, {COUNTS} FROM counters_day GROUP BY 1 ORDER BY 2 DESC LIMIT 8",
    ),
    Overview(
        "By campaign (top 8)",
        "campaign",
        f"""SELECT concat(account, '/', campaign_id), {COUNTS} FROM counters_campaign
            GROUP BY 1 ORDER BY 2 DESC LIMIT 8""",
    ),
    Overview(
        "By hour of sending (last 8, UTC)",
        "hour",
        f"""SELECT formatDateTime(window_start, '%m-%d %H:00'), {COUNTS} FROM counters_hour
            GROUP BY 1 ORDER BY 1 DESC LIMIT 8""",
    ),
)


def overviews(client: Any) -> list[Table]:
    """Every overview, ready to print. client: of clickhouse-connect, in the right database."""
    return [_table(overview, client.query(overview.sql).result_rows) for overview in OVERVIEWS]


def _table(overview: Overview, rows: Iterable[Sequence[Any]]) -> Table:
    table = Table(
        title=overview.title,
        title_justify="left",
        title_style="bold",
        box=SIMPLE_HEAD,
        pad_edge=False,
        padding=(0, 1, 0, 0),
    )
    table.add_column(overview.by, no_wrap=True, max_width=19)
    for column in COLUMNS:
        table.add_column(column, justify="right", no_wrap=True, min_width=max(len(column), 6))
    for name, *counts in rows:
        table.add_row(name or "(unknown)", *(f"{count:,}" for count in counts))
    return table
