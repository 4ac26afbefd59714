"""One account's messages, written straight into the tables: what the page of a message is about."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any, Final

from reports.catalogue.message import MESSAGE
from reports.query.database import Database, RowWriter
from reports.query.fetch import fetch
from reports.query.query import ReportQuery, parse_query
from reports.views import statements
from sinks.client import connect
from sinks.migrate import migrate

ACCOUNT: Final = "a"
NUMBER: Final = "+358401234567"
NOW: Final = datetime(2026, 11, 21, tzinfo=UTC)


def at(clock: str) -> datetime:
    """A time of the day before NOW."""
    return datetime.fromisoformat(f"2026-11-20T{clock}").replace(tzinfo=UTC)


class Story:
    """A database of its own, filled row by row. url: of it."""

    def __init__(self, url: str) -> None:
        clickhouse = connect(url)
        migrate(clickhouse, 90, views=statements())
        clickhouse.close()
        self.database, self._writer = Database(url), RowWriter(url)
        self._offset = 0

    def insert(self, table: str, **values: Any) -> None:
        """One row of the account."""
        self._writer.insert(table, {"account": ACCOUNT, **values})

    def message(self, message_id: str = "m", **values: Any) -> None:
        """A message sent at 10:00."""
        self.insert("messages", **{
            "message_id": message_id, "channel": "sms", "direction": "outbound",
            "source": "campaign", "recipient": NUMBER, "person": NUMBER, "provider": "twilio",
            "attempts": 1, "sent_at": at("10:00"), "status": "submitted", "version": 1,
            "platform_status": "submitted", "carrier_status": "queued", **values,
        })  # fmt: skip

    def receipt(self, clock: str, status: str, message_id: str = "m", **values: Any) -> None:
        """A receipt that occurred at a time and was published a second later."""
        self._offset += 1
        self.insert("receipt_events", **{
            "message_id": message_id, "occurred_at": at(clock), "status": status,
            "offset": self._offset, **values,
        })  # fmt: skip

    def query(self, message_id: str = "m") -> ReportQuery:
        """The query of one message."""
        return parse_query(MESSAGE, ACCOUNT, "UTC", {"message_id": [message_id]}, NOW)

    def rows(self, section: str, message_id: str = "m") -> list[dict[str, Any]]:
        """The rows of a section."""
        (found,) = fetch(self.database, self.query(message_id), (MESSAGE.section(section),))
        return found.records()

    def close(self) -> None:
        """Close the connections."""
        self._writer.close()
        self.database.close()
