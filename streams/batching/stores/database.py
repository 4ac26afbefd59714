"""One RocksDB: its options, atomic writes, and what makes it ours.

The write-ahead log is off, for Kafka's changelog is the log. All is in one column family, so that
after a crash the database is what it was at some earlier write, whole (ADR 0015).
"""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

from rocksdict import (
    AccessType,
    BlockBasedIndexType,
    BlockBasedOptions,
    Cache,
    DBCompressionType,
    Options,
    Rdict,
    RdictIter,
    WriteBatch,
    WriteBufferManager,
    WriteOptions,
)

from streams.batching.errors import StateFolderError

KIB: Final = 1 << 10
MIB: Final = 1 << 20
_NEVER: Final = 1 << 30
_IDENTITY: Final = b"\x00identity"
_CURRENT: Final = b"\x00current"
#: A file in the folder of a database that must not be opened again.
DAMAGED: Final = "damaged"


class Memory:
    """What all databases of a process share: the memory for blocks and for what is not flushed."""

    def __init__(self, blocks: int = 64 * MIB, unflushed: int = 64 * MIB) -> None:
        self.blocks_limit, self.unflushed_limit = blocks, unflushed
        self.blocks = Cache(blocks)
        self.unflushed = WriteBufferManager(unflushed, allow_stall=False)


def _options(memory: Memory) -> Options:
    table = BlockBasedOptions()
    table.set_block_cache(memory.blocks)
    table.set_block_size(4 * KIB)
    table.set_bloom_filter(10, block_based=False)
    table.set_format_version(5)
    # Indexes and filters grow with the states: in the cache they are bounded with all else. Whole
    # ones of a large file are a megabyte, as much as a part of the cache may have: each read would
    # load them. So they are in blocks, too, of which a read loads one.
    table.set_cache_index_and_filter_blocks(True)
    table.set_index_type(BlockBasedIndexType.two_level_index_search())
    table.set_partition_filters(True)
    table.set_metadata_block_size(4 * KIB)
    table.set_pin_l0_filter_and_index_blocks_in_cache(True)
    options = Options(raw_mode=True)
    options.create_if_missing(True)
    options.set_block_based_table_factory(table)
    options.set_compression_type(DBCompressionType.lz4())
    options.set_bottommost_compression_type(DBCompressionType.zstd())
    # A dictionary for each file, of what its blocks have in common: a seventh less space.
    options.set_bottommost_compression_options(
        w_bits=-14, level=3, strategy=0, max_dict_bytes=16 * KIB, enable=True
    )
    options.set_bottommost_zstd_max_train_bytes(1600 * KIB, enable=True)
    options.set_level_compaction_dynamic_level_bytes(True)
    options.set_write_buffer_manager(memory.unflushed)
    options.set_write_buffer_size(32 * MIB)
    # What is not flushed needs a filter, too: a key that is nowhere is looked for in it first.
    options.set_memtable_whole_key_filtering(True)
    options.set_memtable_prefix_bloom_ratio(0.1)
    # Keys come in no order, so each compaction of level 0 writes the next level again. Half as many
    # of them need half the CPU of a restore, and reads look into a few more filters.
    options.set_level_zero_file_num_compaction_trigger(8)
    # rocksdict writes with the GIL: while RocksDB delays a write until compactions have caught up,
    # nothing else would run, heartbeats included. So it never does; reads slow down for a while.
    options.set_max_write_buffer_number(8)
    options.set_level_zero_slowdown_writes_trigger(_NEVER)
    options.set_level_zero_stop_writes_trigger(_NEVER)
    options.set_soft_pending_compaction_bytes_limit(0)
    options.set_hard_pending_compaction_bytes_limit(0)
    options.set_max_background_jobs(2)
    options.set_max_open_files(512)
    options.set_keep_log_file_num(2)
    options.set_max_log_file_size(MIB)
    return options


