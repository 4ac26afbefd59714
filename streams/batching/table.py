"""A table of raw bytes: one store per partition, logged and restored in whole batches.

What a store on disk has is always an earlier moment of the changelog: a change is written only
after its record is acknowledged, together with the offset up to which the store has all records
(ADR 0015).
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from typing import TYPE_CHECKING, Any, Final, NoReturn, cast

import msgspec
from faust.tables import Table
from faust.types import TP

from streams.batching.batch import Fetched
from streams.batching.errors import PartitionNotHeld, StateFolderError
from streams.batching.stores.base import LASTING, StateStore
from streams.kafka.reading import Place, UnreadableRecord, place_of

if TYPE_CHECKING:
    from streams.batching.app import BatchApp

log = logging.getLogger(__name__)

Merge = Callable[[bytes, bytes], bytes]
Check = Callable[[bytes, bytes], object]
Report = Callable[[Place, str], object]


#: Name of the note with the keys whose merged values are in no record of the log.
_MERGED: Final = LASTING + b"merged"
_encode: Final = msgspec.msgpack.Encoder().encode
_decode_keys: Final = msgspec.msgpack.Decoder(list[bytes]).decode


class _Held:
    """One partition: its store and the changelog offset up to which the store knows the log."""

    __slots__ = ("applied", "changed", "forgotten", "frozen", "frozen_applied", "merged", "puts",
                 "ready", "restored", "standby", "store", "unfrozen")  # fmt: skip

    def __init__(self, store: StateStore, *, standby: bool = False) -> None:
        self.store = store
        self.standby = standby
        """Another worker has the partition: its changelog is read, nothing else."""
        self.restored = 0
        self.ready = False
        """Restored in the current assignment: may be read and written."""
        self.puts = 0
        self.unfrozen = 0
        """The first put that is not part of what was frozen last."""
        self.follow_store()

    def follow_store(self) -> None:
        """Go on from what the store has written."""
        self.changed = True
        """Records were read into it since on_partition_ready last ran for it."""
        self.frozen = False
        """Something is to be written."""
        self.forgotten = self.puts
        """Puts before this one are read from the log again."""
        self.applied = self.frozen_applied = self.store.offset
        merged = self.store.notes.get(_MERGED)
        self.merged = set(_decode_keys(merged)) if merged is not None else set[bytes]()
        """Keys whose merged value is in no record of the log."""

    def begin(self, *, standby: bool) -> None:
        """A new assignment: what a durable store has not written yet is read from the log again,
        except into a standby, which has nothing but records of the log."""
        followed, self.standby = self.standby, standby
        self.ready, self.restored = False, 0
        if self.store.refolding or (self.store.is_changed and not followed):
            self.store.revert()
            self.follow_store()

    def freeze(self) -> None:
        """What is put from here on is not part of the next write."""
        note = _encode(sorted(self.merged)) if self.merged else None
        if note is None:
            self.store.notes.pop(_MERGED, None)
        elif note != self.store.notes.get(_MERGED):
            self.store.notes[_MERGED] = note
        self.store.freeze()
        self.frozen = self.store.is_to_be_written
        self.unfrozen, self.frozen_applied = self.puts, self.applied

    def acknowledged(self, put: int, count: int, done: Any) -> None:
        """Our own records need not be read back if no others lie before them in the log."""
        if done.cancelled() or done.exception() is not None:
            return
        if put >= self.forgotten and done.result().offset == self.applied + 1:
            # Of what is not frozen a write must not claim anything, nor of what comes after it.
            in_step = put < self.unfrozen and self.frozen_applied == self.applied
            self.applied += count
            if in_step:
                self.frozen_applied = self.applied

    def write(self, *, is_current: bool) -> None:
        """Write what is frozen; all of it must be acknowledged."""
        self.store.write(self.frozen_applied, is_current=is_current)


class BatchTable(Table[bytes, bytes]):
    """Made by app.batch_table(). Read with partition(), write with put()."""

    def __init__(
        self, app: Any, *, merge: Merge | None = None, check: Check | None = None, **kwargs: Any
    ) -> None:
        super().__init__(app, **kwargs)
        self.merge = merge
        self.check = check
        self._held: dict[int, _Held] = {}

    @property
    def _batch_app(self) -> BatchApp:
        return cast("BatchApp", self.app)

    @property
    def changelog_name(self) -> str:
        """Name of the changelog topic."""
        return self.changelog_topic.get_topic_name()

    def partition(self, partition: int) -> StateStore:
        """The store of a partition: read its values, never write them. Raises PartitionNotHeld."""
        return self._ready(partition).store

    def restored_store(self, partition: int) -> StateStore:
        """The same while the partition is restored."""
        return self._held[partition].store

    def _ready(self, partition: int) -> _Held:
        held = self._held.get(partition)
        if held is None or not held.ready:
            raise PartitionNotHeld(f"partition {partition} of {self.changelog_name} is not ours")
        return held

    async def put(self, partition: int, changes: Mapping[bytes, bytes | None]) -> None:
        """Apply {key: value, or None to delete} and log it, one changelog record per key.

        Returns when the records are handed to the producer; commits wait for them. Raises
        PartitionNotHeld, FenceLost and RecordTooLarge before anything is applied or sent.
        """
        await self._batch_app.block_if_failed()
        self._ready(partition)
        producer, limit = self._batch_app.batch_producer, self._batch_app.max_record_bytes
        records = await producer.prepare(self.changelog_name, changes.items(), limit)
        held = self._ready(partition)  # it may have been lost while prepare() waited
        put, held.puts = held.puts, held.puts + 1
        _apply(held.store, changes.items())
        if held.merged:  # what was applied is sent, even if this call is cancelled
            held.merged.difference_update(changes)
        for future, count in await producer.send_batches(self.changelog_name, partition, records):
            future.add_done_callback(partial(held.acknowledged, put, count))

    def apply_unlogged(self, partition: int, changes: Mapping[bytes, bytes | None]) -> None:
        """Apply changes without logging them; the caller puts them later, before a commit.

        For changes that may be logged only after something else is acknowledged. Raises
        PartitionNotHeld.
        """
        _apply(self._ready(partition).store, changes.items())

    def restore(self, partition: int, fetched: Fetched) -> None:
        """Apply records read from the changelog, and the position behind them (gaps included)."""
        held = self._held.get(partition) or self._hold(partition)
        if held.store.durable and fetched.highwater is not None:
            self._refuse_newer(held, partition, fetched.highwater)
        records = fetched.records
        if records and records[0].offset <= held.applied:
            records = [record for record in records if record.offset > held.applied]
        if records:
            held.changed = True
            held.restored += len(records)
            held.applied = records[-1].offset
            held.store.prefetch(record.key for record in records)
            _join(held, records, self)
        if fetched.position is not None:
            held.applied = max(held.applied, fetched.position - 1)

    def _refuse_newer(self, held: _Held, partition: int, highwater: int) -> None:
        if held.applied >= highwater:
            raise StateFolderError(
                self._batch_app.stores.path(partition),
                f"it has records up to offset {held.applied} of {self.changelog_name}, which ends "
                f"at {highwater}: the topic was made again, or lost records",
                "if the topic is right, delete the folder: states are read from Kafka again",
            )

    def start_over(self, partition: int) -> None:
        """Forget what a partition has on disk: its log does not lead from there to the present."""
        held = self._held[partition]
        if not held.store.durable:
            return
        log.warning("%s-%d begins behind the states on disk: they are read from Kafka again",
                    self.changelog_name, partition)  # fmt: skip
        held.store.clear()
        held.follow_store()

    def discard(self, partition: int, faults: Mapping[bytes, str]) -> None:
        """Drop restored keys whose values are not valid; the log keeps them."""
        for key, fault in faults.items():
            self.report(Place(self.changelog_name, partition, key=key), fault)
            self._held[partition].store.discard(key)
            self._held[partition].merged.discard(key)

    def report(self, place: Place, fault: str) -> None:
        """Report a changelog record that cannot be used."""
        if self._batch_app.on_unreadable is not None:
            self._batch_app.on_unreadable(place, fault)

    def begin(self, partitions: Iterable[int], standbys: Iterable[int] = ()) -> None:
        """Start an assignment: keep partitions that stay, also those that become a standby or were
        one, drop the others, restore all again."""
        known, self._held = self._held, {}
        for standby, numbers in ((False, partitions), (True, standbys)):
            for partition in numbers:
                held = known.get(partition)
                if held is None:
                    self._hold(partition, standby=standby)
                else:
                    self._held[partition] = held
                    held.begin(standby=standby)

    def _hold(self, partition: int, *, standby: bool = False) -> _Held:
        store = self._batch_app.stores.open(self.name, partition)
        held = self._held[partition] = _Held(store, standby=standby)
        return held

    def close(self) -> None:
        """Forbid reading and writing until partitions are restored again."""
        for held in self._held.values():
            held.ready = False
            held.restored = 0

    # --- disk -----------------------------------------------------------------------------------

    def freeze(self, partition: int) -> None:
        """What is put from here on is not part of the next write. The values, timers, days and
        notes of the store must belong together, and no change may be unlogged."""
        held = self._held[partition]
        if held.store.durable:
            held.freeze()

    def frozen_partitions(self) -> list[int]:
        """Partitions with something to write."""
        return [partition for partition, held in self._held.items() if held.frozen]

    def restored_changes(self, partition: int) -> int:
        """Values of a store on disk that a restore has read and that are not written."""
        held = self._held.get(partition)
        return 0 if held is None or held.ready else held.store.changes

    def write(self, partition: int) -> None:
        """Write what was frozen, after all of it was acknowledged; it may run in a thread."""
        self._held[partition].write(is_current=True)

    def written(self, partition: int) -> int:
        """The write succeeded: the number of values that were written."""
        held = self._held[partition]
        held.frozen = False
        return held.store.written()

    def checkpoint(self, partition: int) -> None:
        """Freeze and write while nothing but the restore changes the store."""
        self.freeze(partition)
        self._held[partition].write(is_current=False)
        self.written(partition)

    def open(self, partition: int) -> bool:
        """Mark a partition as restored; True when its content changed since the last opening."""
        held = self._held.get(partition) or self._hold(partition)
        held.ready = True
        return held.changed

    def settled(self, partition: int) -> None:
        """on_partition_ready has seen the content of the partition."""
        self._held[partition].changed = False

    def merged_keys(self, partition: int) -> set[bytes]:
        """Keys whose value a restore merged from several records, or kept despite a later one.

        The latest record of such a key holds less than the table: put() the key again. Until then
        it stays among them, whatever interrupts its owner.
        """
        return self._ready(partition).merged.copy()

    def restored(self, partition: int) -> int:
        """Records read from the changelog for a partition in this assignment."""
        held = self._held.get(partition)
        return held.restored if held else 0

    def persisted_offset(self, tp: TP) -> int | None:
        """Last changelog offset that is applied; Faust's recovery reads on from there."""
        held = self._held.get(tp.partition)
        return held.applied if held and held.applied >= 0 else None

    async def on_start(self) -> None:
        """Do nothing: the changelog topic exists, and the data is in memory."""

    async def on_rebalance(self, *_args: Any, **_kwargs: Any) -> None:
        """Do nothing: begin() already has the assignment."""

    async def on_recovery_completed(self, *_args: Any) -> None:
        """Do nothing: there is no store."""

    def on_key_get(self, key: bytes) -> NoReturn:
        """Refused: the table has no view over all partitions."""
        raise TypeError(f"read {self.changelog_name} with partition(p)")

    def on_key_set(self, key: bytes, value: bytes) -> NoReturn:
        """Refused: a write needs its partition and must be awaited."""
        raise TypeError(f"write {self.changelog_name} with await put(p, changes)")

    def on_key_del(self, key: bytes) -> NoReturn:
        """Refused, as on_key_set."""
        raise TypeError(f"delete from {self.changelog_name} with await put(p, {{key: None}})")


