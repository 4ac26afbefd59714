"""The ledger must be able to fail: each kind of planted error shows under its own heading."""

import dataclasses
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import clickhouse_connect
import pytest

from deploy.simulator.event import Published
from deploy.simulator.ledger import Counts, Ledger, compare, expectation, wait_until_balanced
from deploy.simulator.oracle import COUNTED, Cell, Expected, Message, Orphan, expect
from deploy.simulator.recording import write_lines
from deploy.simulator.traffic import generate
from sinks.client import connect
from sinks.migrate import migrate

AS_OF = 1_795_300_000_000
EVENTS = 2_000
FAULTS = [f.name for f in dataclasses.fields(Ledger)][4:-1]


def truth() -> list[Published]:
    return [
        Published(e.kind, 0, offset, e.arrival_ms, e.key, e.value, e.kind, e.note, e.expect)
        for offset, e in enumerate(generate(4, EVENTS, AS_OF))
    ]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    folder = tmp_path_factory.mktemp("clickhouse")
    command = [sys.executable, "-m", "deploy.embedded.clickhouse", "--path", str(folder)]
    with subprocess.Popen([*command, "--port", "0"], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        line = process.stdout.readline()
        assert "listening on" in line, line
        try:
            yield int(line.rsplit(":", 1)[1])
        finally:
            process.terminate()
            process.wait(10)


TABLES = ("messages", "orphans", "status_counters", "dead_letter_records", "engagements",
          "campaigns", "message_texts")  # fmt: skip


@pytest.fixture(scope="module")
def expected() -> Expected:
    return expect(truth(), AS_OF)


@pytest.fixture(scope="module")
def database(server: int, expected: Expected) -> Any:
    """The real tables, and a copy of each that holds exactly what is expected."""
    url = f"http://default:@127.0.0.1:{server}/receipts"
    migrate(connect(url), text_days=90)
    made = clickhouse_connect.get_client(host="127.0.0.1", port=server, database="receipts")
    fill(made, expected)
    for table in TABLES:
        made.command(f"CREATE TABLE right_{table} AS {table}")
        made.command(f"INSERT INTO right_{table} SELECT * FROM {table}")
    return made


@pytest.fixture
def client(database: Any) -> Any:
    """Tables that hold exactly what is expected, until a test spoils them."""
    for table in TABLES:
        database.command(f"TRUNCATE TABLE {table}")
        database.command(f"INSERT INTO {table} SELECT * FROM right_{table}")
    return database


def insert(client: Any, table: str, names: tuple[str, ...], rows: list[tuple[Any, ...]]) -> None:
    """Times go in as epoch ms, credits as micro-credits: the engine converts them."""

    def column(name: str, value: Any) -> str:
        if name.endswith("_at") or name in ("window_start", "time"):
            return f"fromUnixTimestamp64Milli({value}, 'UTC')"
        if name == "credits":
            return f"toDecimal64({value}, 6) / 1000000"
        if isinstance(value, bytes):
            return f"unhex('{value.hex()}')"
        return str(value) if isinstance(value, int) else "'" + value.replace("'", "''") + "'"

    for start in range(0, len(rows), 300):
        values = ", ".join(
            f"({', '.join(column(n, v) for n, v in zip(names, row, strict=True))})"
            for row in rows[start : start + 300]
        )
        client.command(f"INSERT INTO {table} ({', '.join(names)}) VALUES {values}")


def fill(client: Any, expected: Expected) -> None:
    insert(client, "messages", ("account", "message_id", *Message._fields, "version"),
           [(*key, *row, 1) for key, row in expected.messages.items()])  # fmt: skip
    insert(client, "orphans", ("account", "message_id", *Orphan._fields, "version"),
           [(*key, *row, 1) for key, row in expected.orphans.items()])  # fmt: skip
    windows = ("kind", "window_start", "account", "channel", "source", "country", "provider")
    cells = [(*key, *cell, 0, 1) for key, cell in expected.cells.items()]
    insert(client, "status_counters", (*windows, *Cell._fields, "shard", "version"),
           [cell for cell in cells if cell[0] != "campaign"])  # fmt: skip
    insert(client, "status_counters",
           ("kind", "account", "campaign_id", *Cell._fields, "shard", "version"),
           [cell for cell in cells if cell[0] == "campaign"])  # fmt: skip
    dead_letters = [r for r in truth() if r.expect]
    names = ("topic", "partition", "offset", "time", "reason", "key", "value", "has_key",
             "has_value", "version")  # fmt: skip
    insert(client, "dead_letter_records", names,
           [(r.topic, r.partition, r.offset, r.timestamp, r.expect, r.key or b"", r.value or b"",
             int(r.key is not None), int(r.value is not None), 1)
            for r in dead_letters])  # fmt: skip
    insert(client, "engagements", ("account", "event_id", "occurred_at", "version"),
           [(*key, AS_OF, 1) for key in expected.engagements])  # fmt: skip
    insert(client, "campaigns",
           ("account", "campaign_id", "updated_at", "name", "status", "version"),
           [(*key, *newest, 1) for key, newest in expected.campaigns.items()])  # fmt: skip
    insert(client, "message_texts", ("account", "message_id", "attempt", "sent_at", "version"),
           [("a", f"m{n}", 1, AS_OF, 1) for n in range(expected.texts)])  # fmt: skip


def test_tables_that_are_right_balance(client: Any, expected: Expected) -> None:
    ledger = compare(client, expected)
    assert ledger.balances, str(ledger)
    assert ledger.events == EVENTS
    assert ledger.messages == len(expected.messages) > EVENTS / 5
    assert ledger.orphans == len(expected.orphans) > 0
    assert ledger.dead_letters == len(expected.dead_letters) > 3
    assert str(ledger).startswith("balances: events 2000")
    assert ledger.as_dict()["balances"] is True


DELIVERED = "account || message_id = (SELECT min(account || message_id) FROM messages " \
            "WHERE status = 'delivered' AND campaign_id != '')"  # fmt: skip
CLONED = (
    "INSERT INTO messages SELECT * REPLACE ({}) FROM (SELECT * FROM messages WHERE "
    + DELIVERED + ")"
)  # fmt: skip

# what is wrong, how it is planted, under which headings (and how often) it must show
PLANTED: list[tuple[str, str, dict[str, int]]] = [
    ("a message is lost", f"ALTER TABLE messages DELETE WHERE {DELIVERED}",
     {"lost": 1, "cells_unlike_messages": 3}),
    ("a message stands under its old sent_at too",
     CLONED.format("sent_at + INTERVAL 1 MILLISECOND AS sent_at"),
     {"doubled": 1, "cells_unlike_messages": 3}),
    ("a message nobody sent", CLONED.format("'ghost' AS message_id"),
     {"unexpected": 1, "cells_unlike_messages": 3}),
    ("a wrong status", CLONED.format("'queued' AS status, 2 AS version"),
     {"wrong_status": 1, "cells_unlike_messages": 3}),
    ("a wrong time of the end", CLONED.format("queued_at AS finalized_at, 2 AS version"),
     {"wrong_status": 1}),
    ("a wrong sender", CLONED.format("'someone' AS sender_id, 2 AS version"), {"wrong_fields": 1}),
    ("an orphan is lost", "ALTER TABLE orphans DELETE WHERE 1", {"lost": 2}),
    ("an orphan with a wrong status",
     "INSERT INTO orphans SELECT * REPLACE ('rejected' AS status, 2 AS version) FROM orphans "
     "LIMIT 1", {"wrong_status": 1}),
    ("a message is an orphan too",
     f"INSERT INTO orphans (account, message_id) SELECT account, message_id FROM messages "
     f"WHERE {DELIVERED}", {"doubled": 1, "unexpected": 1}),
    ("a cell counts one too many",
     "INSERT INTO status_counters SELECT * REPLACE (delivered + 1 AS delivered, 2 AS version) "
     "FROM status_counters WHERE kind = 'day' LIMIT 1",
     {"wrong_cells": 1, "cells_unlike_messages": 1}),
    ("a cell has lost credits",
     "INSERT INTO status_counters SELECT * REPLACE (credits - 0.000001 AS credits, 2 AS version) "
     "FROM status_counters WHERE kind = 'campaign' LIMIT 1",
     {"wrong_cells": 1, "cells_unlike_messages": 1}),
    ("a cell is missing", "ALTER TABLE status_counters DELETE WHERE kind = 'hour' AND "
     "(window_start, account, channel, source, country, provider) IN (SELECT window_start, "
     "account, channel, source, country, provider FROM status_counters WHERE kind = 'hour' "
     "LIMIT 1)",
     {"wrong_cells": 1, "cells_unlike_messages": 1}),
    ("a cell stands in two partitions",
     "INSERT INTO status_counters SELECT * REPLACE (1 AS shard) FROM status_counters "
     "WHERE kind = 'hour' LIMIT 1", {"wrong_cells": 1, "cells_unlike_messages": 1}),
    ("a dead letter is missing", "ALTER TABLE dead_letter_records DELETE WHERE offset = "
     "(SELECT min(offset) FROM dead_letter_records)", {"lost": 1}),
    ("a dead letter nobody sent",
     "INSERT INTO dead_letter_records SELECT * REPLACE (-5 AS offset) FROM dead_letter_records "
     "LIMIT 1", {"unexpected": 1}),
    ("a dead letter with a wrong reason",
     "INSERT INTO dead_letter_records SELECT * REPLACE ('internal_error' AS reason, 2 AS version) "
     "FROM dead_letter_records LIMIT 1", {"wrong_dead_letters": 1}),
    ("a dead letter with other bytes",
     "INSERT INTO dead_letter_records SELECT * REPLACE (value || ' ' AS value, 2 AS version, "
     "1 AS has_value) FROM dead_letter_records LIMIT 1", {"wrong_dead_letters": 1}),
    ("a lost engagement", "ALTER TABLE engagements DELETE WHERE event_id = "
     "(SELECT min(event_id) FROM engagements)", {"wrong_others": 1}),
    ("an old campaign", "INSERT INTO campaigns SELECT * REPLACE ('draft' AS status, 2 AS version) "
     "FROM campaigns LIMIT 1", {"wrong_others": 1}),
    ("a lost text", "ALTER TABLE message_texts DELETE WHERE message_id = 'm0'",
     {"wrong_others": 1}),
]  # fmt: skip


@pytest.mark.parametrize(("plant", "shown"), [p[1:] for p in PLANTED], ids=[p[0] for p in PLANTED])
def test_a_planted_error_is_found(
    client: Any, expected: Expected, plant: str, shown: dict[str, int]
) -> None:
    client.command(plant, settings={"mutations_sync": 2})
    ledger = compare(client, expected)
    found = {name: getattr(ledger, name) for name in FAULTS if getattr(ledger, name)}
    if "orphans DELETE" in plant:
        shown = {"lost": len(expected.orphans)}
    if shown.get("doubled"):  # either row may come first and be compared
        found.pop("wrong_fields", None)
    assert found == shown, str(ledger)
    assert not ledger.balances
    assert ledger.samples
    assert "DOES NOT BALANCE" in str(ledger)


def test_every_heading_of_a_fault_is_planted_or_counted() -> None:
    planted = {name for _, _, shown in PLANTED for name in shown}
    assert planted | {"unaccounted"} == set(FAULTS)


def test_events_that_end_nowhere_unbalance_the_ledger(client: Any, expected: Expected) -> None:
    short = dataclasses.replace(expected, in_messages=expected.in_messages - 2)
    assert compare(client, short).unaccounted == 2
    assert not compare(client, short).balances


def test_waiting_ends_with_the_balance_or_with_the_last_difference(
    client: Any, expected: Expected
) -> None:
    told: list[Counts] = []
    assert wait_until_balanced(client, expected, 5, told.append).balances
    assert told == [Counts(len(expected.messages), len(expected.orphans),
                           len(expected.dead_letters))]  # fmt: skip
    client.command("TRUNCATE TABLE orphans")
    late = wait_until_balanced(client, expected, 0.3, poll_s=0.1)
    assert not late.balances
    assert late.lost == len(expected.orphans)


def test_truth_files_of_several_runs_add_up(tmp_path: Path, expected: Expected) -> None:
    records = truth()
    paths = [tmp_path / "one.jsonl", tmp_path / "two.jsonl"]
    write_lines(paths[0], records[1000:])
    write_lines(paths[1], records[:1000])
    assert expectation(paths, AS_OF) == expected


def test_counted_statuses_are_the_first_fields_of_a_cell() -> None:
    assert Cell._fields[: len(COUNTED)] == COUNTED
