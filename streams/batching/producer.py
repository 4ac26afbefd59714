"""The producer of batches: every record tracked, every request fenced.

Order on retries holds without idempotence: aiokafka has at most one request in flight per node and
mutes its partitions until it is answered (aiokafka/producer/sender.py:128, 138), and a batch to be
retried goes to the front (message_accumulator.py:466). A retry after a lost answer may write a
batch twice; readers must be idempotent.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple, NoReturn, cast

from aiokafka.client import ConnectionGroup
from aiokafka.protocol.produce import ProduceRequest
from aiokafka.record.default_records import DefaultRecordBatchBuilder
from faust.transport.drivers import aiokafka as driver

from streams.batching.errors import PartitionNotHeld, ProduceFailed, RecordTooLarge

if TYPE_CHECKING:
    from streams.batching.app import BatchApp

Headers = Sequence[tuple[str, bytes]]


class Outgoing(NamedTuple):
    """A record to produce; a plain (key, value) tuple does as well."""

    key: bytes | None
    value: bytes | None
    headers: Headers = ()
    timestamp_ms: int | None = None
    """Epoch ms; None: now."""


Record = tuple[bytes | None, bytes | None] | Outgoing

_SLACK = 256  # upper bound of a header-less record's overhead in a batch of its own


class BatchProducer(driver.Producer):
    """Faust's producer plus send_many() and settle()."""

    def __post_init__(self) -> None:
        super().__post_init__()
        self._unacknowledged: set[asyncio.Future[Any]] = set()
        self._calls: set[asyncio.Task[Any]] = set()
        self._locks: defaultdict[tuple[str, int], asyncio.Lock] = defaultdict(asyncio.Lock)
        self._admitting = False

    @property
    def _batch_app(self) -> BatchApp:
        return cast("BatchApp", self.app)

    def _new_producer(self, transactional_id: str | None = None) -> Any:
        # faust drivers/aiokafka.py:1400: called at start. The client belongs to this producer.
        producer = super()._new_producer(transactional_id)
        self._guard(producer.client)
        return producer

    def _guard(self, client: Any) -> None:
        send, fence = client.send, self._batch_app.fence

        async def guarded(
            node_id: int, request: Any, *, group: Any = ConnectionGroup.DEFAULT
        ) -> Any:
            if isinstance(request, ProduceRequest):
                # Connecting may take long; after ready() send() writes without another await
                # (aiokafka/client.py:463-476).
                await client.ready(node_id, group=group)
                fence.check()
            return await send(node_id, request, group=group)

        client.send = guarded

    def admit(self, admitting: bool) -> None:
        """Open or close send_many() for everybody."""
        self._admitting = admitting

    def check_admitted(self) -> None:
        """Raises PartitionNotHeld between assignments, FenceLost when the fence is lost."""
        if not self._admitting:
            raise PartitionNotHeld("nothing can be produced while partitions are reassigned")
        self._batch_app.fence.check()

    def prepare(self, topic: str, records: Iterable[Record], max_record_bytes: int) -> list[Record]:
        """The records, when they may be produced now.

        Raises RecordTooLarge, PartitionNotHeld, FenceLost; nothing is sent.
        """
        self.check_admitted()
        return [_checked(record, topic, max_record_bytes) for record in records]

    async def ship(
        self, topic: str, partition: int, records: list[Record]
    ) -> list[tuple[asyncio.Future[Any], int]]:
        """Hand prepared records to aiokafka as whole batches, in order; split where one is full.

        Returns (future of RecordMetadata, number of records) per batch, tracked already: settle()
        awaits them. Waits while an earlier batch of the partition is still queued. Calls for one
        partition are served in their order; a call goes on when its caller is cancelled.
        """
        call = asyncio.ensure_future(self._ship_all(topic, partition, records))
        self._calls.add(call)
        call.add_done_callback(self._on_call_done)
        return await asyncio.shield(call)

    async def _ship_all(
        self, topic: str, partition: int, records: list[Record]
    ) -> list[tuple[asyncio.Future[Any], int]]:
        async with self._locks[topic, partition]:
            return [
                (await self._ship(batch, topic, partition), batch.record_count())
                for batch in _batches(self._ensure_producer(), records)
            ]

    async def _ship(self, batch: Any, topic: str, partition: int) -> asyncio.Future[Any]:
        batch.close()
        self._batch_app.fence.check()
        sent = await self._ensure_producer().send_batch(batch, topic, partition=partition)
        future = cast("asyncio.Future[Any]", sent)
        self._track(future, f"{batch.record_count()} records to {topic}[{partition}]")
        return future

    def _track(self, future: asyncio.Future[Any], what: str) -> None:
        self._unacknowledged.add(future)

        def acknowledged(done: asyncio.Future[Any]) -> None:
            self._unacknowledged.discard(done)
            error = asyncio.CancelledError() if done.cancelled() else done.exception()
            if error is not None:
                self._batch_app.fail(ProduceFailed(f"{what} failed: {error!r}"), error)

        future.add_done_callback(acknowledged)

    def _on_call_done(self, call: asyncio.Task[Any]) -> None:
        self._calls.discard(call)
        if call.cancelled():
            self._batch_app.fail(ProduceFailed("a send_many() was cancelled half-way"))
        elif error := call.exception():
            self._batch_app.fail(ProduceFailed(f"a send_many() failed: {error!r}"), error)

    async def send(self, *args: Any, **kwargs: Any) -> Any:
        """Faust's Topic.send(): one record, tracked as well."""
        self.check_admitted()
        future = await super().send(*args, **kwargs)
        self._track(cast("asyncio.Future[Any]", future), f"a record to {args[:1]}")
        return future

    def send_soon(self, fut: Any) -> NoReturn:
        """Refused: Faust's buffer loses track of its records (holes H1, H2)."""
        raise TypeError("send_soon() cannot be tracked: await send_many() or BatchTable.put()")

    async def settle(self) -> None:
        """Wait until everything handed over so far is acknowledged.

        Raises the app's failure when anything ever was not.
        """
        if calls := set(self._calls):
            await asyncio.wait(calls)
        if futures := set(self._unacknowledged):
            await asyncio.wait(futures)
        await asyncio.sleep(0)  # let the done callbacks of those futures run first
        if (failure := self._batch_app.failure) is not None:
            raise failure


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
