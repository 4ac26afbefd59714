"""Shards of a state store, restored as the agents do it; and stores on disk for tests that would
have one in memory."""

import shutil
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, nullcontext
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

import pytest

from models.counters import retired_key
from streams.batching import MemoryStore
from streams.batching.stores.cache import Cache
from streams.batching.stores.database import Database, Memory
from streams.batching.stores.disk import DiskStore
from streams.common.shard import PartitionShard
from streams.lifecycle.shard import Shard
from streams.suppression.shard import RecipientShard

#: Small, so that most is read from the database.
CACHE_BYTES = 2_000


def restore(shard: Shard, published: Mapping[bytes, bytes], generation: int) -> int:
    """Fold the states of a shard; how many there were. published: records of `status-counters`."""
    shard.know_retired(published.get(retired_key(shard.partition)))
    *_, folded = shard.fold()
    shard.finish_restore(published, generation)
    return folded


def restore_recipients(shard: RecipientShard, generation: int) -> None:
    """Fold the suppressions of a shard."""
    for _ in shard.fold():
        pass
    shard.finish_restore(generation)


class StoreOnDisk(DiskStore):
    """A store on disk that tests read and change as the dict that a store in memory is."""

    def keys(self) -> list[bytes]:
        return [key for key, _ in self.items_of(b"")]

    def items(self) -> list[tuple[bytes, bytes]]:
        return list(self.items_of(b""))

    def values(self) -> list[bytes]:
        return [value for _, value in self.items_of(b"")]

    def __iter__(self) -> Iterator[bytes]:
        return iter(self.keys())

    def __eq__(self, other: object) -> bool:
        return self is other or (isinstance(other, dict) and dict(self.items()) == other)

    __hash__ = None  # type: ignore[assignment]

    def __delitem__(self, key: bytes) -> None:
        self.discard(key)

    def pop(self, key: bytes, *_default: object) -> None:
        self.discard(key)

    def update(self, values: Mapping[bytes, bytes]) -> None:
        for key, value in values.items():
            self[key] = value

    def begin_again(self, values: Mapping[bytes, bytes]) -> None:
        """As a new process: back to the last write, then what the changelog has."""
        self.revert()
        for key in self.keys():
            if key not in values:
                self.discard(key)
        for key, value in values.items():
            if self.get(key) != value:
                self[key] = value


class _Stores:
    """Where stores are made now."""

    folder: Path | None = None
    memory = Memory()
    databases: list[Database]


def new_store(values: Iterable[tuple[bytes, bytes]] = ()) -> Any:
    """A store in memory, or one on disk within `stores_on_disk`."""
    if _Stores.folder is None:
        return MemoryStore(values)
    database = Database(_Stores.folder / str(len(_Stores.databases)), _Stores.memory)
    _Stores.databases.append(database)
    store = StoreOnDisk(database, b"\x01", Cache(CACHE_BYTES))
    store.update(dict(values))
    return store


@contextmanager
def stores_on_disk() -> Iterator[None]:
    """Makes `new_store` make stores on disk."""
    _Stores.folder, _Stores.databases = Path(mkdtemp()), []
    try:
        yield
    finally:
        for database in _Stores.databases:
            database.close()
        shutil.rmtree(_Stores.folder)
        _Stores.folder = None


@contextmanager
def stores_in_memory() -> Iterator[None]:
    """Makes `new_store` make stores in memory, also within `stores_on_disk`."""
    folder, _Stores.folder = _Stores.folder, None
    try:
        yield
    finally:
        _Stores.folder = folder


@pytest.fixture(params=["memory", "disk"], autouse=True)
def in_memory_and_on_disk(request: pytest.FixtureRequest) -> Iterator[None]:
    """For a conftest: runs each test twice, with what `new_store` makes in memory and on disk."""
    with stores_on_disk() if request.param == "disk" else nullcontext():
        yield


def checkpoint(shard: PartitionShard[Any]) -> None:
    """Write a store on disk, as after a commit."""
    if shard.stored.durable:
        shard.save()
        shard.stored.freeze()
        shard.stored.write(0)
        shard.stored.written()


def begin_again(store: Any, values: Mapping[bytes, bytes]) -> None:
    """As a new process has it, whose changelog has these values."""
    if isinstance(store, StoreOnDisk):
        store.begin_again(values)
    else:
        store.clear()
        store.update(values)