def _apply(store: StateStore, changes: Iterable[tuple[bytes, bytes | None]]) -> None:
    for key, value in changes:
        if value is None:
            store.discard(key)
        else:
            store[key] = value


def _join(held: _Held, records: Iterable[Any], table: BatchTable) -> None:
    data, merged, merge = held.store, held.merged, table.merge
    for record in records:
        key, value = record.key, record.value
        if fault := _fault(record, table.check):
            table.report(place_of(record), fault)
            if key in data:  # its log ends with an unusable record: the value must be logged again
                merged.add(key)
            continue
        if value is None:
            data.discard(key)
            merged.discard(key)
            continue
        known = data.get(key)
        kept = value
        if merge is not None and known is not None and known != value:
            kept = _merged(known, record, merge, table.report)
        data.put(key, kept, is_new=known is None)
        if kept != value:
            merged.add(key)
        elif merged:
            merged.discard(key)


def _fault(record: Any, check: Check | None) -> str:
    """Why a record of a changelog is not valid; empty when it is.

    Anyone with write access can write garbage to a changelog; it must not stop every worker.
    """
    if type(record) is UnreadableRecord:
        return str(record.fault)
    if record.key is None:
        return "it has no key"
    if record.value is None or check is None:
        return ""
    try:
        check(record.key, record.value)
    except Exception as error:  # noqa: BLE001  (whatever a decoder raises)
        return f"{type(error).__name__}: {error}"
    return ""


def _merged(known: bytes, record: Any, merge: Merge, report: Report) -> bytes:
    """The merge of both values; if they do not merge, the one that is valid."""
    try:
        return merge(known, record.value)
    except Exception as error:  # noqa: BLE001  (one of the two is not valid)
        report(place_of(record), f"it does not merge with the one before: {error!r}")
    try:
        return merge(known, known)
    except Exception:  # noqa: BLE001  (reported above; the older one is the fault)
        value: bytes = record.value
        return value
