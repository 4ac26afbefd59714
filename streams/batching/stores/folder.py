"""The databases of a worker's partitions, one in each folder `STATE_DIR/app/partition`."""

from __future__ import annotations

import fcntl
import logging
import os
import shutil
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, Final, NamedTuple

from streams.batching.errors import StateFolderError
from streams.batching.stores.base import StateStore
from streams.batching.stores.cache import Cache
from streams.batching.stores.database import (
    DAMAGED,
    Database,
    Memory,
    destroy,
    size_of,
    unreadable,
)
from streams.batching.stores.disk import DiskStore
from streams.batching.stores.memory import MemoryStore

log = logging.getLogger(__name__)

#: Of the rows; a database of another format is made again from Kafka.
FORMAT: Final = 1

#: A database that last had its whole changelogs so long ago is made again from Kafka: compaction
#: keeps a tombstone for `delete.retention.ms`, a day, and afterwards nothing shows that a key was
#: deleted.
STALE_S: Final = 20 * 3600

#: What is not flushed is read from Kafka again after a crash: at most so many values of all
#: partitions together, and at most what was written in so many seconds.
FLUSH_ROWS: Final = 150_000
FLUSH_S: Final = 60.0


class StateFolder(NamedTuple):
    """Where and how states are kept on disk.

    path: of this worker alone
    cache_bytes: for recently used values
    rules: what timers, days and notes follow from the values by; when it changes they are derived
        again
    """

    path: Path
    cache_bytes: int
    rules: str


class StateUse(NamedTuple):
    """What states on disk use. All in bytes, but for `reads`.

    databases: files of each open partition
    free, total: of the volume, for this process
    memory, limits: by part: values, blocks, unflushed
    reads: values looked for since the start, by source: cache or database
    """

    databases: Mapping[int, int]
    free: int
    total: int
    memory: Mapping[str, int]
    limits: Mapping[str, int]
    reads: Mapping[str, int]


class _Unflushed:
    """Values that were written to a database and not flushed, and since when (monotonic)."""

    def __init__(self, since: float) -> None:
        self.rows = 0
        self.since = since


class MemoryStores:
    """Stores in memory, of all partitions of an app."""

    def open(self, table: str, partition: int) -> StateStore:
        """A new store of a table."""
        return MemoryStore()

    def close(self, partition: int) -> None:
        """Nothing."""

    def close_all(self) -> None:
        """Nothing."""

    def path(self, partition: int) -> Path:
        """Nothing is on disk."""
        raise TypeError("states are in memory")

    def kept(self) -> list[int]:
        """None."""
        return []

    def is_refolding(self, partition: int) -> bool:
        """Never."""
        return False

    def folded(self, partition: int) -> None:
        """Nothing."""

    def written(self, rows: Mapping[int, int]) -> None:
        """Nothing."""

    def know_topics(self, ids: Mapping[str, str]) -> None:
        """Nothing outlives a topic."""

    def use(self) -> StateUse | None:
        """Nothing is on disk."""
        return None


