"""A compacted topic that every worker reads whole and follows: what all partitions must see.

Faust's global tables serve the same end but recover with the rebalance of the group; a mirror needs
no group, is there before the first batch, and a rebalance does not touch it.
"""

import asyncio
import logging
from collections.abc import Callable
from typing import Any, Final

from aiokafka import TopicPartition

from streams.kafka import clients
from streams.kafka.reading import Place, UnreadableRecord, place_of

log = logging.getLogger(__name__)

POLL_MS: Final = 500
#: Decoded at once, so that the loop goes on in between.
MAX_RECORDS: Final = 20_000

#: key, value (None: tombstone) of one record, in the order of its partition
Take = Callable[[bytes, bytes | None], None]
#: where a record is that cannot be read or taken, and why
Report = Callable[[Place, str], object]
#: a moment, in epoch ms, at which the topic held nothing that was not taken
CaughtUp = Callable[[int], None]


class TopicFollower:
    """Follows one topic; `take` is called with each record, also with those from before."""

    def __init__(
        self,
        brokers: str,
        topic: str,
        take: Take,
        report: Report,
        hear: CaughtUp = lambda at_ms: None,
    ) -> None:
        self.topic = topic
        self.caught_up = asyncio.Event()
        self._brokers = brokers
        self._take = take
        self._report = report
        self._caught_up = hear

    async def run(self) -> None:
        """Until cancelled. Raises KafkaError when the topic cannot be read."""
        consumer = clients.consumer(self._brokers)
        await consumer.start()
        try:
            partitions = await self._assign(consumer)
            while True:
                batches = await consumer.getmany(timeout_ms=POLL_MS, max_records=MAX_RECORDS)
                for records in batches.values():
                    for record in records:
                        self._take_one(record)
                if at_ms := await _at_head(consumer, partitions):
                    self._caught_up(at_ms)
                    if not self.caught_up.is_set():
                        log.info("%s is read whole", self.topic)
                        self.caught_up.set()
        finally:
            await consumer.stop()

    def _take_one(self, record: Any) -> None:
        """Garbage is stepped over: it would end every worker at every start."""
        if type(record) is UnreadableRecord:
            self._report(place_of(record), record.fault)
        elif record.key is not None:
            try:
                self._take(record.key, record.value)
            except Exception as error:  # noqa: BLE001  (whatever a decoder raises)
                self._report(place_of(record), f"{type(error).__name__}: {error}")

    async def _assign(self, consumer: Any) -> list[TopicPartition]:
        while not (numbers := consumer.partitions_for_topic(self.topic)):
            await consumer._client.force_metadata_update()
            await asyncio.sleep(POLL_MS / 1000)
        partitions = [TopicPartition(self.topic, number) for number in sorted(numbers)]
        consumer.assign(partitions)
        await consumer.seek_to_beginning(*partitions)
        return partitions


async def _at_head(consumer: Any, partitions: list[TopicPartition]) -> int:
    """When the brokers last said that there is nothing more, in epoch ms; 0: there is more.

    By the high watermark of the fetches: the embedded broker's ListOffsets falls short.
    """
    for partition in partitions:
        highwater = consumer.highwater(partition)
        if highwater is None or await consumer.position(partition) < highwater:
            return 0
    polled: list[int] = [consumer.last_poll_timestamp(partition) for partition in partitions]
    return min(polled)
