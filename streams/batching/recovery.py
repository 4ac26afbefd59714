"""Faust's table recovery, restoring whole batches and ending by the fetch high watermark.

A partition is restored when a fetch response of this assignment shows nothing between the position
and its high watermark. ListOffsets is not trusted: Tansu's is short by up to a batch, and a log may
end in a gap (compaction, control records) whose last offset no record has.
"""

from __future__ import annotations

from time import monotonic
from typing import TYPE_CHECKING, Any, NamedTuple, cast

from faust.tables.manager import TableManager
from faust.tables.recovery import RebalanceAgain, Recovery
from faust.types import TP
from mode import Service

from streams.batching.assignment import UNKNOWN
from streams.batching.batch import Fetched
from streams.batching.errors import StateFolderError
from streams.batching.table import BatchTable

if TYPE_CHECKING:
    from streams.batching.app import BatchApp


class RestoreProgress(NamedTuple):
    """Progress of the restore of one changelog partition."""

    topic: str
    partition: int
    restored: int
    """Records read."""
    remaining: int
    """Offsets still to be read: an upper bound of the records, since compacted logs have gaps."""


class BatchRecovery(Recovery):
    """One per app; the order of events is Faust's (_restart_recovery)."""

    _caught_up: set[TP]

    def __post_init__(self) -> None:
        super().__post_init__()
        self._caught_up = set()

    @property
    def _batch_app(self) -> BatchApp:
        return cast("BatchApp", self.app)

    def _add(self, table: Any, tp: TP, offsets: Any) -> None:
        # Stock keeps an old offset when the table has none (recovery.py:262): a partition that
        # left and returned would not be read from its beginning.
        self.tp_to_table[tp] = table
        offsets[tp] = table.persisted_offset(tp)

    async def _build_highwaters(
        self, consumer: Any, tps: set[TP], destination: Any, title: str
    ) -> None:
        if title == "active":
            self._caught_up.clear()
            self.signal_recovery_end.clear()
        await super()._build_highwaters(consumer, tps, destination, title)

    async def _build_offsets(
        self, consumer: Any, tps: set[TP], destination: Any, title: str
    ) -> None:
        """Where to read from. A log that begins behind what a table has is read from its beginning
        into an empty table: nothing shows what was deleted in between."""
        await super()._build_offsets(consumer, tps, destination, title)
        for tp in tps:
            table = cast(BatchTable, self.tp_to_table[tp])
            known = table.persisted_offset(tp)
            if known is not None and known < destination[tp]:
                table.start_over(tp.partition)

    def need_recovery(self) -> bool:
        """Whether a partition is not proved to be restored yet."""
        return bool(self.active_tps - self._caught_up)

    def restore(self, tp: TP, fetched: Fetched) -> None:
        """Apply a fetch of a changelog partition of ours."""
        if tp not in self.active_tps or not self.in_recovery:
            return
        if not self._apply(tp, fetched, self.active_offsets, self.active_highwaters):
            return
        # Faust warns of a partition without an event (recovery.py:1093).
        self._active_events_received_at[tp] = monotonic()
        if fetched.at_head:
            self._caught_up.add(tp)
            if not self.need_recovery():
                self._set_recovery_ended()
                self.signal_recovery_end.set()

    def follow(self, tp: TP, fetched: Fetched) -> None:
        """Apply a fetch of a changelog partition of a standby."""
        self._apply(tp, fetched, self.standby_offsets, self.standby_highwaters)

    def _apply(self, tp: TP, fetched: Fetched, offsets: Any, highwaters: Any) -> bool:
        """Read a fetch into its table; False: the app failed, or stops."""
        if self._batch_app.stopping:  # what is on disk is closed, or soon will be
            return False
        try:
            cast(BatchTable, self.tp_to_table[tp]).restore(tp.partition, fetched)
        except StateFolderError as error:
            self._batch_app.fail(error)
            return False
        if fetched.position is not None:
            offsets[tp] = fetched.position - 1
        if fetched.highwater is not None:
            highwaters[tp] = fetched.highwater - 1
        return True

    def standby_lags(self) -> dict[int, int | None]:
        """Offsets of all changelogs that each standby has not read; None: not known yet."""
        lags: dict[int, int | None] = {}
        for tp in self.standby_tps:
            highwater, offset = self.standby_highwaters.get(tp), self.standby_offsets.get(tp)
            known = lags.setdefault(tp.partition, 0)
            unknown = None in (known, highwater, offset)
            lags[tp.partition] = None if unknown else known + max(0, highwater - offset)  # type: ignore[operator]
        return lags

    def table_lags(self) -> dict[int, int]:
        """The same of each partition of the assignment; UNKNOWN: not known yet."""
        lags = {number: UNKNOWN if lag is None else lag
                for number, lag in self.standby_lags().items()}  # fmt: skip
        for tp in self.active_tps:
            known = lags.setdefault(tp.partition, 0)
            if tp not in self._caught_up:
                unknown = known == UNKNOWN or tp not in self.active_highwaters
                lags[tp.partition] = UNKNOWN if unknown else known + self._remaining(tp)
        return lags

    def progress(self) -> list[RestoreProgress]:
        """One entry per changelog partition of the assignment."""
        return [
            RestoreProgress(
                tp.topic,
                tp.partition,
                cast(BatchTable, self.tp_to_table[tp]).restored(tp.partition),
                0 if tp in self._caught_up else self._remaining(tp),
            )
            for tp in sorted(self.active_tps)
        ]

    def _remaining(self, tp: TP) -> int:
        highwater, offset = self.active_highwaters.get(tp), self.active_offsets.get(tp)
        return max(0, (highwater or 0) - (-1 if offset is None else offset))

    async def on_recovery_completed(self, generation_id: int = 0) -> None:
        """Open the partitions, run on_partition_ready for each, then resume the streams.

        Stock comes here too when another rebalance interrupted the restore (recovery.py:519
        swallows RebalanceAgain): nothing may be opened then.
        """
        self._raise_if_outdated(generation_id)
        await self._batch_app.open_partitions()
        self._raise_if_outdated(generation_id)
        await super().on_recovery_completed(generation_id)

    async def _resume_streams(self, generation_id: int = 0) -> None:
        """The same for an app without tables."""
        await self._batch_app.open_partitions()
        await super()._resume_streams(generation_id)

    def _raise_if_outdated(self, generation_id: int) -> None:
        outdated = self._batch_app.consumer_generation_id != generation_id
        if outdated or self.signal_recovery_start.is_set() or self.need_recovery():
            raise RebalanceAgain()

    @Service.task
    async def _slurp_changelogs(self) -> None:
        """Do nothing: batches do not pass through the changelog queue.

        Stock's loop also leaves signal_recovery_end set for up to 5 s after a recovery
        (recovery.py:832), so that the next one could end before it read anything.
        """
        await self.wait_until_stopped()


class BatchTableManager(TableManager):
    """Faust's table manager with a BatchRecovery."""

    @property
    def recovery(self) -> Recovery:
        """The recovery service (faust/tables/manager.py:118)."""
        if self._recovery is None:
            self._recovery = BatchRecovery(self.app, self, beacon=self.beacon, loop=self.loop)
        return self._recovery

    def add(self, table: Any) -> Any:
        """Register a table; only batch tables are restored here."""
        if not isinstance(table, BatchTable):
            raise TypeError(f"{table!r} is not a BatchTable: use BatchApp.batch_table()")
        return super().add(table)

    async def on_start(self) -> None:
        """As stock, without its second of sleep (faust/tables/manager.py:144)."""
        await self._update_channels()
        await self.recovery.start()
