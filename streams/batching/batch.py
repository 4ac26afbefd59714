"""A batch: consecutive records of one partition, as one event of a stream."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple, overload

from aiokafka import ConsumerRecord
from faust.types import TP


class Fetched(NamedTuple):
    """The result of one fetch for a partition, taken in the consumer's thread at one moment."""

    records: list[ConsumerRecord[bytes, bytes]]
    position: int | None
    """Next offset to be read; beyond the last record where the log has a gap or control records."""
    highwater: int | None
    """High watermark in the latest fetch response; None before the first response."""
    answered_ms: int | None = None
    """Epoch ms of that response."""

    @property
    def at_head(self) -> bool:
        """Whether everything up to the high watermark was read."""
        return None not in (self.position, self.highwater) and self.position >= self.highwater  # type: ignore[operator]

    @property
    def is_beyond_end(self) -> bool:
        """Whether the position lies behind the end of the log, so that aiokafka will reset it.

        This happens after an unclean election, or with a committed offset that was set wrongly.
        """
        if self.records or self.position is None or self.highwater is None:
            return False
        return self.position > self.highwater


class Batch(Sequence[Any]):
    """Records of one partition in offset order (gaps are possible, order is not broken).

    tp: topic and partition. records: aiokafka ConsumerRecord, key and value raw bytes or None.
    at_head: its last record is the last one before the high watermark of its fetch. next_offset:
    to be committed when it is done; behind the last record, and behind the control records of
    transactions and the gaps that follow it.
    """

    __slots__ = (
        "_finished",
        "_invalid",
        "_on_done",
        "_taken",
        "at_head",
        "next_offset",
        "records",
        "tp",
    )  # fmt: skip

    def __init__(
        self,
        tp: TP,
        records: list[ConsumerRecord[bytes, bytes]],
        at_head: bool,
        next_offset: int,
        on_done: Callable[[], object],
    ) -> None:
        self.tp = tp
        self.records = records
        self.at_head = at_head
        self.next_offset = next_offset
        self._on_done = on_done
        self._finished = False
        self._taken = False
        self._invalid = False

    def done(self) -> None:
        """Mark it as done: its output was passed to send_many() or put(), or before_commit does it.

        Its offsets are committed after those sends are acknowledged and after all earlier batches
        of the partition are done. Without effect on a batch of an older assignment.
        """
        if not (self._finished or self._invalid):
            self._finished = True
            self._on_done()

    @property
    def finished(self) -> bool:
        """Whether done() was called while the batch was valid."""
        return self._finished

    @property
    def taken(self) -> bool:
        """Whether an agent has it."""
        return self._taken

    def take(self) -> bool:
        """Called by the stream: False when the batch was invalidated while it waited."""
        if self._taken:
            raise RuntimeError(f"two agents read {self.tp}: give each topic one BatchTopic")
        self._taken = not self._invalid
        return self._taken

    def invalidate(self) -> None:
        """Called by the consumer: these offsets are read again, perhaps by another worker."""
        self._invalid = True

    @overload
    def __getitem__(self, index: int) -> Any: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[Any]: ...
    def __getitem__(self, index: int | slice) -> Any:
        return self.records[index]

    def __len__(self) -> int:
        return len(self.records)

    def __iter__(self) -> Iterator[Any]:
        return iter(self.records)

    def __repr__(self) -> str:
        first, last = self.records[0].offset, self.records[-1].offset
        return f"<Batch {self.tp.topic}[{self.tp.partition}] {first}..{last}>"


FetchedMap = dict[TP, Fetched]
