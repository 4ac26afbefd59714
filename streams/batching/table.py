"""A table of raw bytes: one dict per partition, logged and restored in whole batches."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from functools import partial
from typing import TYPE_CHECKING, Any, NoReturn, cast

from faust.tables import Table
from faust.types import TP

from streams.batching.batch import Fetched
from streams.batching.errors import PartitionNotHeld
from streams.kafka.reading import Place, UnreadableRecord, place_of

if TYPE_CHECKING:
    from streams.batching.app import BatchApp

Merge = Callable[[bytes, bytes], bytes]
Check = Callable[[bytes, bytes], object]
Report = Callable[[Place, str], object]


class _Held:
    """One partition: its data and the changelog offset up to which the data knows the log."""

    __slots__ = ("applied", "changed", "data", "merged", "ready", "restored")

    def __init__(self) -> None:
        self.data: dict[bytes, bytes] = {}
        self.merged: set[bytes] = set()
        """Keys whose merged value is in no record of the log."""
        self.applied = -1
        self.restored = 0
        self.changed = True
        """Records were read into it since on_partition_ready last ran for it."""
        self.ready = False
        """Restored in the current assignment: may be read and written."""


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

    def partition(self, partition: int) -> dict[bytes, bytes]:
        """The live dict of a partition: read it, never write it. Raises PartitionNotHeld."""
        return self._ready(partition).data

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
        _apply(held.data, changes.items())
        for future, count in await producer.send_batches(self.changelog_name, partition, records):
            future.add_done_callback(partial(_acknowledged, held, count))

    def apply_unlogged(self, partition: int, changes: Mapping[bytes, bytes | None]) -> None:
        """Apply changes without logging them; the caller puts them later, before a commit.

        For changes that may be logged only after something else is acknowledged. Raises
        PartitionNotHeld.
        """
        _apply(self._ready(partition).data, changes.items())

    def restore(self, partition: int, fetched: Fetched) -> None:
        """Apply records read from the changelog, and the position behind them (gaps included)."""
        held = self._held.setdefault(partition, _Held())
        records = fetched.records
        if records and records[0].offset <= held.applied:
            records = [record for record in records if record.offset > held.applied]
        if records:
            held.changed = True
            held.restored += len(records)
            held.applied = records[-1].offset
            _join(held, records, self)
        if fetched.position is not None:
            held.applied = max(held.applied, fetched.position - 1)

    def discard(self, partition: int, faults: Mapping[bytes, str]) -> None:
        """Drop restored keys whose values are not valid; the log keeps them."""
        for key, fault in faults.items():
            self.report(Place(self.changelog_name, partition, key=key), fault)
        self.apply_unlogged(partition, dict.fromkeys(faults))

    def report(self, place: Place, fault: str) -> None:
        """Report a changelog record that cannot be used."""
        if self._batch_app.on_unreadable is not None:
            self._batch_app.on_unreadable(place, fault)

    def begin(self, partitions: Iterable[int]) -> None:
        """Start an assignment: keep partitions that stay, drop the others, restore all again."""
        self._held = {partition: self._held.get(partition) or _Held() for partition in partitions}
        self.close()

    def close(self) -> None:
        """Forbid reading and writing until partitions are restored again."""
        for held in self._held.values():
            held.ready = False
            held.restored = 0

    def open(self, partition: int) -> bool:
        """Mark a partition as restored; True when its content changed since the last opening."""
        held = self._held.setdefault(partition, _Held())
        held.ready = True
        return held.changed

    def settled(self, partition: int) -> None:
        """on_partition_ready has seen the content of the partition."""
        self._held[partition].changed = False

    def pop_merged_keys(self, partition: int) -> set[bytes]:
        """Keys whose value a restore merged from several records, or kept despite a later one.

        The latest record of such a key holds less than the table: put() the key again.
        """
        held = self._ready(partition)
        merged, held.merged = held.merged, set()
        return merged

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


def _apply(data: dict[bytes, bytes], changes: Iterable[tuple[bytes, bytes | None]]) -> None:
    for key, value in changes:
        if value is None:
            data.pop(key, None)
        else:
            data[key] = value


def _join(held: _Held, records: Iterable[Any], table: BatchTable) -> None:
    data, merged, merge = held.data, held.merged, table.merge
    for record in records:
        key, value = record.key, record.value
        if fault := _fault(record, table.check):
            table.report(place_of(record), fault)
            if key in data:  # its log ends with an unusable record: the value must be logged again
                merged.add(key)
            continue
        if value is None:
            data.pop(key, None)
            merged.discard(key)
            continue
        known = data.get(key)
        kept = value
        if merge is not None and known is not None and known != value:
            kept = _merged(known, record, merge, table.report)
        data[key] = kept
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


def _acknowledged(held: _Held, count: int, done: Any) -> None:
    """Our own records need not be read back if no others lie before them in the log."""
    if not done.cancelled() and done.exception() is None:
        offset = done.result().offset
        if offset == held.applied + 1:
            held.applied += count
