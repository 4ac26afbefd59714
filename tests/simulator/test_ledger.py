"""The ledger must be able to fail: each kind of planted error shows under its own heading."""

import dataclasses
import subprocess
import sys
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import clickhouse_connect
import pytest

from deploy.simulator.ledger.compare import (
    Counts,
    Ledger,
    compare,
    expectation,
    wait_until_balanced,
)
from deploy.simulator.oracle.callbacks import Unmatched
from deploy.simulator.oracle.expect import Expected, digest, expect
from deploy.simulator.oracle.messages import COUNTED, Cell
from deploy.simulator.publish.recording import write_lines
from sinks.client import connect
from sinks.migrate import migrate
from tests.simulator.filling import AS_OF, EVENTS, fill, insert, truth

pytestmark = pytest.mark.slow

FAULTS = [f.name for f in dataclasses.fields(Ledger)][10:-1]


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
          "campaigns", "message_texts", "accounts", "strikes", "suppression_records",
          "suppression_requests", "retry_requests", "receipt_events",
          "unmatched_receipt_records")  # fmt: skip


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


def test_tables_that_are_right_balance(client: Any, expected: Expected) -> None:
    ledger = compare(client, expected)
    assert ledger.balances, str(ledger)
    assert ledger.events == EVENTS
    assert ledger.messages == len(expected.messages) > EVENTS / 5
    assert ledger.orphans == len(expected.orphans) > 0
    assert ledger.dead_letters == len(expected.dead_letters) > 3
    assert ledger.strikes == len(expected.strikes) > 20
    suppressed = Counter(key[2] for key, n in expected.channels.items() if n.suppressed)
    assert ledger.suppressed_sms == suppressed["sms"] > 3
    assert ledger.suppressed_whatsapp == suppressed["whatsapp"] > 3
    assert f"suppressed_whatsapp {suppressed['whatsapp']}" in str(ledger)
    assert ledger.receipts == expected.receipts > EVENTS / 2
    assert ledger.retries == len(expected.allowed_retries) > len(expected.required_retries) > 2
    assert str(ledger).startswith("balances: events 6000")
    assert ledger.as_dict()["balances"] is True


DELIVERED = "account || message_id = (SELECT min(account || message_id) FROM messages " \
            "WHERE status = 'delivered' AND campaign_id != '')"  # fmt: skip
REJECTED = "account || message_id = (SELECT min(account || message_id) FROM messages " \
           "WHERE status = 'rejected' AND error_code != '')"  # fmt: skip
A_STRIKE = "account || message_id = (SELECT min(account || message_id) FROM strikes " \
           "WHERE struck)"  # fmt: skip
