"""Faust's consumer thread: the aiokafka consumer and its heartbeats live in a loop of their own."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, cast

from aiokafka.errors import CommitFailedError, TopicAuthorizationFailedError
from aiokafka.structs import OffsetAndMetadata, TopicPartition
from faust.transport.consumer import ensure_TP
from faust.transport.drivers import aiokafka as driver
from faust.types import TP

from streams.batching.batch import Fetched, FetchedMap
from streams.kafka.clients import REQUEST_TIMEOUT_MS
from streams.kafka.cluster_requests import topic_ids
from streams.kafka.connections import adopt
from streams.kafka.errors import watch_commits
from streams.kafka.reading import guard_reading

if TYPE_CHECKING:
    from streams.batching.app import BatchApp

# Faust uses 1,500 ms (drivers/aiokafka.py:626): a partition that becomes interesting while a
# fetch is waiting at the broker (start, rebalance, end of a restore) would wait that long.
FETCH_MAX_WAIT_MS = 200


class BatchConsumerThread(driver.AIOKafkaConsumerThread):
    """Runs aiokafka; everything here executes in the consumer's thread."""

    def _create_consumer(self, loop: asyncio.AbstractEventLoop) -> Any:
        guard_reading()
        consumer = super()._create_consumer(loop=loop)
        # Both are read by start(). Faust reads committed records only within its own transactions.
        consumer._fetch_max_wait_ms = FETCH_MAX_WAIT_MS
        consumer._isolation_level = "read_committed"
        client = adopt(consumer._client)
        client._request_timeout_ms = REQUEST_TIMEOUT_MS
        observer = cast("BatchApp", self.app).observer
        client.report = lambda kind: observer.kafka_error("consumer", kind)
        return consumer

    async def on_start(self) -> None:
        """Start the consumer; let the fence see its heartbeats, and the observer its commits."""
        await super().on_start()
        # No heartbeat was sent yet: the group is joined after subscribe().
        app, coordinator = cast("BatchApp", self.app), self._ensure_consumer()._coordinator
        app.fence.watch(coordinator)
        watch_commits(coordinator, app.observer.commit_failed)

    async def on_thread_stop(self) -> None:
        """Leave the group, so that other members need not wait for the session timeout."""
        if self._consumer is not None and self._consumer._coordinator.generation == 0:
            # Tansu counts generations from 0; aiokafka takes that for "never joined"
            # (consumer/group_coordinator.py:375). LeaveGroup does not carry the number.
            self._consumer._coordinator.generation = 1
        try:
            await super().on_thread_stop()
        except asyncio.CancelledError:
            task = asyncio.current_task()
            if self._consumer is None or (task is not None and task.cancelling()):
                raise
            # Not ours: aiokafka cancels its fetches and awaits them unguarded while one waits to
            # be tried again (consumer/fetcher.py:455). All that is left of its stop() is this.
            await self._consumer._client.close()

    async def _fetch_records(
        self,
        consumer: Any,
        active_partitions: set[TP],
        timeout: float | None = None,
        max_records: int | None = None,
    ) -> Mapping[TP, Any]:
        """As Faust's, but every partition has a Fetched, even without records."""
        try:
            records = await super()._fetch_records(
                consumer, active_partitions, timeout, max_records
            )
        except TopicAuthorizationFailedError as error:  # raised again while READ is denied
            cast("BatchApp", self.app).denials.note(error, "READ")
            records = {}
        return {ensure_TP(tp): _fetched(consumer, tp, records) for tp in active_partitions}

    async def join_again(self) -> None:
        """Make the group plan again, by what its members have now."""
        await self.call_thread(self._ensure_consumer()._coordinator.request_rejoin)

    async def fetch_some(self, partitions: set[TP], most: int) -> FetchedMap:
        """At most so many records of partitions that are there already; it does not wait."""
        fetched = await self.call_thread(
            self._fetch_records, self._ensure_consumer(), partitions, timeout=0, max_records=most
        )
        return cast(FetchedMap, fetched)

    async def _commit(self, offsets: Mapping[TP, int]) -> bool:
        """Commit; False when the group was rebalanced meanwhile, or READ on a topic is denied: a
        later commit includes these offsets. Raises all other errors."""
        consumer = self._ensure_consumer()
        assigned = self.assignment()
        wanted = {
            TopicPartition(tp.topic, tp.partition): OffsetAndMetadata(offset, "")
            for tp, offset in offsets.items()
            if tp in assigned
        }
        try:
            if wanted:
                await consumer.commit(wanted)
        except CommitFailedError as error:
            self.log.warning("Offsets not committed, they will be read again: %s", error)
            return False
        except TopicAuthorizationFailedError as error:
            cast("BatchApp", self.app).denials.note(error, "READ")
            return False
        return bool(wanted)

    async def partition_counts(self, topics: Iterable[str]) -> dict[str, int]:
        """Number of partitions of each topic, 0 where it does not exist."""
        cluster = await self.call_thread(self._ensure_consumer()._client.fetch_all_metadata)
        return {name: len(cluster.partitions_for_topic(name) or ()) for name in sorted(topics)}

    async def topic_ids(self, topics: Iterable[str]) -> dict[str, str]:
        """Ids of topics, as far as the brokers have them."""
        return cast(
            "dict[str, str]",
            await self.call_thread(topic_ids, self._ensure_consumer()._client, list(topics)),
        )

    def coordination_error(self) -> Exception | None:
        """What aiokafka would raise from the next call of its consumer; None: nothing.

        Faust makes no such call while it waits for records, so the watchdog polls this.
        """
        coordinator = None if self._consumer is None else self._consumer._coordinator
        if coordinator is None:  # not started yet
            return None
        task = coordinator._coordination_task
        failed = task.done() and not task.cancelled() and task.exception()
        return cast("Exception | None", failed or coordinator._pending_exception)

    def refusal(self) -> str:
        """Why the latest connection was refused; empty: it was not."""
        return "" if self._consumer is None else str(self._consumer._client.refusal)

    def unknown(self, topics: Iterable[str]) -> set[str]:
        """Topics that are missing in the newest metadata of the client."""
        if self._consumer is None:
            return set()
        cluster = self._consumer._client.cluster
        return {name for name in topics if not cluster.partitions_for_topic(name)}

    def hidden(self) -> set[str]:
        """Topics that this user may not see, by the newest metadata of the client."""
        return set(self._ensure_consumer()._client.cluster.unauthorized_topics)

    async def start_over(self, partitions: set[TP]) -> None:
        """Seek partitions that have no committed offset to the start of their log.

        aiokafka's seek_to_committed() leaves those where they are (consumer/consumer.py:901),
        behind records that were fetched and dropped during the restore.
        """
        await self.call_thread(self._ensure_consumer().seek_to_beginning, *_plain(partitions))


def _plain(partitions: set[TP]) -> list[TopicPartition]:
    return [TopicPartition(tp.topic, tp.partition) for tp in partitions]


def _fetched(consumer: Any, tp: TP, records: Mapping[Any, list[Any]]) -> Fetched:
    assignment = consumer._subscription.subscription.assignment
    state = None
    if assignment is not None and assignment.active:
        state = assignment.state_value(TopicPartition(tp.topic, tp.partition))
    if state is None or not state.has_valid_position:
        return Fetched(records.get(tp, []), None, None)
    return Fetched(records.get(tp, []), state.position, state.highwater, state.timestamp)
