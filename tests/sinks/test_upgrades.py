"""A database of any earlier version, with rows in it, is brought up to date and goes on."""

import time
from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal

import pytest

from sinks.client import ClickHouse
from sinks.migrate import load, migrate
from tests.support.fakes import T0, receipt, send, state, state_record
from tests.support.written import WrittenDatabase

KNOWN = load()
NEW_COLUMNS = 7
"""The migration that gave messages and orphans what they lacked."""
VERSION_0_1 = 14
"""The migrations of version 0.1.0."""
NEVER = datetime(1970, 1, 1)
"""A time that has not come, as tables hold it."""


@pytest.fixture
def way() -> str:
    """The real HTTP driver alone: the engine is the same."""
    return "http"


def message(message_id: str, status: str, **columns: object) -> dict[str, object]:
    """A row of messages as the first version wrote it."""
    return {
        "account": "acme",
        "message_id": message_id,
        "channel": "sms",
        "recipient": "+4915112345678",
        "sent_at": T0,
        "attempts": 1,
        "status": status,
        "version": 5,
        **columns,
    }


FUTURE = 4_102_444_800_000
"""No time to live of rows from this day ends yet."""

ROWS: dict[str, list[dict[str, object]]] = {
    "messages": [
        message("delivered", "delivered", delivered_at=T0 + 1),
        message("expired", "undelivered", bounce="soft", scope="time", fail_reason="expired"),
        message(
            "failed", "undelivered", bounce="hard", error_code="1", fail_reason="gone", attempts=3
        ),
        message("pending", "queued", attempts=2),
    ],
    "orphans": [
        {
            "account": "acme",
            "message_id": "o",
            "status": "rejected",
            "fail_reason": "no",
            "version": 1,
        }
    ],
    "message_texts": [
        {
            "account": "acme",
            "message_id": "m",
            "attempt": 1,
            "sent_at": FUTURE,
            "text": "hi",
        }
    ],
    "status_counters": [
        {"kind": "hour", "account": "acme", "window_start": T0, "queued": 2, "version": 1}
    ],
    "engagements": [
        {
            "account": "acme",
            "event_id": "e",
            "type": "click",
            "occurred_at": T0,
            "recipient": "+49",
        }
    ],
    "receipt_events": [{"account": "acme", "message_id": "m", "occurred_at": FUTURE}],
    "campaigns": [{"account": "acme", "campaign_id": "c", "name": "Sale"}],
    "dead_letter_records": [{"topic": "sends", "offset": 4, "reason": "empty", "time": T0}],
    "accounts": [{"account": "acme", "strike_limit": 2, "suppression_days": 0}],
    "strikes": [{"account": "acme", "recipient": "+49", "sent_at": T0, "struck": 1}],
    "suppression_records": [{"account": "acme", "recipient": "+49", "suppressed": 1}],
    "suppression_versions": [{"account": "acme", "recipient": "+49", "suppressed": 1}],
    "suppression_requests": [{"account": "acme", "recipient": "+49", "action": "release"}],
    "retry_requests": [{"account": "acme", "message_id": "m", "attempt": 2, "due_at": T0}],
    "unmatched_receipt_records": [
        {"account": "acme", "id": "r", "received_at": FUTURE, "reported": 1, "version": 1}
    ],
    "segments": [{"account": "acme", "name": "clicked", "definition": "{}", "updated_at": T0}],
}
"""A row or more of every table, without the columns that came later."""

