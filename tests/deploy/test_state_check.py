"""`receipts state check` finds what does not follow from the states, and names it."""

import asyncio
import json
import os
import signal
import tempfile
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager, redirect_stderr
from io import StringIO
from pathlib import Path
from tempfile import TemporaryDirectory
from types import SimpleNamespace
from typing import Any

import pytest
from aiokafka import TopicPartition
from click.testing import CliRunner, Result

from deploy.cli import _run, cli
from deploy.diagnosis import state_check
from deploy.diagnosis.state_check import check_disk
from deploy.exit_codes import FAILED, INTERRUPTED, USAGE
from models.accounts import AccountSettings
from models.settings import Settings
from streams.batching.stores.database import Database, Memory
from streams.batching.stores.folder import lock, unlock
from streams.common import context
from tests.bench.states import repeated, templates
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


def test_nothing_is_written_to_the_folder(folder):
    """It may be on a disk that cannot be written."""

    def found() -> dict[str, int]:
        return {str(path): path.stat().st_mtime_ns for path in (folder, *folder.rglob("*"))}

    before = found()
    assert check(folder).exit_code == 0
    assert found() == before


def test_a_folder_that_cannot_be_read_is_named(made):
    with TemporaryDirectory() as name:  # others may enter it, unlike a folder of pytest
        folder = Path(name)
        folder.chmod(0o755)
        os.system(f"cp -r {made}/. {folder}")
        for path, line in (
            (next(folder.rglob("*.sst")), ".sst: Permission denied"),
            (folder / "receipts" / "0", "Permission denied"),
            (folder / "receipts" / "lock", "Permission denied"),
            (folder / "receipts", "Permission denied"),
        ):
            path.chmod(0)
            with another_user():
                result = check(folder)
            path.chmod(0o755)
            text = result.output + str(result.exception)
            assert result.exit_code == 1
            assert line in text
            assert "Fix: let the user of this process read it" in text
        with another_user():
            assert check(folder).exit_code == 0


@contextmanager
def another_user() -> Iterator[None]:
    """A user whom permissions bind: they do not bind root."""
    user = os.geteuid()
    os.seteuid(user or 65_534)
    try:
        yield
    finally:
        os.seteuid(user)


def test_the_folder_of_a_running_worker_is_refused(folder):
    held = lock(folder / "receipts", "")
    (line,) = refused(folder)
    unlock(held)
    assert "/state/receipts: another worker or receipts state check uses it." in line
    assert line.endswith("Fix: stop it first")


def refused(folder: Path, *options: str) -> list[str]:
    """What the command writes when it has nothing to check."""
    with redirect_stderr(StringIO()) as written:
        assert _run(["state", "check", "--dir", str(folder), *options]) == FAILED
    return written.getvalue().splitlines()


def nothing(folder: Path) -> Path:
    return folder / "nothing"


def empty(folder: Path) -> Path:
    (folder / "empty").mkdir()
    return folder / "empty"


def without_partitions(folder: Path) -> Path:
    (folder / "new" / "receipts").mkdir(parents=True)
    return folder / "new"


def of_another_app(folder: Path) -> Path:
    (folder / "receipts").rename(folder / "eu")
    return folder


@pytest.mark.parametrize(
    ("named", "options", "line"),
    [
        (nothing, (), "/state/nothing: no such folder is there. Fix: name one that has receipts/"),
        (empty, (), "/state/empty: no worker has states there: it has no receipts/. Fix: name the "
            "RECEIPTS_STATE_DIR of a worker, and set its RECEIPTS_APP_ID"),
        (without_partitions, (), "/state/new/receipts has no partitions. Fix: name the folder of a "
            "worker that has had partitions"),
        (of_another_app, (), "/state: it has no states of receipts (RECEIPTS_APP_ID), but of eu. "
            "Fix: set RECEIPTS_APP_ID=eu"),
        (lambda folder: folder / "receipts", (), "/state, and set RECEIPTS_APP_ID=receipts"),
        (lambda folder: folder, ("--partition", "7", "--partition", "0", "--partition", "9"),
            "/state/receipts has no states of partitions 7, 9. Fix: name others; it has "
            "partition 0"),
    ],
    ids=["nothing", "empty", "no partitions", "another app", "the app's", "partitions"],
)  # fmt: skip
def test_a_wrong_folder_is_one_line_with_the_fix(folder, named, options, line, monkeypatch):
    """Before Kafka is read, which does not answer."""
    monkeypatch.setenv("RECEIPTS_BROKERS", "127.0.0.1:1")
    (written,) = refused(named(folder), *options)
    assert written.startswith("receipts: error: ")
    assert written.endswith(line)


def test_without_kafka_the_folder_alone_can_be_checked(folder, monkeypatch):
    monkeypatch.setenv("RECEIPTS_BROKERS", "127.0.0.1:1")
    (line,) = refused(folder)
    assert "Kafka at 127.0.0.1:1 does not answer" in line
    assert line.endswith("; or add --offline, which reads the folder alone")
    unlock(lock(folder / "receipts", ""))


# --- while it works -----------------------------------------------------------------------------


def test_each_step_shows_how_far_it_is(folder):
    steps: list[tuple[str, int, int]] = []
    check_disk(Settings(), folder, (), lambda *step: steps.append(step), offline=True)
    assert steps == [
        ("partition 0: messages", 3, 3),
        ("partition 0: messages, timers", 1, 0),
        ("partition 0: messages, days", 3, 0),
        ("partition 0: suppressions", 1, 1),
        ("partition 0: suppressions, timers", 1, 0),
    ]


def test_ctrl_c_ends_it_and_unlocks_the_folder(folder, monkeypatch, capsys):
    def interrupted(*_: object) -> None:
        signal.raise_signal(signal.SIGINT)

    monkeypatch.setattr("deploy.diagnosis.state_check.prove", interrupted)
    assert _run(["state", "check", "--offline", "--dir", str(folder)]) == INTERRUPTED
    assert capsys.readouterr().err.endswith("receipts: interrupted\n")
    unlock(lock(folder / "receipts", ""))


def test_ctrl_c_ends_a_check_of_the_changelog_while_it_folds(monkeypatch, tmp_path):
    """No record is read meanwhile, and nothing of the states stays on disk."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    states = list(repeated(templates(3_000, "hour"), 5_000))
    steps: list[tuple[str, int, int]] = []

    @asynccontextmanager
    async def consumer(_: Settings) -> AsyncIterator[None]:
        yield

    async def partitions(*_: object) -> list[int]:
        return [0]

    async def batches(_: None, partition: TopicPartition) -> AsyncIterator[list[Any]]:
        if partition.topic == "message-states":
            yield [SimpleNamespace(key=key, value=value) for key, value in states]

    def on_progress(*step: Any) -> None:
        steps.append(step)
        if step[0] == "partition 0: states":
            signal.raise_signal(signal.SIGINT)

    for name, fake in (("_consumer", consumer), ("_partitions", partitions)):
        monkeypatch.setattr(state_check, name, fake)
    monkeypatch.setattr(state_check, "batches_of", batches)
    with pytest.raises(KeyboardInterrupt):
        asyncio.run(state_check.check_changelog(Settings(), (), on_progress))
    assert steps == [
        ("partition 0: records of message-states", 5_000, 0),
        ("partition 0: states", 2_000, 5_000),
    ]
    assert list(tmp_path.iterdir()) == []


# --- what cannot be checked ---------------------------------------------------------------------


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


def test_options_that_exclude_each_other_are_named(folder):
    result = check(folder, "--changelog")
    assert "Fix: leave out --dir and --offline" in result.output
    assert result.exit_code == USAGE