SUPPRESSED = "account || recipient = (SELECT min(account || recipient) " \
             "FROM suppression_records WHERE reasons = ['hard_bounces'])"  # fmt: skip
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
    ("settings that are out of date",
     "INSERT INTO accounts SELECT * REPLACE (9 AS strike_limit, 2 AS version) FROM accounts "
     "WHERE account = 'nordbank'", {"wrong_others": 1}),
    ("a decision is lost", "ALTER TABLE suppression_requests DELETE WHERE at = "
     "(SELECT min(at) FROM suppression_requests)", {"wrong_others": 1}),
    ("a decision nobody made",
     "INSERT INTO suppression_requests SELECT * REPLACE ('eve' AS who) FROM suppression_requests "
     "LIMIT 1", {"wrong_others": 1}),
    ("a strike is lost", f"ALTER TABLE strikes DELETE WHERE {A_STRIKE}", {"wrong_strikes": 1}),
    ("a strike is withdrawn for nothing",
     f"INSERT INTO strikes SELECT * REPLACE (false AS struck, 2 AS version) FROM strikes "
     f"WHERE {A_STRIKE}", {"wrong_strikes": 1}),
    ("one message strikes twice",
     f"INSERT INTO strikes SELECT * REPLACE (sent_at + INTERVAL 1 MILLISECOND AS sent_at) "
     f"FROM strikes WHERE {A_STRIKE}", {"wrong_strikes": 1}),
    ("a strike against another number",
     "INSERT INTO strikes (account, recipient, message_id, struck) "
     f"SELECT account, '+447400999999', message_id, true FROM messages WHERE {DELIVERED}",
     {"wrong_strikes": 1}),
    ("a strike that was withdrawn stands",
     "INSERT INTO strikes SELECT * REPLACE (true AS struck, 2 AS version) "
     "FROM (SELECT * FROM strikes WHERE NOT struck LIMIT 1)", {"wrong_strikes": 1}),
    ("a delivered message withdraws what never was",
     "INSERT INTO strikes (account, recipient, message_id, struck) "
     f"SELECT account, recipient, message_id, false FROM messages WHERE {DELIVERED}",
     {"wrong_strikes": 1}),
    ("a number is suppressed for nothing",
     "INSERT INTO suppression_records (account, recipient, channel, suppressed, reasons, binds) "
     "VALUES ('nordbank', '+447400999999', 'sms', true, ['manual'], 'all')",
     {"wrong_suppressions": 1}),
    ("a number is suppressed on the other channel too",
     "INSERT INTO suppression_records SELECT * REPLACE "
     "(if(channel = 'sms', 'whatsapp', 'sms') AS channel, 2 AS version) "
     f"FROM suppression_records WHERE {SUPPRESSED}", {"wrong_suppressions": 2}),
    ("an unsubscribe that binds too much",
     "INSERT INTO suppression_records SELECT * REPLACE "
     "(if(suppressed, 'all', binds) AS binds, 2 AS version) "
     "FROM suppression_records WHERE account || recipient = (SELECT min(account || recipient) "
     "FROM suppression_records GROUP BY account, recipient HAVING countIf(binds = 'marketing') = 1 "
     "LIMIT 1)", {"wrong_suppressions": 1}),
    ("an engagement of another kind",
     "INSERT INTO engagements SELECT * REPLACE (NOT automated AS automated, 2 AS version) "
     "FROM engagements LIMIT 1", {"wrong_others": 1}),
    ("a receipt that is not there as it came",
     "ALTER TABLE receipt_events DELETE WHERE offset = (SELECT min(offset) FROM receipt_events)",
     {"wrong_others": 1}),
    ("a wrong price", CLONED.format("price + 0.000001 AS price, 2 AS version"),
     {"wrong_fields": 1}),
    ("a repair that nobody made", CLONED.format("['text'] AS repaired, 2 AS version"),
     {"wrong_fields": 1}),
    ("another person", CLONED.format("'+447400999999' AS person, 2 AS version"),
     {"wrong_fields": 1}),
    ("a number is never suppressed",
     f"ALTER TABLE suppression_records DELETE WHERE {SUPPRESSED}", {"wrong_suppressions": 1}),
    ("a number is suppressed too early",
     "INSERT INTO suppression_records SELECT * REPLACE "
     "(if(suppressed, since - INTERVAL 1 MILLISECOND, since) AS since, "
     f"2 AS version) FROM suppression_records WHERE {SUPPRESSED}", {"wrong_suppressions": 1}),
    ("a number is suppressed for another reason",
     "INSERT INTO suppression_records SELECT * REPLACE "
     "(if(suppressed, ['unsubscribed', 'manual'], reasons) AS reasons, "
     f"2 AS version) FROM suppression_records WHERE {SUPPRESSED}", {"wrong_suppressions": 1}),
    ("a number has one strike too many",
     "INSERT INTO suppression_records SELECT * REPLACE "
     "(if(suppressed, strikes + 1, strikes) AS strikes, 2 AS version) "
     f"FROM suppression_records WHERE {SUPPRESSED}", {"wrong_suppressions": 1}),
    ("a retry nobody may ask for",
     "INSERT INTO retry_requests (account, message_id, attempt) "
     f"SELECT account, message_id, 99 FROM messages WHERE {DELIVERED}", {"wrong_retries": 1}),
    ("a retry that is due at another time",
     "INSERT INTO retry_requests SELECT * REPLACE (due_at + INTERVAL 1 SECOND AS due_at, "
     "2 AS version) FROM retry_requests LIMIT 1", {"wrong_retries": 1}),
    ("a retry to another number",
     "INSERT INTO retry_requests SELECT * REPLACE ('+447400999999' AS recipient, 2 AS version) "
     "FROM retry_requests LIMIT 1", {"wrong_retries": 1}),
    ("no retry is asked for", "TRUNCATE TABLE retry_requests", {"wrong_retries": -1}),
    ("a reason the provider did not give",
     "INSERT INTO messages SELECT * REPLACE ('just so' AS fail_reason, 2 AS version) FROM messages "
     f"WHERE {REJECTED}", {"wrong_fields": 1}),
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
    if shown == {"wrong_retries": -1}:
        shown = {"wrong_retries": len(expected.required_retries)}
    if shown.get("doubled"):  # either row may come first and be compared
        found.pop("wrong_fields", None)
    assert found == shown, str(ledger)
    assert not ledger.balances
    assert ledger.samples
    assert "DOES NOT BALANCE" in str(ledger)


