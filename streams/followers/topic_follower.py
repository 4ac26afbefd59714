"""A consumer without a group that reads a compacted topic whole and keeps reading it.

Faust's global tables have the same purpose, but they recover at each rebalance of the group. A
follower needs no group: it is complete before the first batch, and no rebalance touches it.
"""

import asyncio
import logging
from collections.abc import Callable
from typing import Any, Final

from aiokafka import TopicPartition

from streams.kafka import clients
from streams.kafka.errors import Report as ReportError
from streams.kafka.reading import Place, UnreadableRecord, place_of
from streams.kafka.security import Access

log = logging.getLogger(__name__)

POLL_MS: Final = 500
#: Until it has caught up: a broker answers the fetch of an empty partition after 500 ms, and a poll
#: as long as that would end right before. Workers wait for it at their start.
FIRST_POLL_MS: Final = 50
#: Records decoded at once, so that the event loop runs in between.
MAX_RECORDS: Final = 20_000

#: key, value (None: tombstone) of one record, in the order of its partition
Take = Callable[[bytes, bytes | None], None]
#: where an unreadable or unusable record is, and why
Report = Callable[[Place, str], object]
#: a moment, in epoch ms, at which all records of the topic were taken
CaughtUp = Callable[[int], None]


class TopicFollower:
    """Follows one topic; `take` is called with each record, from the beginning of the topic."""

    def __init__(
        self,
        access: Access,
        topic: str,
        take: Take,
        report: Report,
        on_caught_up: CaughtUp = lambda at_ms: None,
        on_error: ReportError = lambda kind: None,
    ) -> None:
        self.topic = topic
        self.caught_up = asyncio.Event()
        self._access = access
        self._take = take
        self._report = report
        self._on_caught_up = on_caught_up
        self._on_error = on_error

    async def run(self) -> None:
        """Run until cancelled. Raises KafkaError when the topic cannot be read."""
        consumer = clients.consumer(self._access)
        consumer._client.report = self._on_error
        await consumer.start()
        try:
            partitions = await self._assign(consumer)
            while True:
                poll_ms = POLL_MS if self.caught_up.is_set() else FIRST_POLL_MS
                batches = await consumer.getmany(timeout_ms=poll_ms, max_records=MAX_RECORDS)
                for records in batches.values():
                    for record in records:
                        self._take_one(record)
                if at_ms := await _at_head(consumer, partitions):
                    self._on_caught_up(at_ms)
                    if not self.caught_up.is_set():
                        log.info("%s is read whole", self.topic)
                        self.caught_up.set()
        finally:
            await consumer.stop()

    def _take_one(self, record: Any) -> None:
        """Take one record, or report and skip it: it would end every worker at every start."""
        if type(record) is UnreadableRecord:
            self._report(place_of(record), record.fault)
        elif record.key is not None:
            try:
                self._take(record.key, record.value)
            except Exception as error:  # noqa: BLE001  (whatever a decoder raises)
                self._report(place_of(record), f"{type(error).__name__}: {error}")

    async def _assign(self, consumer: Any) -> list[TopicPartition]:
        await consumer._client.force_metadata_update()
        while not (numbers := consumer.partitions_for_topic(self.topic)):
            await asyncio.sleep(POLL_MS / 1000)
            await consumer._client.force_metadata_update()
        partitions = [TopicPartition(self.topic, number) for number in sorted(numbers)]
        consumer.assign(partitions)
        await consumer.seek_to_beginning(*partitions)
        return partitions


async def _at_head(consumer: Any, partitions: list[TopicPartition]) -> int:
    """When all records up to the high watermark were taken, in epoch ms; 0: they are not yet.

    The high watermark is that of the fetches: the embedded broker's ListOffsets falls short.
    """
    for partition in partitions:
        highwater = consumer.highwater(partition)
        if highwater is None or await consumer.position(partition) < highwater:
            return 0
    polled: list[int] = [consumer.last_poll_timestamp(partition) for partition in partitions]
    return min(polled)
