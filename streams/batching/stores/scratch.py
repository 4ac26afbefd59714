"""A store on disk for as long as a command runs."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from streams.batching.stores.base import StateStore
from streams.batching.stores.cache import Cache
from streams.batching.stores.database import MIB, Database, Memory
from streams.batching.stores.disk import DiskStore


@contextmanager
def scratch_store() -> Iterator[StateStore]:
    """An empty store in a temporary folder, deleted at the end; written values need no memory."""
    with TemporaryDirectory(prefix="receipts-") as folder:
        database = Database(Path(folder) / "0", Memory())
        try:
            yield DiskStore(database, b"\x01", Cache(64 * MIB))
        finally:
            database.close()