class Doubling:
    """A client that reads one view twice: the engine itself keeps one row a key."""

    def __init__(self, client: Any, view: str) -> None:
        self._client = client
        self._view = view

    @contextmanager
    def query_rows_stream(self, query: str) -> Iterator[Iterable[Any]]:
        with self._client.query_rows_stream(query) as stream:
            rows = list(stream)
        yield rows * 2 if query.endswith(self._view) else rows


@pytest.mark.parametrize(
    ("view", "heading"),
    [("retry_requests_current", "wrong_retries"), ("suppressions", "wrong_suppressions"),
     ("strikes_current", "wrong_strikes")],
)  # fmt: skip
def test_a_doubled_row_is_found(client: Any, expected: Expected, view: str, heading: str) -> None:
    ledger = compare(Doubling(client, f"FROM {view}"), expected)
    found = {name: getattr(ledger, name) for name in FAULTS if getattr(ledger, name)}
    assert found == {heading: {
        "wrong_retries": len(expected.allowed_retries), "wrong_strikes": len(expected.strikes),
        "wrong_suppressions": len(expected.channels),
    }[heading]}  # fmt: skip


UNMATCHED = {Unmatched("acme-retail", f"id-{n}", "delivered", AS_OF - n) for n in range(3)}
BROKEN = b'{"results":[{"mess'


@pytest.fixture
def called(client: Any, expected: Expected) -> Expected:
    """The same with callbacks: three receipts without a message, and one that cannot be read."""
    names = ("account", "provider_message_id", "status", "occurred_at", "id", "reported",
             "received_at", "version")  # fmt: skip
    insert(client, "unmatched_receipt_records", names,
           [(*row, row.provider_message_id, 1, AS_OF, 1) for row in UNMATCHED])  # fmt: skip
    names = ("topic", "partition", "offset", "time", "reason", "value", "has_value", "version")
    insert(client, "dead_letter_records", names,
           [("callbacks", 3, 7, AS_OF, "bad_value", BROKEN, 1, 1)])  # fmt: skip
    return dataclasses.replace(
        expected,
        receipts=expected.receipts - 2,  # two rows are of callbacks, one of them twice
        callback_receipts={("one",)},
        unmatched=UNMATCHED,
        in_unmatched=len(UNMATCHED),
        refused_callbacks=Counter({("bad_value", digest(BROKEN)): 1}),
        events=expected.events + len(UNMATCHED) + 1,
    )


def test_callbacks_balance(client: Any, called: Expected) -> None:
    ledger = compare(client, called)
    assert ledger.balances, str(ledger)
    assert ledger.unmatched == len(UNMATCHED)
    assert ledger.dead_letters == len(called.dead_letters) + 1


RECORDS = "unmatched_receipt_records"
AN_ID = "WHERE provider_message_id = 'id-1'"


@pytest.mark.parametrize(
    ("planted", "shown"),
    [
        (f"ALTER TABLE {RECORDS} DELETE {AN_ID}", {"lost": 1}),
        (f"INSERT INTO {RECORDS} SELECT * REPLACE ('other' AS provider_message_id, 'x' AS id) "
         f"FROM (SELECT * FROM {RECORDS} {AN_ID})", {"unexpected": 1}),
        (f"INSERT INTO {RECORDS} SELECT * REPLACE ('m1' AS message_id, 2 AS version) "
         f"FROM {RECORDS} {AN_ID}", {"lost": 1}),
        (f"INSERT INTO {RECORDS} SELECT * REPLACE ('read' AS status, 2 AS version) "
         f"FROM {RECORDS} {AN_ID}", {"lost": 1, "unexpected": 1}),
        ("ALTER TABLE dead_letter_records DELETE WHERE topic = 'callbacks'", {"lost": 1}),
        ("INSERT INTO dead_letter_records SELECT * REPLACE (8 AS offset) FROM dead_letter_records "
         "WHERE topic = 'callbacks'", {"unexpected": 1}),
        ("ALTER TABLE receipt_events DELETE WHERE offset IN "
         "(SELECT offset FROM receipt_events ORDER BY offset LIMIT 2)", {"wrong_others": 1}),
    ],
)  # fmt: skip
def test_what_is_wrong_of_callbacks_is_found(
    client: Any, called: Expected, planted: str, shown: dict[str, int]
) -> None:
    client.command(planted, settings={"mutations_sync": 1})
    ledger = compare(client, called)
    assert {name: getattr(ledger, name) for name in FAULTS if getattr(ledger, name)} == shown


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
    suppressed = sum(number.suppressed for number in expected.channels.values())
    assert wait_until_balanced(client, expected, 5, told.append).balances
    assert told == [Counts(len(expected.messages), len(expected.orphans),
                           len(expected.dead_letters), len(expected.strikes),
                           suppressed)]  # fmt: skip
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
