"""Databases of a worker: what cannot be trusted is made again, what a person must mend is named."""

import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from streams.batching.errors import StateFolderError
from streams.batching.stores import database as databases
from streams.batching.stores import folder as folders
from streams.batching.stores.base import StateStore
from streams.batching.stores.folder import STALE_S, DiskStores, StateFolder

ROOT = Path(__file__).parents[3]
COUNT = 500


def opened(
    path: Path,
    app: str = "app",
    tables: tuple[str, ...] = ("t",),
    rules: str = "r",
    ids: dict[str, str] | None = None,
) -> DiskStores:
    stores = DiskStores(StateFolder(path, 1 << 20, rules), app, {name: name for name in tables})
    stores.know_topics(ids or {})
    return stores


def write(store: StateStore, offset: int) -> None:
    store.freeze()
    store.write(offset)
    store.written()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A folder with a database of partition 3."""
    stores = opened(tmp_path)
    store = stores.open("t", 3)
    for number in range(COUNT):
        store[b"k%d" % number] = b"v" * 100
    store.timers.set(b"k1", 1_000)
    write(store, 41)
    stores.close_all()
    return tmp_path


def offset_of(path: Path, **options: Any) -> int:
    """Up to which record of the changelog a new worker has partition 3; -1: it begins again."""
    stores = opened(path, **options)
    try:
        store = stores.open("t", 3)
        found = store.offset
        assert len(store) == len(list(store.items_of(b""))) == (COUNT if found == 41 else 0)
        return found
    finally:
        stores.close_all()


def test_what_was_written_is_there(path):
    assert offset_of(path) == 41


def files(path: Path, pattern: str) -> list[Path]:
    found = list((path / "app" / "3").glob(pattern))
    assert found, os.listdir(path / "app" / "3")
    return found


def cut(path: Path) -> None:
    for each in files(path, "*.sst"):
        each.write_bytes(each.read_bytes()[: each.stat().st_size // 2])


def overwrite(path: Path) -> None:
    for each in files(path, "*.sst"):
        data = bytearray(each.read_bytes())
        data[: len(data) // 2] = os.urandom(len(data) // 2)
        each.write_bytes(bytes(data))


def remove(pattern: str) -> Callable[[Path], None]:
    def run(path: Path) -> None:
        for each in files(path, pattern):
            each.unlink()

    return run


def torn_manifest(path: Path) -> None:
    for each in files(path, "MANIFEST-*"):
        each.write_bytes(os.urandom(100))


@pytest.mark.parametrize(
    "spoil",
    [cut, overwrite, remove("*.sst"), remove("MANIFEST-*"), torn_manifest],
    ids=["cut", "overwritten", "no sst", "no manifest", "torn manifest"],
)
def test_a_damaged_database_is_made_again_at_the_latest_at_the_second_start(path, spoil):
    spoil(path)
    try:
        found = offset_of(path)
    except StateFolderError as error:
        text = str(error)
        assert re.search(r"is damaged \(.*\)\. Fix: start the worker again", text, re.DOTALL)
        found = offset_of(path)
    assert found == -1


def test_a_database_without_its_pointer_is_new_or_made_again(path):
    """CURRENT names the manifest; without it RocksDB begins a new database in the same folder."""
    remove("CURRENT")(path)
    assert offset_of(path) == -1


@pytest.mark.parametrize(
    "other",
    [{"app": "other"}, {"tables": ("t", "u")}],
    ids=["app", "tables"],
)
def test_a_foreign_database_is_made_again(path, other):
    if "app" in other:
        (path / "app").rename(path / "other")
    assert offset_of(path, **other) == -1


def test_a_database_of_another_partition_is_made_again(path):
    (path / "app" / "3").rename(path / "app" / "4")
    stores = opened(path)
    assert stores.open("t", 4).offset == -1
    stores.close_all()


def test_a_database_of_another_format_is_made_again(path, monkeypatch):
    monkeypatch.setattr(folders, "FORMAT", folders.FORMAT + 1)
    assert offset_of(path) == -1


def test_other_rules_keep_the_values_and_derive_the_rest_again(path):
    stores = opened(path, rules="other")
    store = stores.open("t", 3)
    assert (store.offset, store.refolding, len(store)) == (41, True, COUNT)
    assert not store.timers.any_due(9_000)
    stores.close_all()


def test_a_database_that_was_left_alone_too_long_is_made_again(path, monkeypatch):
    later = databases.time.time() + STALE_S + 60
    monkeypatch.setattr(databases.time, "time", lambda: later)
    monkeypatch.setattr(folders, "_written_at", lambda path: later)
    assert offset_of(path) == -1


def test_databases_of_partitions_that_are_long_gone_are_deleted(path, monkeypatch):
    later = databases.time.time() + STALE_S + 60
    monkeypatch.setattr(databases.time, "time", lambda: later)
    stores = opened(path)
    assert not (path / "app" / "3").exists()
    stores.close_all()


def test_the_ids_of_the_topics_are_noted_and_kept(path):
    """A database of 0.3.0 has none; a broker that knows none does not take them away."""
    assert offset_of(path, ids={"t": "1"}) == 41
    assert offset_of(path) == 41
    assert offset_of(path, ids={"t": "1", "other": "2"}) == 41
    with pytest.raises(StateFolderError, match="another topic t, which was made again"):
        offset_of(path, ids={"t": "3"})


# --- what a person must mend ------------------------------------------------------------------


def test_two_workers_do_not_share_a_folder(path):
    held = opened(path)
    line = r"another worker or receipts state check uses it\. Fix: give each worker a"
    with pytest.raises(StateFolderError, match=line):
        opened(path)
    held.close_all()
    opened(path).close_all()


def test_a_folder_that_cannot_be_made_is_named(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(StateFolderError, match=r"cannot be written .* Fix: let the user"):
        opened(tmp_path / "file" / "state")


FULL = """
import resource, signal, sys
from pathlib import Path
from streams.batching.errors import StateFolderError
from tests.streams.batching.test_state_folder import opened, write
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
stores = opened(Path(sys.argv[1]))
store = stores.open("t", 3)
resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, 200_000))
import os
try:
    for step in range(100):
        for number in range(1000):
            store[b"full-%d-%d" % (step, number)] = os.urandom(200)
        write(store, 42 + step)
        stores._databases[3].flush()
except StateFolderError as error:
    print(error)
    os._exit(70)
"""


def test_a_disk_that_is_full_ends_with_a_clear_error_and_what_was_written_is_there(path):
    """By a limit of the size of files: for RocksDB it is an error of the same kind."""
    found = subprocess.run(
        [sys.executable, "-c", FULL, str(path)], cwd=ROOT, capture_output=True, text=True,
        timeout=60, check=False,
    )  # fmt: skip
    assert found.returncode == 70, found.stdout + found.stderr
    assert "Fix: raise the limit of the size of files" in found.stdout
    stores = opened(path)
    store = stores.open("t", 3)
    assert store.offset >= 41
    assert len(store) == len(list(store.items_of(b""))) == COUNT + 1000 * (store.offset - 41)
    stores.close_all()
