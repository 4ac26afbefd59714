"""The producer of batches: it tracks every record and fences every request.

Order on retries holds without idempotence: aiokafka has at most one request in flight per node and
mutes its partitions until it is answered (aiokafka/producer/sender.py:128, 138), and a batch to be
retried goes to the front (message_accumulator.py:466). A retry after a lost answer may write a
batch twice; readers must be idempotent.

Batches do not expire: while Kafka is away they wait, and their senders wait with them. The wait
ends with an error that is not retriable, a lost fence, or the end of the process.
"""

from __future__ import annotations

import asyncio
import math
import time
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, Final, NamedTuple, NoReturn, cast

from aiokafka.client import ConnectionGroup
from aiokafka.errors import (
    KafkaError,
    KafkaTimeoutError,
    LeaderNotAvailableError,
    NodeNotReadyError,
    TopicAuthorizationFailedError,
    UnknownTopicOrPartitionError,
)
from aiokafka.protocol.produce import ProduceRequest
from aiokafka.record.default_records import DefaultRecordBatchBuilder
from aiokafka.structs import RecordMetadata
from faust.transport.drivers import aiokafka as driver

from streams.batching.errors import (
    FenceNotProved,
    PartitionNotHeld,
    ProduceFailed,
    RecordTooLarge,
    explain_refusal,
    shown,
)
from streams.batching.watchdog import log_replaced, missing_topics
from streams.kafka.connections import adopt
from streams.kafka.refusals import Denials

if TYPE_CHECKING:
    from streams.batching.app import BatchApp
    from streams.batching.fence import Fence

#: Seconds until a topic that this user may not write to is tried again.
DENIED_S: Final = 1.0

Headers = Sequence[tuple[str, bytes]]


class Outgoing(NamedTuple):
    """A record to produce; a plain (key, value) tuple is accepted too."""

    key: bytes | None
    value: bytes | None
    headers: Headers = ()
    timestamp_ms: int | None = None
    """Epoch ms; None: now."""


Record = tuple[bytes | None, bytes | None] | Outgoing


class Unacknowledged:
    """Records that are not acknowledged yet. since: seconds of time.monotonic()"""

    __slots__ = ("partition", "records", "since", "topic")

    def __init__(self, topic: str, partition: int, records: int) -> None:
        self.topic = topic
        self.partition = partition
        self.records = records
        self.since = time.monotonic()

    @property
    def age_s(self) -> float:
        """Seconds since they were passed to the client."""
        return time.monotonic() - self.since

    def __str__(self) -> str:
        return f"{self.records} records to {self.topic}[{self.partition}]"


_SLACK = 256  # upper bound of a header-less record's overhead in a batch of its own