class Database:
    """Rows of bytes by key, in the order of their keys, in a folder of their own.

    read_only: it must exist, and nothing of it changes; it may be on a disk that cannot be written
    Raises StateFolderError: another process uses the folder, or the disk is full.
    """

    def __init__(self, path: Path, memory: Memory, *, read_only: bool = False) -> None:
        self.path = path
        self._read_only = read_only
        self._links = TemporaryDirectory(prefix="receipts-") if read_only else None
        self._opened = path if self._links is None else Path(self._links.name)
        access = AccessType.read_only(False) if read_only else AccessType.read_write()
        options = _options(memory)
        try:
            if read_only:
                _link(path, self._opened)
            else:
                path.mkdir(parents=True, exist_ok=True)
            # As options of the column family: with the other ones alone a database that exists is
            # opened as it was saved, without our cache and without filters.
            families = {"default": options}
            self._rows = Rdict(
                str(self._opened), options, column_families=families, access_type=access
            )
        except Exception as error:  # rocksdict has one class for all errors
            self._unlink()
            raise self._translated(error) from error
        self._unlogged = WriteOptions()
        self._unlogged.disable_wal = True  # type: ignore[assignment,method-assign]

    def _translated(self, error: Exception) -> StateFolderError:
        text = str(error).replace(str(self._opened), str(self.path))
        return _translated(text, self.path, read_only=self._read_only)

    def _unlink(self) -> None:
        if self._links is not None:
            self._links.cleanup()

    # --- identity -------------------------------------------------------------------------------

    def identity(self) -> dict[str, Any] | None:
        """What `identify` wrote; None: it is new."""
        found = self.get(_IDENTITY)
        return None if found is None else json.loads(found)

    def identify(self, identity: dict[str, Any]) -> None:
        """Write what the database is for; kept at once."""
        self.write([(_IDENTITY, json.dumps(identity).encode())], is_current=self.identity() is None)
        self.flush()

    def current_at(self) -> float:
        """When it last had all of its changelogs, in epoch seconds; new: when it was made."""
        found = self.get(_CURRENT)
        return 0.0 if found is None else int.from_bytes(found, "big") / 1000

    # --- reading --------------------------------------------------------------------------------

    def get(self, key: bytes) -> bytes | None:
        """The row of a key."""
        try:
            row: bytes | None = self._rows.get(key)
        except Exception as error:
            raise self._translated(error) from error
        return row

    def get_many(self, keys: Sequence[bytes]) -> list[bytes | None]:
        """The rows of some keys, in their order."""
        try:
            rows: list[bytes | None] = self._rows.get(list(keys))  # type: ignore[assignment]
        except Exception as error:
            raise self._translated(error) from error
        return rows

    def keys(self, start: bytes, end: bytes) -> Iterator[bytes]:
        """Keys from `start`, in order, before `end`."""
        for rows in self._scan(start):
            key: bytes = rows.key()
            if key >= end:
                return
            yield key

    def items(self, start: bytes, end: bytes) -> Iterator[tuple[bytes, bytes]]:
        """The same, with their rows."""
        for rows in self._scan(start):
            key: bytes = rows.key()
            if key >= end:
                return
            yield key, rows.value()

    def _scan(self, start: bytes) -> Iterator[RdictIter]:
        """An iterator at each row from `start`. rocksdict's own bound points into freed memory, and
        its iterators of keys and items end silently where a file is damaged."""
        rows = self._rows.iter()
        rows.seek(start)
        while rows.valid():
            yield rows
            rows.next()
        try:
            rows.status()
        except Exception as error:
            raise self._translated(error) from error

    # --- writing --------------------------------------------------------------------------------

    def write(
        self, changes: Iterable[tuple[bytes, bytes | None]], *, is_current: bool = True
    ) -> None:
        """Write {key: row, or None to delete}, all or nothing.

        is_current: nothing in a changelog is missing but what our own next writes will have
        """
        batch = WriteBatch(raw_mode=True)
        put, delete = batch.put, batch.delete
        for key, row in changes:
            if row is None:
                delete(key)
            else:
                put(key, row)
        if is_current:
            put(_CURRENT, round(time.time() * 1000).to_bytes(8, "big"))
        try:
            self._rows.write(batch, self._unlogged)
        except Exception as error:
            raise self._translated(error) from error

    def clear(self, start: bytes, end: bytes) -> None:
        """Delete all rows from `start` before `end`."""
        self._rows.delete_range(start, end, self._unlogged)

    def flush(self, *, wait: bool = True) -> None:
        """Keep what is written even if the process is killed. wait: until that is done."""
        try:
            self._rows.flush(wait)
        except Exception as error:
            raise self._translated(error) from error

    def close(self) -> None:
        """Flush and close."""
        if not self._read_only:
            self.flush()
        self._rows.close()
        self._unlink()


def _link(path: Path, into: Path) -> None:
    """Link what a database consists of: rocksdict and RocksDB write two files of their own where
    they open one, even to read it."""
    for each in path.resolve(strict=True).iterdir():
        if not each.name.startswith(("LOG", "rocksdict-config")):
            (into / each.name).symlink_to(each)


def size_of(path: Path) -> int:
    """Bytes of the files of a database, open or closed; 0: it is not there."""
    total = 0
    with suppress(FileNotFoundError):
        for each in list(path.iterdir()):
            with suppress(FileNotFoundError):  # a compaction has deleted it
                total += each.stat().st_size
    return total


def destroy(path: Path) -> None:
    """Delete a closed database."""
    shutil.rmtree(path, ignore_errors=False)


def after(prefix: bytes) -> bytes:
    """The first key behind all that begin with a prefix."""
    return prefix[:-1] + bytes([prefix[-1] + 1])


#: What RocksDB says of a file that is damaged, or missing while another names it.
_DAMAGE: Final = ("Corruption", "Checksum mismatch", "No such file or directory")
_REFUSED: Final = ("Permission denied", "Read-only file system")
_FULL: Final = ("No space left", "Disk quota exceeded")


def _translated(text: str, path: Path, *, read_only: bool) -> StateFolderError:
    """text: of an error of rocksdict or RocksDB. A damaged database must not be opened again; one
    that is only read is not marked."""
    if any(words in text for words in _DAMAGE):
        if not read_only:
            with suppress(OSError):
                (path / DAMAGED).touch()
        fix = "start the worker again; it makes the database again from Kafka"
        return StateFolderError(path, f"the database is damaged ({text})", fix, is_corruption=True)
    if "lock" in text.lower() and ("LOCK" in text or "hold by current" in text):
        return StateFolderError(path, "another process uses it", "give each worker its own folder")
    if any(words in text for words in _REFUSED):
        if read_only:
            return unreadable(path, text)
        fix = "let the user of this process write RECEIPTS_STATE_DIR"
        return StateFolderError(path, f"it cannot be written ({text})", fix)
    if any(words in text for words in _FULL):
        return StateFolderError(path, "the disk is full", "make room, then start the worker again")
    if "File too large" in text:
        fix = "raise the limit of the size of files (ulimit -f), then start the worker again"
        return StateFolderError(path, f"a file cannot grow ({text})", fix)
    return StateFolderError(path, text, "delete it; it is made again from Kafka")


def unreadable(path: Path, why: str) -> StateFolderError:
    """What is to be read alone, and this process may not."""
    fix = "let the user of this process read it, with all that is in it"
    return StateFolderError(path, f"it cannot be read ({why})", fix)
