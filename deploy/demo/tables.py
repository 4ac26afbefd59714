"""Overview tables for the terminal, from the views in ClickHouse: the output of the demo."""

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

STRIKE_COLUMNS = (("message", 14), ("sent", 11), ("struck", 11), ("code", 6), ("reason", 31))
"""Name and minimum width of each column of the messages behind a suppression."""


class Overview(NamedTuple):
    """One table: its grouping, and the query of its rows (name, then the COLUMNS)."""

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

SUPPRESSED_BY_STRIKES = """
    SELECT account, recipient, channel, since, strikes FROM suppressions
    WHERE suppressed AND reasons = ['hard_bounces']
    ORDER BY strikes = 3 DESC, strikes, since DESC, account, recipient, channel LIMIT 1
"""
"""A recipient suppressed by strikes only, preferably by exactly three."""
STRIKES = """
    WITH
        (SELECT max(at) FROM suppression_requests_current WHERE action = 'release'
            AND account = {account:String} AND recipient = {recipient:String}
            AND channel IN ('', {channel:String})) AS released_at,
        (SELECT max(strike_limit) FROM accounts_current
            WHERE account = {account:String}) AS own_limit
    SELECT message_id, sent_at, occurred_at, code, fail_reason
    FROM (
        SELECT message_id, sent_at, occurred_at, code FROM strikes_current
        WHERE account = {account:String} AND recipient = {recipient:String} AND struck
            AND channel IN ('', {channel:String})
            AND sent_at >= released_at AND occurred_at <= {since:DateTime64(3, 'UTC')}
        ORDER BY occurred_at DESC, sent_at DESC, message_id DESC
        LIMIT if(own_limit > 0, own_limit, 3)
    ) AS strikes
    LEFT JOIN (
        SELECT message_id, fail_reason FROM messages_current
        WHERE account = {account:String} AND person = {recipient:String}
    ) AS messages USING message_id
    ORDER BY occurred_at, sent_at, message_id
"""
"""The messages behind the suppression: the newest strikes up to its beginning, as many as the limit
of the account, without those from before the last release."""


def overviews(client: Any) -> list[Table]:
    """Every overview, ready to print. client: of clickhouse-connect, with the database selected."""
    tables = [_table(overview, client.query(overview.sql).result_rows) for overview in OVERVIEWS]
    return [*tables, *suppression_example(client)]


def suppression_example(client: Any) -> list[Table]:
    """A recipient suppressed by hard bounces, with the messages; no table when there is none."""
    found = client.query(SUPPRESSED_BY_STRIKES).result_rows
    if not found:
        return []
    account, recipient, channel, since, strikes = found[0]
    parameters = {"account": account, "recipient": recipient, "channel": channel, "since": since}
    table = _titled(
        f"A suppressed recipient, {account}/{recipient}: {strikes} strikes on {channel}"
    )
    table.caption = f"Suppressed since {since:%m-%d %H:%M:%S} UTC, by the messages above."
    table.caption_justify = "left"
    for column, width in STRIKE_COLUMNS:
        table.add_column(column, no_wrap=True, min_width=width)
    for message, sent, struck, *reason in client.query(STRIKES, parameters=parameters).result_rows:
        table.add_row(message, f"{sent:%m-%d %H:%M}", f"{struck:%m-%d %H:%M}", *reason)
    return [table]


def _titled(title: str) -> Table:
    return Table(
        title=title,
        title_justify="left",
        title_style="bold",
        box=SIMPLE_HEAD,
        pad_edge=False,
        padding=(0, 1, 0, 0),
    )


def _table(overview: Overview, rows: Iterable[Sequence[Any]]) -> Table:
    table = _titled(overview.title)
    table.add_column(overview.by, no_wrap=True, max_width=19)
    for column in COLUMNS:
        table.add_column(column, justify="right", no_wrap=True, min_width=max(len(column), 6))
    for name, *counts in rows:
        table.add_row(name or "(unknown)", *(f"{count:,}" for count in counts))
    return table
