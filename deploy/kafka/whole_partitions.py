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


async def batches_of(consumer: Any, partition: TopicPartition) -> AsyncIterator[Sequence[Any]]:
    """The records of a partition, from its beginning to the end it had at the first fetch, as they
    come. Raises PartitionUnread, KafkaError.

    The end is the high watermark of that fetch: ListOffsets of the embedded broker is too low.
    """
    consumer.assign([partition])
    await consumer.seek_to_beginning(partition)
    end, received_at = None, time.monotonic()
    while end is None or await consumer.position(partition) < end:
        batches = await consumer.getmany(timeout_ms=POLL_MS)
        if records := batches.get(partition):
            yield records
        if end is None:
            end = consumer.highwater(partition)
        if batches:
            received_at = time.monotonic()
        elif time.monotonic() - received_at > SILENT_S:
            where = f"partition {partition.partition} of topic {partition.topic}"
            raise PartitionUnread(f"{where} could not be read to its end within {SILENT_S:g} s")
