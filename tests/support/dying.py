"""The real `receipts worker` with states on disk that kills itself (SIGKILL) at one step.

`python -m tests.support.dying POINT` with POINT one of
  before-write       the broker has all, the offsets are committed, nothing is written
  after-write        it is written, and not flushed
  while-flushing     RocksDB flushes and compacts in the background, after some writes
  in-catch-up        what a restore has read was written, and more is to be read
  in-refold          other rules derive again what follows from the states; a part is written
  in-retirement      the mark of a retired day and a part of its tombstones are acknowledged
  before-commit      of the next commit, all being planned, produced and deferred
Nothing else is changed but sizes: writes are small, so that there are many.
"""

import os
import signal
import sys
from collections.abc import Callable
from functools import wraps
from typing import Any

from deploy.cli import main
from streams import worker
from streams.batching import app as batching_app
from streams.batching.app import BatchApp
from streams.batching.stores import database, folder
from streams.batching.stores.database import Database
from streams.batching.stores.folder import DiskStores
from streams.common import agent as common_agent
from streams.common.agent import PartitionAgent
from streams.lifecycle import agent as lifecycle_agent
from streams.lifecycle.agent import LifecycleAgent
from streams.lifecycle.shard import Shard

#: Calls of the step before the one that kills.
SOME = 3


def _die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def _at_call(owner: Any, name: str, number: int, *, after: bool, is_async: bool) -> None:
    """Die at the so-manyth call of a method, before or after it did its work."""
    method: Callable[..., Any] = getattr(owner, name)
    calls = 0

    def count() -> bool:
        nonlocal calls
        calls += 1
        return calls == number

    if is_async:

        @wraps(method)
        async def dying_async(*args: Any, **kwargs: Any) -> Any:
            is_last = count()
            if is_last and not after:
                _die()
            found = await method(*args, **kwargs)
            if is_last:
                _die()
            return found

        setattr(owner, name, dying_async)
        return

    @wraps(method)
    def dying(*args: Any, **kwargs: Any) -> Any:
        is_last = count()
        if is_last and not after:
            _die()
        found = method(*args, **kwargs)
        if is_last:
            _die()
        return found

    setattr(owner, name, dying)


def _before_write() -> None:
    _at_call(BatchApp, "write_frozen", SOME, after=False, is_async=True)


def _after_write() -> None:
    _at_call(Database, "write", 9, after=True, is_async=False)


def _while_flushing() -> None:
    """Buffers of 16 KiB: a flush every few writes, and a compaction every few flushes."""
    made = database._options

    def small(memory: database.Memory) -> Any:
        options = made(memory)
        options.set_write_buffer_size(16 << 10)
        options.set_level_zero_file_num_compaction_trigger(2)
        options.set_target_file_size_base(32 << 10)
        return options

    database._options = small
    folder.FLUSH_ROWS = 40  # type: ignore[misc]
    _at_call(Database, "write", 15, after=True, is_async=False)


def _in_catch_up() -> None:
    """What was written is flushed: else nothing would be left of it."""
    batching_app.RESTORE_CHUNK = 100
    batching_app.RESTORE_UNWRITTEN = 100
    folder.FLUSH_ROWS = 1  # type: ignore[misc]
    flush = Database.flush

    def flush_and_wait(self: Database, *, wait: bool = True) -> None:
        flush(self, wait=True)

    Database.flush = flush_and_wait  # type: ignore[method-assign]
    _at_call(DiskStores, "written", 2, after=True, is_async=False)


def _in_refold() -> None:
    worker.fingerprint = lambda: "other rules"  # type: ignore[attr-defined]
    common_agent.FOLDED_AT_ONCE = 1  # type: ignore[misc]
    _at_call(PartitionAgent, "_checkpoint", SOME, after=True, is_async=False)


def _in_retirement() -> None:
    """At the second chunk: the tombstones of the first are produced."""
    lifecycle_agent.RETIRED_AT_ONCE = 100  # type: ignore[misc]
    take, chunks = Shard.take_retired, 0

    def take_or_die(self: Shard, most: int) -> list[bytes] | None:
        nonlocal chunks
        keys = take(self, most)
        chunks += keys is not None
        if chunks > 1:
            _die()
        return keys

    Shard.take_retired = take_or_die  # type: ignore[method-assign]


def _before_commit() -> None:
    _at_call(LifecycleAgent, "before_commit", SOME, after=True, is_async=True)


POINTS = {
    "before-write": _before_write,
    "after-write": _after_write,
    "while-flushing": _while_flushing,
    "in-catch-up": _in_catch_up,
    "in-refold": _in_refold,
    "in-retirement": _in_retirement,
    "before-commit": _before_commit,
}

if __name__ == "__main__":
    POINTS[sys.argv[1]]()
    sys.argv = ["receipts", "worker"]
    main()