class BatchProducer(driver.Producer):
    """Faust's producer with batches and flush()."""

    def __post_init__(self) -> None:
        super().__post_init__()
        self._unacknowledged: dict[asyncio.Future[Any], Unacknowledged] = {}
        self._calls: set[asyncio.Task[Any]] = set()
        self._queued = 0
        """Records of the calls that aiokafka has not taken yet."""
        self._locks: defaultdict[tuple[str, int], asyncio.Lock] = defaultdict(asyncio.Lock)
        self._allowed = False
        self._written_up_to: dict[tuple[str, int], int] = {}

    @property
    def _batch_app(self) -> BatchApp:
        return cast("BatchApp", self.app)

    def _new_producer(self, transactional_id: str | None = None) -> Any:
        # faust drivers/aiokafka.py:1400: called at start. The client belongs to this producer.
        producer = super()._new_producer(transactional_id)
        # aiokafka fails a batch that is older than a request timeout (message_accumulator.py:251).
        producer._message_accumulator._batch_ttl = math.inf
        client = adopt(producer.client)
        client.report = lambda kind: self._batch_app.observer.kafka_error("producer", kind)
        self._guard(client)
        return producer

    def _guard(self, client: Any) -> None:
        send, fence, denials = client.send, self._batch_app.fence, self._batch_app.denials

        async def guarded(
            node_id: int, request: Any, *, group: Any = ConnectionGroup.DEFAULT
        ) -> Any:
            if not isinstance(request, ProduceRequest):
                return await send(node_id, request, group=group)
            await _until_writable(fence, client, node_id, group)
            return _repeat_denied(await send(node_id, request, group=group), denials)

        client.send = guarded

    def refusal(self) -> str:
        """Why Kafka refused the latest connection; empty: it did not."""
        return "" if self._producer is None else str(self._producer.client.refusal)

    def allow_produce(self, allowed: bool) -> None:
        """Open or close the producer."""
        self._allowed = allowed

    def abandon(self, error: Exception) -> None:
        """Fail all records that are not acknowledged yet; nothing more can be produced."""
        if self._producer is not None:
            self._producer._message_accumulator.fail_all(error)

    async def allowed(self) -> None:
        """Wait until the fence allows producing.

        Raises PartitionNotHeld between assignments, FenceLost when the fence is lost.
        """
        self._raise_unless_allowed()
        await self._batch_app.fence.proved()
        self._raise_unless_allowed()

    def _raise_unless_allowed(self) -> None:
        if not self._allowed:
            raise PartitionNotHeld("nothing can be produced while partitions are reassigned")

    async def prepare(
        self, topic: str, records: Iterable[Record], max_record_bytes: int
    ) -> list[Record]:
        """Check the records and wait until they may be produced. The partition may be lost then.

        Raises RecordTooLarge, PartitionNotHeld, FenceLost; nothing is sent.
        """
        await self.allowed()
        return [_checked(record, topic, max_record_bytes) for record in records]

    async def send_batches(
        self, topic: str, partition: int, records: list[Record]
    ) -> list[tuple[asyncio.Future[Any], int]]:
        """Pass prepared records to aiokafka as whole batches, in order; split where one is full.

        Returns (future of RecordMetadata, number of records) per batch, tracked already: flush()
        awaits them. Waits while an earlier batch of the partition is still queued. Calls for one
        partition are served in order; a call continues when its caller is cancelled.
        """
        call = asyncio.ensure_future(self._send_all(topic, partition, records))
        self._calls.add(call)
        call.add_done_callback(self._on_call_done)
        return await asyncio.shield(call)

    async def _send_all(
        self, topic: str, partition: int, records: list[Record]
    ) -> list[tuple[asyncio.Future[Any], int]]:
        left = len(records)
        self._queued += left
        try:
            async with self._locks[topic, partition]:
                shipped = []
                for batch in _batches(self._ensure_producer(), records):
                    count = batch.record_count()
                    shipped.append((await self._send_batch(batch, topic, partition), count))
                    self._queued -= count
                    left -= count
                return shipped
        finally:
            self._queued -= left

    async def _send_batch(self, batch: Any, topic: str, partition: int) -> asyncio.Future[Any]:
        batch.close()
        await self._batch_app.fence.proved()
        future = await self._enqueue(batch, topic, partition)
        self._track(future, Unacknowledged(topic, partition, batch.record_count()))
        return future

    async def _enqueue(self, batch: Any, topic: str, partition: int) -> asyncio.Future[Any]:
        """Wait for aiokafka's one queued batch per partition, however long Kafka is away.

        Raises UnknownTopicOrPartitionError when Kafka answers that there is no such topic.
        """
        producer = self._ensure_producer()
        while True:
            try:
                sent = await producer.send_batch(batch, topic, partition=partition)
                return cast("asyncio.Future[Any]", sent)
            except KafkaTimeoutError:
                self._raise_failure()
            except TopicAuthorizationFailedError as error:
                self._batch_app.denials.note(error, "WRITE")
                await asyncio.sleep(DENIED_S)
                self._raise_failure()
            except UnknownTopicOrPartitionError:
                # aiokafka also raises it while no broker answers (client.py:_wait_on_metadata).
                if await _answering(producer.client):
                    raise
                self._raise_failure()

    def _raise_failure(self) -> None:
        if (failure := self._batch_app.failure) is not None:
            raise failure

    def _track(self, future: asyncio.Future[Any], what: Unacknowledged) -> None:
        self._unacknowledged[future] = what

        def acknowledged(done: asyncio.Future[Any]) -> None:
            self._unacknowledged.pop(done, None)
            error = asyncio.CancelledError() if done.cancelled() else done.exception()
            if error is not None:
                why = explain_refusal(error, what.topic)
                self._batch_app.fail(ProduceFailed(f"{what} failed: {why}"), error)
            else:
                self._batch_app.observer.acknowledged(what.topic, what.records)
                self._compare(done.result())

        future.add_done_callback(acknowledged)

    def _compare(self, written: RecordMetadata) -> None:
        """A log only grows: an offset below the last one means that the log was replaced."""
        home = written.topic, written.partition
        before = self._written_up_to.get(home, -1)
        if written.offset < before:
            self._batch_app.fail(log_replaced(*home, written.offset, before))
        self._written_up_to[home] = written.offset

    @property
    def unacknowledged(self) -> int:
        """Records passed to this producer that are not acknowledged yet."""
        return self._queued + sum(each.records for each in self._unacknowledged.values())

    def oldest_unacknowledged(self) -> Unacknowledged | None:
        """The records that wait longest for their acknowledgement; None: none wait."""
        return next(iter(self._unacknowledged.values()), None)

    def _on_call_done(self, call: asyncio.Task[Any]) -> None:
        self._calls.discard(call)
        if call.cancelled():
            self._batch_app.fail(ProduceFailed("a send_many() was cancelled half-way"))
        elif error := call.exception():
            self._batch_app.fail(ProduceFailed(f"a send_many() failed: {shown(error)}"), error)

    async def send(self, *args: Any, **kwargs: Any) -> Any:
        """Faust's Topic.send(): one record, tracked as well."""
        await self.allowed()
        future = await super().send(*args, **kwargs)
        self._track(cast("asyncio.Future[Any]", future), Unacknowledged(str(args[0]), -1, 1))
        return future

    def unknown(self) -> set[str]:
        """Topics produced to that are missing in the newest metadata of the client."""
        if self._producer is None:
            return set()
        client = self._producer.client
        known = client.cluster.partitions_for_topic
        return {name for name in client._topics if not known(name)}

    async def missing(self, topics: Iterable[str]) -> list[str]:
        """The topics that the cluster does not know; empty when no broker answers."""
        return await missing_topics(self._ensure_producer().client, topics)

    def hidden(self) -> set[str]:
        """Topics that this user may not see, by the newest metadata of the client."""
        return set(self._ensure_producer().client.cluster.unauthorized_topics)

    def send_soon(self, fut: Any) -> NoReturn:
        """Refused: Faust's buffer loses track of its records."""
        raise TypeError("send_soon() cannot be tracked: await send_many() or BatchTable.put()")

    async def flush(self) -> None:
        """Wait until everything sent so far is acknowledged.

        Raises the app's failure if anything ever failed.
        """
        if calls := set(self._calls):
            await asyncio.wait(calls)
        if futures := set(self._unacknowledged):
            await asyncio.wait(futures)
        await asyncio.sleep(0)  # let the done callbacks of those futures run first
        self._raise_failure()