READ: dict[str, tuple[str, list[tuple[object, ...]]]] = {
    "messages": (
        "SELECT message_id, status, fail_reason, error_text, failed_attempt, no_retry_reason, "
        "next_attempt_at, sent_to_suppressed, delivered_at IS NULL, person = recipient "
        "FROM messages_current ORDER BY message_id",
        [
            ("delivered", "delivered", "", "", None, "", None, False, 0, 1),
            ("expired", "undelivered", "expired", "", 1, "", None, False, 1, 1),
            ("failed", "undelivered", "gone", "gone", 3, "", None, False, 1, 1),
            ("pending", "queued", "", "", None, "", None, False, 1, 1),
        ],
    ),
    "orphans": (
        "SELECT message_id, fail_reason, error_text FROM orphans_current",
        [("o", "no", "no")],
    ),
    "message_texts": ("SELECT text FROM message_texts_current", [("hi",)]),
    "status_counters": ("SELECT account, queued FROM counters_hour", [("acme", 2)]),
    "engagements": (
        "SELECT event_id, url, person, automated FROM engagements_current",
        [("e", "", "+49", False)],
    ),
    "receipt_events": (
        "SELECT message_id, attempt, price, received_at, provider_status "
        "FROM receipt_events_current",
        [("m", None, None, None, "")],
    ),
    "campaigns": ("SELECT name, created_at FROM campaigns_current", [("Sale", None)]),
    "dead_letter_records": ("SELECT topic, offset FROM dead_letters", [("sends", 4)]),
    "accounts": ("SELECT strike_limit, suppression_days FROM accounts_current", [(2, None)]),
    "strikes": ("SELECT recipient, struck, channel FROM strikes_current", [("+49", True, "")]),
    "suppression_records": (
        "SELECT suppressed, since, channel, binds FROM suppressions ORDER BY channel",
        [(True, None, "sms", "all"), (True, None, "whatsapp", "all")],
    ),
    "suppression_versions": (
        "SELECT suppressed, until, channel FROM suppression_history ORDER BY channel",
        [(True, None, "sms"), (True, None, "whatsapp")],
    ),
    "suppression_requests": (
        "SELECT action, channel FROM suppression_requests_current",
        [("release", "")],
    ),
    "retry_requests": ("SELECT id FROM retry_requests_current", [("acme/m/2",)]),
    "unmatched_receipt_records": (
        "SELECT id, found, message_id, occurred_at FROM unmatched_receipts",
        [("r", False, "", None)],
    ),
    "segments": ("SELECT name, definition FROM segments_current", [("clicked", "{}")]),
}
"""What people read of them after the upgrade."""


def insert(clickhouse: ClickHouse, table: str, row: Mapping[str, object]) -> None:
    """One row; times are given in epoch ms."""
    values = ", ".join(
        f"fromUnixTimestamp64Milli({value}, 'UTC')"
        if name.endswith("_at") or name in ("time", "window_start")
        else repr(value)
        for name, value in row.items()
    )
    clickhouse.command(f"INSERT INTO {table} ({', '.join(row)}) SELECT {values}")


def fill(clickhouse: ClickHouse) -> set[str]:
    """Rows into every table there is; their names."""
    found = clickhouse.rows(
        "SELECT name FROM system.tables WHERE database = {database:String} "
        "AND engine LIKE '%MergeTree' AND name != 'schema_migrations'",
        {"database": clickhouse.database},
    )
    tables = {name for (name,) in found}
    for table in tables:
        for row in ROWS[table]:
            insert(clickhouse, table, row)
    return tables


@pytest.mark.parametrize("applied", range(1, len(KNOWN) + 1))
def test_rows_of_every_earlier_version_are_read_alike(empty: ClickHouse, applied: int) -> None:
    migrate(empty, 90, KNOWN[:applied])
    tables = fill(empty)
    migrate(empty, 90)
    for _ in range(2):
        for table in tables:
            query, expected = READ[table]
            assert empty.rows(query) == expected, table
            empty.command(f"OPTIMIZE TABLE {table} FINAL")  # then the defaults are stored


DEFAULTS: dict[str, dict[str, object]] = {
    "messages": {
        "person": "+4915112345678",
        "provider_message_id": "",
        "template": "",
        "category": "",
        "reference": "",
        "mccmnc": "",
        "price": Decimal(0),
        "currency": "",
        "converted_at": NEVER,
        "automated_clicked_at": NEVER,
        "repaired": [],
    },
    "engagements": {"channel": "", "user_agent": "", "automated": False, "person": "+49"},
    "accounts": {"codes": {}, "unsubscribe_binds": "marketing"},
    "strikes": {"channel": ""},
    "message_texts": {"source": ""},
    "suppression_records": {"channel": "", "binds": ""},
    "suppression_versions": {"channel": "", "binds": ""},
    "suppression_requests": {"channel": ""},
}
"""Columns that came after version 0.1.0, and what its rows have in them."""


