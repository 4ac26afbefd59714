"""Reads the views; times as epoch ms, credits and prices in millionths."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Protocol

from deploy.simulator.oracle.messages import COUNTED, Cell, CellKey, Message, Orphan

# A row of a message that expired by our timer has these values and no code of a provider.
_STATUS_COUNTED = """multiIf(status = 'undelivered' AND fail_reason = 'expired' AND scope = 'time'
  AND error_code = '' AND error_text = '', 'expired',
  status = 'undelivered', concat('undelivered_', bounce), status)"""


class Client(Protocol):
    """The part of a clickhouse-connect client that the ledger needs."""

    def query_rows_stream(self, query: str) -> Any:
        """A context manager over an iterator of rows."""


def rows(client: Client, query: str) -> Iterator[tuple[Any, ...]]:
    """Streams the rows of a query."""
    with client.query_rows_stream(query) as stream:
        for row in stream:
            yield tuple(row)


def _column(name: str) -> str:
    if name.endswith("_at") or name in ("since", "until", "at"):
        return f"ifNull(toUnixTimestamp64Milli({name}), 0)"
    if name in ("failed_attempt", "suppression_days", "text_days", "recipient_days"):
        return f"ifNull({name}, 0)"
    return f"toInt64({name} * 1000000)" if name in ("credits", "price") else name


def columns(*names: str) -> str:
    """A SELECT list: times as epoch ms, credits and prices in millionths, 0 for none."""
    return ", ".join(_column(name) for name in names)


def message_rows(client: Client) -> Iterator[tuple[tuple[str, str], Message]]:
    """Every row of messages_current under its key."""
    names = columns(*Message._fields)
    query = f"SELECT account, message_id, {names} FROM messages_current"
    for account, message_id, *values in rows(client, query):
        message = Message(*values)
        yield (account, message_id), message._replace(repaired=tuple(message.repaired))


def orphan_rows(client: Client) -> Iterator[tuple[tuple[str, str], Orphan]]:
    """Every row of orphans_current under its key."""
    names = columns(*Orphan._fields)
    query = f"SELECT account, message_id, {names} FROM orphans_current"
    for account, message_id, *values in rows(client, query):
        yield (account, message_id), Orphan(*values)


DEAD_LETTERS = """SELECT topic, partition, offset, reason,
  ifNull(lower(hex(MD5(key))), ''), ifNull(lower(hex(MD5(value))), '') FROM dead_letters"""
UNMATCHED = f"""SELECT account, provider_message_id, status, {_column("occurred_at")}
  FROM unmatched_receipts WHERE message_id = ''"""
_WHO = "account, channel, source, country, provider"
_SUMS = ", ".join(COUNTED)


def cells(client: Client) -> dict[CellKey, Cell]:
    """The counter cells of the three views, without cells that are all zero."""
    found: dict[CellKey, Cell] = {}
    for kind in ("hour", "day"):
        query = (
            f"SELECT toUnixTimestamp(window_start) * 1000, {_WHO}, {_SUMS}, segments, "
            f"toInt64(credits * 1000000) FROM counters_{kind}"
        )
        for row in rows(client, query):
            _keep(found, (kind, *row[:6]), Cell(*row[6:]))
    query = (
        f"SELECT account, campaign_id, {_SUMS}, segments, toInt64(credits * 1000000) "
        "FROM counters_campaign"
    )
    for row in rows(client, query):
        _keep(found, ("campaign", *row[:2]), Cell(*row[2:]))
    return found


def cells_of_messages(client: Client) -> dict[CellKey, Cell]:
    """The same cells, counted from messages_current."""
    counts = ", ".join(f"countIf(counted = '{name}')" for name in COUNTED)
    sums = f"{counts}, sum(segments), toInt64(sum(credits) * 1000000)"
    source = f"(SELECT *, {_STATUS_COUNTED} AS counted FROM messages_current)"
    outbound = "WHERE direction != 'inbound'"
    found: dict[CellKey, Cell] = {}
    for kind, start in (("hour", "toStartOfHour(sent_at)"), ("day", "toStartOfDay(sent_at)")):
        window = f"toUnixTimestamp({start}) * 1000"
        query = f"SELECT {window} AS w, {_WHO}, {sums} FROM {source} {outbound} GROUP BY w, {_WHO}"
        for row in rows(client, query):
            _keep(found, (kind, *row[:6]), Cell(*row[6:]))
    query = (
        f"SELECT account, campaign_id, {sums} FROM {source} {outbound} AND campaign_id != '' "
        "GROUP BY account, campaign_id"
    )
    for row in rows(client, query):
        _keep(found, ("campaign", *row[:2]), Cell(*row[2:]))
    return found


def _keep(found: dict[CellKey, Cell], key: CellKey, cell: Cell) -> None:
    if any(cell):
        found[key] = cell


def scalar(client: Client, query: str) -> int:
    """The single integer that a query returns."""
    return int(next(rows(client, query))[0])
