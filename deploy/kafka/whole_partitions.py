"""Reading a partition of a topic from its beginning to its end, for commands."""

import time
from collections.abc import AsyncIterator, Sequence
from typing import Any, Final

from aiokafka import TopicPartition

POLL_MS: Final = 200
#: Reading fails when a broker sends nothing for this long although there is more to read.
SILENT_S: Final = 30.0


class PartitionUnread(RuntimeError):
    """A partition could not be read to its end; the text names it."""


async def batches_of(
    consumer: Any, partition: TopicPartition, start: int | None = None, end: int | None = None
) -> AsyncIterator[Sequence[Any]]:
    """The records of a partition as they come. Raises PartitionUnread, KafkaError.

    start: offset of the first; None: the beginning. end: before this offset; None: before the end
    that the partition has at the first fetch
    """
    # aiokafka hangs when it is stopped right after an assignment, before it has fetched anything.
    if start is not None and end is not None and start >= end:
        return
    # That end is the high watermark of a fetch: ListOffsets of the embedded broker is too low.
    consumer.assign([partition])
    if start is None:
        await consumer.seek_to_beginning(partition)
    else:
        consumer.seek(partition, start)
    received_at = time.monotonic()
    while end is None or await consumer.position(partition) < end:
        batches = await consumer.getmany(timeout_ms=POLL_MS)
        if end is None:
            end = consumer.highwater(partition)
        if records := batches.get(partition):
            yield records if end is None else [one for one in records if one.offset < end]
        if batches:
            received_at = time.monotonic()
        elif time.monotonic() - received_at > SILENT_S:
            where = f"partition {partition.partition} of topic {partition.topic}"
            raise PartitionUnread(f"{where} could not be read to its end within {SILENT_S:g} s")