async def _until_writable(fence: Fence, client: Any, node_id: int, group: Any) -> None:
    """Wait until the node is ready and the fence allows producing, both at the same moment.

    Either may take long, and one may be lost while waiting for the other; after ready() the client
    writes without another await (streams/kafka/connections.py). Raises NodeNotReadyError, to be
    retried, and FenceLost.
    """
    while True:
        await fence.proved()
        if not await client.ready(node_id, group=group):
            raise NodeNotReadyError(f"broker {node_id} cannot be connected to")
        try:
            return fence.check()
        except FenceNotProved:
            continue


def _repeat_denied(response: Any, denials: Denials) -> Any:
    """The response, changed so that aiokafka repeats what this user may not write.

    A batch that failed would leave a gap between those before and after it.
    """

    def repeated(topic: str, partition: Any) -> Any:
        number, code, *rest = partition
        if code != TopicAuthorizationFailedError.errno:
            return partition
        denials.note(TopicAuthorizationFailedError(topic), "WRITE")
        return (number, LeaderNotAvailableError.errno, *rest)

    response.topics = [
        (topic, [repeated(topic, partition) for partition in partitions])
        for topic, partitions in response.topics
    ]
    return response


async def _answering(client: Any) -> bool:
    """Whether any broker answers at all."""
    try:
        await client.fetch_all_metadata()
    except KafkaError:
        return False
    return True


def _batches(producer: Any, records: list[Record]) -> Iterator[Any]:
    batch = producer.create_batch()
    for record in records:
        if not _append(batch, record):
            yield batch
            batch = producer.create_batch()
            _append(batch, record)  # the first record of a batch always fits
    if batch.record_count():
        yield batch


def _append(batch: Any, record: Record) -> bool:
    if len(record) == 2:
        appended = batch.append(timestamp=None, key=record[0], value=record[1])
    else:
        key, value, headers, timestamp_ms = record
        appended = batch.append(timestamp=timestamp_ms, key=key, value=value, headers=list(headers))
    return appended is not None


def _checked(record: Record, topic: str, limit: int) -> Record:
    size = len(record[0] or b"") + len(record[1] or b"") + _SLACK
    if size > limit or len(record) > 2:
        headers = list(record[2]) if len(record) > 2 else []
        size = DefaultRecordBatchBuilder.estimate_size_in_bytes(record[0], record[1], headers)
        if size > limit:
            raise RecordTooLarge(topic, size, limit)
    return record