def columns_of(clickhouse: ClickHouse, table: str) -> list[str]:
    return [
        name
        for (name,) in clickhouse.rows(
            "SELECT name FROM system.columns WHERE database = {database:String} "
            "AND table = {table:String} ORDER BY position",
            {"database": clickhouse.database, "table": table},
        )
    ]


def test_rows_of_version_0_1_are_kept_with_defaults_for_what_came_later(empty: ClickHouse) -> None:
    migrate(empty, 90, KNOWN[:VERSION_0_1])
    tables = fill(empty)
    queries = {
        table: f"SELECT {', '.join(columns_of(empty, table))} FROM {table} ORDER BY ALL"
        for table in tables
    }
    before = {table: empty.rows(query) for table, query in queries.items()}
    migrate(empty, 90)
    for _ in range(2):
        for table, query in queries.items():
            rows = before[table]
            assert len(rows) == len(ROWS[table])
            assert empty.rows(query) == rows, table
            later = DEFAULTS.get(table, {})
            found = empty.rows(f"SELECT {', '.join(later) or 1} FROM {table}")
            assert found == [tuple(later.values()) or (1,)] * len(rows), table
            empty.command(f"OPTIMIZE TABLE {table} FINAL")  # then the defaults are stored


def test_codes_of_version_0_1_are_not_in_the_view_of_texts(empty: ClickHouse) -> None:
    migrate(empty, 90, KNOWN[:VERSION_0_1])
    for message, source in (("otp", "verification"), ("api", "open_api_verification"), ("hi", "")):
        empty.command(
            "INSERT INTO messages (account, message_id, sent_at, source)"
            f" VALUES ('a', '{message}', now64(3), '{source or 'direct'}')"
        )
        empty.command(
            "INSERT INTO message_texts (account, message_id, attempt, sent_at, text)"
            f" VALUES ('a', '{message}', 1, now64(3), '770172 {message}')"
        )
    migrate(empty, 90)
    texts = empty.rows("SELECT message_id, text FROM message_texts_current ORDER BY message_id")
    assert texts == [("api", ""), ("hi", "770172 hi"), ("otp", "")]


def test_people_of_version_0_1_are_found_by_the_index(empty: ClickHouse) -> None:
    migrate(empty, 90, KNOWN[:VERSION_0_1])
    fill(empty)
    migrate(empty, 90)
    deadline = time.monotonic() + 30
    while empty.rows("SELECT count() FROM system.mutations WHERE NOT is_done") != [(0,)]:
        assert time.monotonic() < deadline
        time.sleep(0.05)
    for table in ("messages", "engagements"):
        plan = empty.rows(f"EXPLAIN indexes = 1 SELECT * FROM {table} WHERE person = '+4400000'")
        assert "Granules: 0/" in " ".join(line for (line,) in plan), table


def test_every_column_that_came_later_takes_part(empty: ClickHouse) -> None:
    migrate(empty, 90, KNOWN[:VERSION_0_1])
    before = {table: columns_of(empty, table) for table in fill(empty)}
    migrate(empty, 90)
    later = {
        table: set(columns_of(empty, table)) - set(columns) for table, columns in before.items()
    }
    assert {table: names for table, names in later.items() if names} == {
        table: set(columns) for table, columns in DEFAULTS.items()
    }


def test_every_table_takes_part(clickhouse: ClickHouse) -> None:
    assert fill(clickhouse) == set(ROWS) == set(READ)


def test_a_message_from_before_is_replaced_by_its_next_version(empty: ClickHouse) -> None:
    migrate(empty, 90, KNOWN[: NEW_COLUMNS - 1])
    fill(empty)
    migrate(empty, 90)
    failed = state(
        6, send("failed"), receipt("undelivered", reason="gone"), fail_reason="unknown subscriber"
    )
    WrittenDatabase(empty).write("message-states", state_record(failed, "failed"))
    assert empty.rows(
        "SELECT version, fail_reason, error_text, failed_attempt FROM messages_current "
        "WHERE message_id = 'failed'"
    ) == [(6, "unknown subscriber", "gone", 1)]


def test_a_sink_of_the_version_before_may_still_write(clickhouse: ClickHouse) -> None:
    for row in ROWS["messages"]:
        insert(clickhouse, "messages", row)
    query, expected = READ["messages"]
    assert clickhouse.rows(query) == expected
