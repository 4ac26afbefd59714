"""The databases of a stopped worker: read, and left as they are."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final, NamedTuple

from streams.batching.errors import StateFolderError
from streams.batching.stores.cache import Cache
from streams.batching.stores.database import DAMAGED, Database, Memory, unreadable
from streams.batching.stores.disk import DiskStore
from streams.batching.stores.folder import FORMAT, lock, unlock
from streams.batching.stores.written import WrittenTable

_CACHE_BYTES: Final = 1 << 20


class StoppedTable(NamedTuple):
    """One table of a partition: as a store, and row by row."""

    store: DiskStore
    written: WrittenTable


class StoppedPartition:
    """What one partition has on disk.

    tables: by their names
    rules: the fingerprint of the rules that its timers, days and notes follow by; "": of none
    """

    def __init__(self, database: Database, identity: Mapping[str, Any]) -> None:
        self._database = database
        cache = Cache(_CACHE_BYTES)
        self.rules: str = identity["rules"]
        self.tables = {
            name: StoppedTable(
                DiskStore(database, bytes([number]), cache),
                WrittenTable(database, bytes([number])),
            )
            for number, name in enumerate(identity["tables"], 1)
        }

    @classmethod
    def of(cls, database: Database) -> StoppedPartition:
        """What is written to a database; what is not is not seen. Raises StateFolderError."""
        identity = database.identity()
        number = None if identity is None else identity["partition"]
        if identity is None or identity["format"] != FORMAT or str(number) != database.path.name:
            raise StateFolderError(
                database.path,
                "it is not a database of this version and partition",
                "start the worker; it reads Kafka again",
            )
        return cls(database, identity)

    def close(self) -> None:
        """Close it."""
        self._database.close()


class StoppedFolder:
    """The folder of an app, locked so that no worker starts in it meanwhile.

    Raises StateFolderError: it does not exist, cannot be read, or a worker uses it.
    """

    def __init__(self, folder: Path, app: str) -> None:
        self._path = folder / app
        try:
            if not self._path.is_dir():
                raise _no_folder_of(app, folder)
            # A copy may be on a disk that nobody can write, and without the file.
            is_lockable = (self._path / "lock").exists()
            self._partitions = _partitions(self._path)
        except OSError as error:
            raise unreadable(self._path, str(error)) from None
        self._lock = lock(self._path, "stop it first", os.O_RDONLY) if is_lockable else None
        self._memory = Memory()

    @property
    def path(self) -> Path:
        """The folder with one folder for each partition."""
        return self._path

    def partitions(self) -> list[int]:
        """The partitions that have a database."""
        return self._partitions

    def open(self, partition: int) -> StoppedPartition:
        """One of them; close it before the next. Raises StateFolderError."""
        path = self._path / str(partition)
        try:
            is_damaged = (path / DAMAGED).exists()
        except OSError as error:
            raise unreadable(path, str(error)) from None
        if is_damaged:
            raise StateFolderError(
                path, "the database is damaged", "start the worker; it reads Kafka again"
            )
        database = Database(path, self._memory, read_only=True)
        try:
            return StoppedPartition.of(database)
        except StateFolderError:
            database.close()
            raise

    def close(self) -> None:
        """Unlock it."""
        if self._lock is not None:
            unlock(self._lock)


def _partitions(path: Path) -> list[int]:
    return sorted(int(each.name) for each in path.iterdir() if each.name.isdigit())


def _no_folder_of(app: str, folder: Path) -> StateFolderError:
    """The folder that was named has no states of the app: what it is, and what to name."""
    if not folder.is_dir():
        return StateFolderError(folder, "no such folder is there", f"name one that has {app}/")
    if _partitions(folder):
        what = "it is the folder of an app"
        fix = f"name the folder above, {folder.parent}, and set RECEIPTS_APP_ID={folder.name}"
        return StateFolderError(folder, what, fix)
    apps = sorted(each.name for each in folder.iterdir() if each.is_dir() and _partitions(each))
    if apps:
        what = f"it has no states of {app} (RECEIPTS_APP_ID), but of {', '.join(apps)}"
        return StateFolderError(folder, what, f"set RECEIPTS_APP_ID={apps[0]}")
    fix = "name the RECEIPTS_STATE_DIR of a worker, and set its RECEIPTS_APP_ID"
    return StateFolderError(folder, f"no worker has states there: it has no {app}/", fix)