class DiskStores:
    """Stores on disk, of all partitions of an app.

    changelogs: the topics of the tables, by their names, whose order must not change
    Raises StateFolderError when another process uses the folder.
    """

    def __init__(self, folder: StateFolder, app: str, changelogs: Mapping[str, str]) -> None:
        self._folder = folder
        self._path = folder.path / app
        self._app = app
        self._changelogs = changelogs
        self._tables = list(changelogs)
        self._topic_ids: Mapping[str, str] = {}
        self._noted_ids: dict[int, Mapping[str, str]] = {}
        """Ids of topics that were found in a database, by partition."""
        self._memory = Memory()
        self._cache = Cache(folder.cache_bytes)
        self._databases: dict[int, Database] = {}
        self._stores: dict[int, dict[str, DiskStore]] = {}
        self._refolding: set[int] = set()
        """Partitions whose timers, days and notes are derived again."""
        self._unflushed: dict[int, _Unflushed] = {}
        _make(self._path)
        self._lock = lock(self._path, "give each worker a RECEIPTS_STATE_DIR of its own")
        self._remove_stale()

    def open(self, table: str, partition: int) -> StateStore:
        """The store of a table; it is the same until the partition is closed."""
        if partition not in self._stores:
            self._open(partition)
        return self._stores[partition][table]

    def know_topics(self, ids: Mapping[str, str]) -> None:
        """The ids of the changelogs that are known, before anything is opened."""
        self._topic_ids = ids

    def kept(self) -> list[int]:
        """Partitions that are on disk, open or not."""
        return [int(path.name) for path in self._path.iterdir() if path.name.isdigit()]

    def path(self, partition: int) -> Path:
        """The folder of a partition."""
        return self._path / str(partition)

    def _open(self, partition: int) -> None:
        self._databases[partition] = database = self._database(partition)
        found = database.identity()
        self._refuse_other_topics(partition, found or {})
        identity = self._identity(partition)
        if found is not None and found["rules"] != identity["rules"]:
            log.info("Timers and counters of partition %d are derived again", partition)
            # Until `folded` it belongs to no rules: after a crash all is derived again.
            database.identify({**identity, "rules": ""})
            self._refolding.add(partition)
        self._stores[partition] = {
            table: DiskStore(database, bytes([number]), self._cache)
            for number, table in enumerate(self._tables, 1)
        }
        if partition in self._refolding:
            for store in self._stores[partition].values():
                store.refold()
        elif found != identity:
            database.identify(identity)

    def _refuse_other_topics(self, partition: int, found: Mapping[str, Any]) -> None:
        """Offsets of a topic mean nothing in one that was made again, however long that is."""
        self._noted_ids[partition] = found.get("topics", {})
        for topic, known in self._noted_ids[partition].items():
            there = self._topic_ids.get(topic, known)
            if there != known:
                raise StateFolderError(
                    self.path(partition),
                    f"it has the states of another topic {topic}, which was made again (its id was "
                    f"{known}, now it is {there})",
                    "if the new topic is right, delete the folder: it is made again from Kafka",
                )

    def _database(self, partition: int) -> Database:
        path, database = self.path(partition), None
        if not (path / DAMAGED).exists():
            try:
                database = Database(path, self._memory)
            except StateFolderError as error:
                if not error.is_corruption:
                    raise
        reason = _unusable(database, self._identity(partition))
        if database is not None and not reason:
            return database
        log.warning("States of partition %d are read from Kafka again: %s", partition, reason)
        if database is not None:
            database.close()
        destroy(path)
        return Database(path, self._memory)

    def _identity(self, partition: int) -> dict[str, Any]:
        return {
            "format": FORMAT,
            "app": self._app,
            "partition": partition,
            "tables": self._tables,
            "topics": {**self._noted_ids.get(partition, {}), **self._topic_ids},
            "rules": self._folder.rules,
        }

    def is_refolding(self, partition: int) -> bool:
        """Whether timers, days and notes of a partition are still to be derived again."""
        return partition in self._refolding

    def folded(self, partition: int) -> None:
        """All timers, days and notes of a partition follow from its values, and are written if
        they were derived again."""
        if partition in self._refolding:
            self._databases[partition].identify(self._identity(partition))
            self._refolding.discard(partition)

    def written(self, rows: Mapping[int, int]) -> None:
        """Values were written, by partition."""
        now = time.monotonic()
        for partition, count in rows.items():
            unflushed = self._unflushed.setdefault(partition, _Unflushed(now))
            unflushed.rows += count
            if (
                unflushed.rows > FLUSH_ROWS / len(self._databases)
                or now - unflushed.since > FLUSH_S
            ):
                self._databases[partition].flush(wait=False)
                del self._unflushed[partition]

    def close(self, partition: int) -> None:
        """Close a partition that another worker has; it stays on disk for a while."""
        for store in self._stores.pop(partition, {}).values():
            store.close()
        self._unflushed.pop(partition, None)
        self._refolding.discard(partition)
        if database := self._databases.pop(partition, None):
            database.close()

    def close_all(self) -> None:
        """Close all, at the end of the process."""
        for partition in list(self._databases):
            self.close(partition)
        unlock(self._lock)

    def use(self) -> StateUse | None:
        """What the states use now; it reads the disk, and may be called from another thread."""
        volume, memory, cache = shutil.disk_usage(self._path), self._memory, self._cache
        return StateUse(
            {partition: size_of(self.path(partition)) for partition in list(self._databases)},
            volume.free,
            volume.total,
            {
                "values": cache.size,
                "blocks": memory.blocks.get_usage(),
                "unflushed": memory.unflushed.get_usage(),
            },
            {
                "values": cache.limit,
                "blocks": memory.blocks_limit,
                "unflushed": memory.unflushed_limit,
            },
            {"cache": cache.found, "database": cache.missed},
        )

    def _remove_stale(self) -> None:
        for path in self._path.iterdir():
            if path.name.isdigit() and time.time() - _written_at(path) > STALE_S:
                log.info("Deleting %s: its partition has long been elsewhere", path)
                destroy(path)


def _unusable(database: Database | None, identity: dict[str, Any]) -> str:
    """Why a database is of no use; empty: it is usable, or new."""
    if database is None:
        return "the database is damaged"
    found = database.identity()
    if found is None:
        return ""
    if any(found.get(name) != identity[name] for name in ("format", "app", "partition", "tables")):
        return "the database is of another version, app or partition"
    age = time.time() - database.current_at()
    if age > STALE_S:
        return f"the database was last up to date {age / 3600:.0f} hours ago"
    return ""


def _written_at(path: Path) -> float:
    """When a closed database was last written, at the latest; epoch seconds."""
    return max((each.stat().st_mtime for each in path.iterdir()), default=path.stat().st_mtime)


def lock(path: Path, fix: str, flags: int = os.O_RDWR | os.O_CREAT) -> int:
    """Lock the folder of an app for this process; the descriptor keeps the lock.

    fix: what to do when another process has it. flags: of the file that is locked. Raises
    StateFolderError.
    """
    try:
        descriptor = os.open(path / "lock", flags, 0o644)
    except OSError as error:
        reads = flags == os.O_RDONLY
        raise (unreadable(path, str(error)) if reads else _unwritable(path, error)) from None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        unlock(descriptor)
        raise StateFolderError(
            path, "another worker or receipts state check uses it", fix
        ) from None
    return descriptor


def unlock(descriptor: int) -> None:
    """Give the lock back."""
    with suppress(OSError):
        os.close(descriptor)


def _make(path: Path) -> None:
    """Make the folder of an app. Raises StateFolderError."""
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise _unwritable(path, error) from None


def _unwritable(path: Path, error: OSError) -> StateFolderError:
    fix = "let the user of this process write RECEIPTS_STATE_DIR, or name another folder"
    return StateFolderError(path, f"it cannot be written ({error.strerror})", fix)
