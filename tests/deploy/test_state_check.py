"""`receipts state check` finds what does not follow from the states, and names it."""

import asyncio
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from deploy.cli import cli
from models.accounts import AccountSettings
from streams.batching.stores.database import Database, Memory
from streams.batching.stores.folder import lock, unlock
from streams.common import context
from tests.properties.events import NOON_MS
from tests.support.recipient_world import hard, make_receipt, send
from tests.support.worker_world import SOURCES, Life, Log, source_record

#: Kinds of rows of the table of states, the first.
VALUE, TIMER, DAY, NOTE, STATUS = (b"\x01" + kind for kind in (b"v", b"t", b"d", b"n", b"o"))
SECOND = (NOON_MS // 1000).to_bytes(4, "big")
PENDING = b"acme/pending"


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a worker that stopped: messages that are delivered, struck and pending, and a
    number that is suppressed for a while, by the settings of its account."""
    folder = tmp_path_factory.mktemp("state")

    async def run() -> None:
        log = Log()
        given = {"strike_limit": 1, "suppression_days": 1}
        settings = AccountSettings(account="other", **given)
        life = Life(log, 1, folder, lambda: NOON_MS, [settings])
        await life.restore(100)
        await life.open()
        struck = hard("struck", NOON_MS).model_copy(update={"account": "other"})
        sent = send("struck", NOON_MS).model_copy(update={"account": "other"})
        events = [send("pending", NOON_MS), send("done", NOON_MS), sent, struck]
        for event in [*events, make_receipt("delivered", NOON_MS, "done")]:
            topic, key, value = source_record(event, NOON_MS)
            log.append(topic, key, value, NOON_MS)
        for _ in range(3):
            for topic in SOURCES:
                await life.take(topic, 100)
            await life.commit()
        life.app.stores.close_all()

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(context, "wall_ms", lambda: NOON_MS)
        asyncio.run(run())
    return folder


@pytest.fixture
def folder(made: Path, tmp_path: Path) -> Path:
    """A copy that a test may spoil."""
    copied = tmp_path / "state"
    copied.mkdir()
    os.system(f"cp -r {made}/. {copied}")
    return copied


def check(folder: Path, *options: str) -> Result:
    return CliRunner().invoke(
        cli, ["state", "check", "--dir", str(folder), "--offline", *options], obj=None
    )


def checked(folder: Path) -> dict[str, Any]:
    """The partition in the JSON."""
    (partition,) = json.loads(check(folder, "--json").output)["partitions"]
    return dict(partition)


Rows = dict[bytes, bytes | None]


def spoil(folder: Path, changed: Callable[[Database], Rows]) -> None:
    """Change rows of partition 0, as no worker would."""
    database = Database(folder / "receipts" / "0", Memory())
    database.write(changed(database).items())
    database.close()


def row_of(database: Database, prefix: bytes, key: bytes) -> bytes:
    """The only row that begins with a prefix and ends with a key."""
    (row,) = [row for row in database.keys(prefix, prefix + b"\xff") if row.endswith(key)]
    return row


def of(kind: bytes, key: bytes = PENDING) -> Callable[[Database], bytes]:
    return lambda database: row_of(database, kind, key)


def without(kind: bytes, key: bytes = PENDING) -> Callable[[Database], Rows]:
    return lambda database: {row_of(database, kind, key): None}


def other_second(database: Database) -> Rows:
    timer, row = row_of(database, TIMER, PENDING), database.get(VALUE + PENDING)
    assert row is not None
    return {
        timer: None,
        TIMER + SECOND + PENDING: b"",
        VALUE + PENDING: row[:1] + SECOND + row[5:],
    }


def no_second(database: Database) -> Rows:
    row = database.get(VALUE + PENDING)
    assert row is not None
    return {VALUE + PENDING: b"\x00" + row[5:]}


def other_day(database: Database) -> Rows:
    return {row_of(database, DAY, PENDING): None, DAY + b"\0\0\0\1" + PENDING: b""}


def other_counts(database: Database) -> Rows:
    cell = next(row for row in database.keys(NOTE, NOTE + b"\xff") if b"cell:" in row)
    counts = database.get(cell)
    assert counts is not None
    return {cell: counts[:1] + bytes([counts[1] + 1]) + counts[2:]}


def one_more(database: Database) -> Rows:
    status = database.get(STATUS)
    assert status is not None
    return {STATUS: status[:-1] + bytes([status[-1] + 1])}


@pytest.mark.parametrize(
    ("changed", "faults"),
    [
        (without(TIMER), {"timer row missing": 1}),
        (other_second, {"wrong timer": 1}),
        (no_second, {"wrong timer": 1, "timer row without its value": 1}),
        (lambda _: {TIMER + SECOND + PENDING: b""}, {"timer row without its value": 1}),
        (lambda _: {TIMER + SECOND + b"acme/x": b""}, {"timer row without its value": 1}),
        (without(DAY), {"day row missing": 1}),
        (other_day, {"day row missing": 1, "day row without its value": 1}),
        (lambda _: {DAY + SECOND + b"acme/x": b""}, {"day row without its value": 1}),
        (other_counts, {"wrong cell": 1}),
        (one_more, {"wrong number of values": 1}),
        (lambda _: {VALUE + PENDING: b"\x00{"}, {
            "unreadable value": 1, "timer row without its value": 1, "wrong cell": 2}),
        (without(VALUE), {
            "wrong number of values": 1, "timer row without its value": 1,
            "day row without its value": 1, "wrong cell": 2}),
        (lambda database: {row_of(database, b"\x03t", b"+46701234567"): None},
            {"timer row missing": 1}),
        (lambda _: {b"\x03d" + SECOND + b"other/+46701234567": b""},
            {"day row without its value": 1}),
    ],
    ids=["timer row", "second", "no second", "second timer", "timer of nothing", "day row",
         "day", "day of nothing", "cell", "count", "value", "no value", "recipient's timer",
         "recipient's day"],
)  # fmt: skip
def test_whatever_does_not_follow_from_the_states_is_found(folder, changed, faults):
    spoil(folder, changed)
    result = check(folder)
    assert result.exit_code == 1
    found = checked(folder)
    assert found["exact"] is False
    assert found["faults"] == faults
    for fault in faults:
        assert f"partition 0: {fault}" in result.output


def test_what_a_worker_left_is_exact(folder):
    result = check(folder)
    assert result.exit_code == 0, result.output
    found = checked(folder)
    assert found["exact"] is True
    assert (found["states"], found["faults"], found["examples"]) == (4, {}, [])
    assert (found["timers"], found["days"]) == (2, 3)
    assert found["cells"] > 0
    # Messages and numbers of the account whose settings are in Kafka.
    reason = "the settings of its account changed, or are not known here"
    assert found["unproved"] == {reason: 2}


def test_a_number_is_masked(folder):
    spoil(folder, lambda database: {row_of(database, b"\x03t", b"+46701234567"): None})
    assert "+4670*****67" in check(folder).output
    assert "+46701234567" not in check(folder, "--json").output


def test_nothing_of_the_folder_changes(folder):
    def content() -> dict[str, bytes]:
        return {str(path): path.read_bytes() for path in folder.rglob("*") if path.is_file()}

    before = content()
    check(folder)
    logs = {name for name in content() if "LOG" in name}
    assert {name: data for name, data in content().items() if name not in logs} == {
        name: data for name, data in before.items() if name not in logs
    }


def test_the_folder_of_a_running_worker_is_refused(folder):
    held = lock(folder / "receipts", "")
    result = check(folder)
    unlock(held)
    assert result.exit_code == 1
    assert "another worker uses it. Fix: stop it first" in str(result.exception)


def test_states_of_other_rules_are_not_exact(folder, monkeypatch):
    monkeypatch.setattr("streams.state_check.fingerprint", lambda: "other")
    assert checked(folder)["faults"] == {"other rules": 1}


def test_a_damaged_database_is_named_and_the_others_are_checked(folder):
    os.system(f"cp -r {folder}/receipts/0 {folder}/receipts/1")
    for path in (folder / "receipts" / "0").glob("*.sst"):
        path.write_bytes(b"torn")
    result = check(folder, "--json")
    first, second = json.loads(result.output)["partitions"]
    assert "Fix: start the worker" in first["problem"]
    assert "not a database of this version and partition" in second["problem"]  # it is that of 0
    assert result.exit_code == 1


@pytest.mark.parametrize(
    ("options", "line"),
    [
        (["--partition", "7"], "has no states of partition 7. Fix: "),
        (["--changelog"], "Fix: leave out --dir and --offline"),
    ],
)
def test_wrong_options_are_named(folder, options, line):
    result = check(folder, *options)
    assert line in result.output + str(result.exception)
    assert result.exit_code != 0
