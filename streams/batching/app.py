"""BatchApp: a faust.App whose agents receive whole batches and whose commits are safe."""

from __future__ import annotations

import asyncio
import logging
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import Any, cast

import faust
from faust.tables.recovery import RebalanceAgain
from faust.transport.drivers import aiokafka as driver
from faust.types import TP

from streams.batching.assignment import UNKNOWN
from streams.batching.assignor import BatchAssignor
from streams.batching.consumer import BatchConsumer
from streams.batching.errors import BatchingError, FenceLost, StateFolderError, shown
from streams.batching.fence import Fence
from streams.batching.observer import Observer
from streams.batching.private_api import assert_private_api
from streams.batching.producer import BatchProducer, Record
from streams.batching.recovery import BatchRecovery, BatchTableManager, RestoreProgress
from streams.batching.stores.folder import DiskStores, MemoryStores, StateFolder
from streams.batching.table import BatchTable, Check, Merge
from streams.batching.topic import BatchStream, BatchTopic
from streams.batching.watchdog import topics_deleted, topics_hidden
from streams.kafka.clients import REQUEST_TIMEOUT_MS
from streams.kafka.reading import Place
from streams.kafka.refusals import AccessRefused, Denials, denied_right
from streams.kafka.security import Access

log = logging.getLogger(__name__)

REBALANCE_TIMEOUT_S = 60.0
"""How long a rebalance waits for this worker to finish; twice the session timeout if that is more,
since a member that joins too late is dropped like one whose session ended."""
PATIENCE_S = 86_400.0
"""How long Faust and aiokafka wait for what takes several requests (positions, a restore, fetching
again): while Kafka is away the worker waits. Each single request has REQUEST_TIMEOUT_MS."""
MAX_BATCH_BYTES = 1_000_000
MAX_REQUEST_BYTES = 8 * 1024**2
MAX_FETCH_BYTES = 4 * 1024**2
RESTORE_CHUNK = 10_000
"""Values that a restore reads into a partition on disk before they are written, at least."""
RESTORE_UNWRITTEN = 160_000
"""Values of all partitions that are read and not written. The more a write has, the fewer times a
counter cell is written again."""
STANDBY_CHUNK = 2_000
"""The same of a standby: its worker processes other partitions meanwhile."""
MAX_POLL_RECORDS = 20_000
"""Decoded at once: a small batch may hold a million, and heartbeats must go on meanwhile."""


class BatchTransport(driver.Transport):
    """Faust's aiokafka transport with our consumer and producer (faust/transport/base.py:39)."""

    Consumer = BatchConsumer
    Producer = BatchProducer


class BatchApp(faust.App):
    """A Faust app for batches; run it with run_worker().

    access: how to reach Kafka. batch_size: most records in a Batch. max_record_bytes:
    largest key + value + headers + overhead that send_many() and put() accept. quiesce_timeout_s:
    how long agents and acknowledgements may take when partitions are revoked. state: where tables
    are on disk; None: in memory. standbys: other workers that keep a copy of each partition's
    tables, as far as there are as many.
    """

    on_partition_ready: Callable[[int], Awaitable[object]] | None = None
    """Awaited when all tables of a partition are restored, before its first batch is handed out.
    Again after a rebalance if other workers' records were read into a partition that stayed. It may
    be cancelled by another rebalance and called again; it may put() and send_many()."""
    on_restored_chunk: Callable[[int], Awaitable[bool]] | None = None
    """Awaited while tables on disk are restored, or follow as a standby, when many values of a
    partition were read: it makes timers, days and notes follow from them and writes them. False:
    it did not. The partition may be lost while it waits."""
    on_partition_lost: Callable[[int], object] | None = None
    """Called when another worker has a partition now, or its standby. Its data is already dropped,
    or this worker keeps it as a standby."""
    on_unreadable: Callable[[Place, str], object] | None = None
    """Called for each changelog record that a restore skips, with the reason."""
    before_commit: Callable[[], Awaitable[object]] | None = None
    """Awaited every commit interval and at the last commit of an assignment, done batches or not.
    Then everything produced is flushed, then the offsets done before the call are committed."""
    after_commit: Callable[[], object] | None = None
    """Called when they are committed, or when there were none."""

    def __init__(
        self,
        app_id: str,
        *,
        access: Access,
        batch_size: int = 2000,
        commit_interval_s: float = 1.0,
        session_timeout_s: float = 10.0,
        max_record_bytes: int = MAX_BATCH_BYTES,
        quiesce_timeout_s: float = 20.0,
        state: StateFolder | None = None,
        standbys: int = 0,
        **settings: Any,
    ) -> None:
        self.batch_size = batch_size
        self.max_record_bytes = max_record_bytes
        self.quiesce_timeout_s = quiesce_timeout_s
        rebalance_timeout_s = max(REBALANCE_TIMEOUT_S, 2 * session_timeout_s)
        self._state = state
        self.stores: DiskStores | MemoryStores = MemoryStores()
        self.fence = Fence(session_timeout_s, rebalance_timeout_s)
        self.denials = Denials(access.username)
        self.observer = Observer()
        self.failure: BaseException | None = None
        self.failed = asyncio.Event()
        self.stopping = False
        self._partitions: set[int] = set()
        self._standbys: set[int] = set()
        self._informed: set[int] = set()
        self._ready: set[int] = set()
        self._opening: asyncio.Task[None] | None = None
        fixed = _settings(access, commit_interval_s, session_timeout_s, rebalance_timeout_s)
        fixed["table_standby_replicas"] = standbys
        super().__init__(app_id, **{**fixed, **settings})
        self.transport = BatchTransport(self.conf.broker_consumer, self)
        self.producer_transport = BatchTransport(self.conf.broker_producer, self)

    # ------------------------------------------------------------------ declaring

    def topic_of_batches(self, *names: str) -> BatchTopic:
        """The channel of an agent: batches of all named topics, which must exist."""
        return BatchTopic(self, topics=list(names), value_serializer="raw", key_serializer="raw")

    def batch_table(
        self,
        name: str,
        changelog_topic: str,
        merge: Merge | None = None,
        check: Check | None = None,
    ) -> BatchTable:
        """A table of raw bytes on an existing compacted topic, partitioned as the sources.

        merge(held, read) -> kept joins records of one key while restoring; None: the last wins.
        check(key, value) raises when a record is not valid. A restore skips such records, and those
        at which merge raises, and reports them to on_unreadable.
        """
        changelog = self.topic(
            changelog_topic, key_type=bytes, value_type=bytes, internal=False, acks=False
        )
        table = BatchTable(
            self, name=name, merge=merge, check=check, changelog_topic=changelog, key_type=bytes,
            value_type=bytes, store="memory://", beacon=self.tables.beacon,
        )  # fmt: skip
        return cast(BatchTable, self.tables.add(table))

    # ------------------------------------------------------------------ using

    async def send_many(
        self,
        topic: str,
        partition: int,
        records: Iterable[Record],
        *,
        max_record_bytes: int | None = None,
    ) -> None:
        """Hand records to the producer as whole batches; the next commit waits for them.

        Waits while the group coordinator does not confirm our membership, and while Kafka is away.
        Raises RecordTooLarge, PartitionNotHeld (between assignments) and FenceLost before
        anything is sent. Call it from agents, hooks and tasks of this app's loop.
        """
        await self.block_if_failed()
        limit = self.max_record_bytes if max_record_bytes is None else max_record_bytes
        prepared = await self.batch_producer.prepare(topic, records, limit)
        await self.batch_producer.send_batches(topic, partition, prepared)

    async def send_acknowledged(
        self, topic: str, partition: int, records: Iterable[Record]
    ) -> None:
        """send_many(), and wait until the broker has the records.

        For records that must exist before others are sent. A failure stops the app as well.
        """
        await self.block_if_failed()
        prepared = await self.batch_producer.prepare(topic, records, self.max_record_bytes)
        shipped = await self.batch_producer.send_batches(topic, partition, prepared)
        await asyncio.gather(*(future for future, _ in shipped))

    @property
    def generation(self) -> int:
        """Generation of the consumer group this worker is a member of."""
        return int(self.consumer_generation_id)

    async def flush(self) -> None:
        """Wait until everything sent so far is acknowledged by the broker."""
        await self.batch_producer.flush()

    def lag(self, topic: str, partition: int) -> int | None:
        """Offsets of a source partition not done yet; None before its first fetch."""
        return self.batch_consumer.lag(TP(topic, partition))

    def waiting_since(self, topic: str, partition: int) -> float | None:
        """Epoch seconds of the oldest record of a source partition that is not done; None: no
        record waits, or none is known. Call it about once a second."""
        return self.batch_consumer.waiting_since(TP(topic, partition))

    def loss_of_topics(self, names: list[str]) -> Exception:
        """The failure when topics are not among those of the cluster: hidden, else deleted."""
        hidden = set(names) & (self.batch_consumer.hidden() | self.batch_producer.hidden())
        return topics_hidden(sorted(hidden), self.denials.user) or topics_deleted(names)

    def lag_as_of(self, topic: str, partition: int) -> float:
        """Epoch seconds at which the leader of an open source partition last answered a fetch; of
        the start of this assignment if it has not."""
        return self.batch_consumer.lag_as_of(TP(topic, partition))

    @property
    def clock_skew_s(self) -> float:
        """Seconds by which the newest timestamps read are ahead of the clock of this machine."""
        return self.batch_consumer.clock_skew.value()

    @property
    def unacknowledged(self) -> int:
        """Records produced that the broker has not acknowledged yet."""
        return self.batch_producer.unacknowledged

    @property
    def ready_partitions(self) -> frozenset[int]:
        """Partitions that are restored and whose batches are handed out or soon will be."""
        return frozenset(self._ready)

    @property
    def assigned_partitions(self) -> frozenset[int]:
        """Partitions of the current assignment, restored or not, without standbys."""
        return frozenset(self._partitions)

    @property
    def standby_partitions(self) -> frozenset[int]:
        """Partitions of other workers whose tables this worker keeps a copy of."""
        return frozenset(self._standbys)

    @property
    def restoring(self) -> list[RestoreProgress]:
        """Progress of the restore, one entry per changelog partition."""
        return self.recovery.progress()

    def table_lags(self) -> dict[int, int]:
        """For the assignor: offsets of all changelogs that the tables of each partition lack, or
        UNKNOWN, as far as this worker has tables of it."""
        lags = dict.fromkeys(self.stores.kept(), UNKNOWN)
        if self._partitions or self._standbys:
            lags |= self.recovery.table_lags()
        return lags

    @property
    def warming(self) -> frozenset[int]:
        """Standbys that are to become partitions of this worker when they have caught up."""
        return cast(BatchAssignor, self.assignor).warming & self._standbys

    @property
    def standby_lags(self) -> dict[int, int | None]:
        """Offsets of all changelogs that each standby has not read; None: not known yet."""
        return self.recovery.standby_lags()

    @property
    def recovery(self) -> BatchRecovery:
        """Faust's recovery service, by its own type."""
        return cast(BatchRecovery, cast(BatchTableManager, self.tables).recovery)

    @property
    def batch_producer(self) -> BatchProducer:
        """The producer, by its own type."""
        return cast(BatchProducer, self.producer)

    @property
    def batch_consumer(self) -> BatchConsumer:
        """The consumer, by its own type."""
        return cast(BatchConsumer, self.consumer)

    def coordinator_silent(self) -> bool:
        """Whether the group coordinator has accepted nothing for half a session timeout."""
        return self.fence.age_s > self.fence.session_timeout_s / 2

    def trouble(self) -> str | None:
        """The current trouble with Kafka, in words; None: there is none."""
        if denied := self.denials.current():
            return denied
        refused = self.batch_producer.refusal() or self.batch_consumer.refusal()
        if self.coordinator_silent():
            silent = f"last heartbeat {self.fence.age_s:.1f} s ago"
            return refused or f"waiting for the group coordinator, {silent}"
        late = self.batch_producer.oldest_unacknowledged()
        if late is not None and late.age_s > REQUEST_TIMEOUT_MS / 1000:
            return refused or f"{late} not acknowledged for {late.age_s:.1f} s"
        return None

    # ------------------------------------------------------------------ failing

    def fail(self, error: BaseException, cause: BaseException | None = None) -> None:
        """Stop the process without committing; the first failure counts and is logged."""
        if self.failure is not None:
            return
        error, cause = denied_right(error, user=self.denials.user) or error, cause or error
        self.failure = error
        if cause is not error:
            error.__cause__ = error.__cause__ or cause
        own = isinstance(error, BatchingError | AccessRefused)
        log.critical("Stopping, nothing is committed: %s", shown(error),
                     exc_info=None if own else error)  # fmt: skip
        # From here on Faust and aiokafka log only consequences, several tracebacks each.
        logging.disable(logging.ERROR)
        self.batch_producer.allow_produce(False)
        self.fence.lose(f"the worker is stopping: {shown(error)}")
        self.batch_producer.abandon(FenceLost("the worker is stopping"))
        self.failed.set()

    async def block_if_failed(self) -> None:
        """After a failure, wait until cancelled: agents must not continue."""
        if self.failure is not None:
            await asyncio.Event().wait()

    # ------------------------------------------------------------------ assignments

    def begin_assignment(self, assigned: set[TP]) -> None:
        """Called by the consumer with every new assignment."""
        # Not by topics: an assignment may lack one that was deleted.
        standbys = {tp.partition for tp in assigned & self.assignor.assigned_standbys()}
        partitions = {tp.partition for tp in assigned} - standbys
        topics = {tp.topic for tp in assigned}
        if partitions and (left_out := self.batch_consumer.left_out(topics)):
            self.fail(self.loss_of_topics(left_out))
        held = partitions | standbys
        lost = (self._partitions - partitions) | (self._standbys - held)
        self._partitions, self._standbys = partitions, standbys
        self._informed -= lost
        try:
            for table in self._tables():
                table.begin(partitions, standbys)
        except StateFolderError as error:
            self.fail(error)
        for partition in sorted(lost):
            if self.on_partition_lost is not None:
                self.on_partition_lost(partition)
            if partition not in held:
                self.stores.close(partition)
        self.batch_producer.allow_produce(self.failure is None)

    def close_partitions(self) -> None:
        """Called by the consumer when an assignment ends: nothing more may be written."""
        self._ready.clear()
        for table in self._tables():
            table.close()
        self.batch_producer.allow_produce(False)
        self.fence.release()

    async def open_partitions(self) -> None:
        """Called by the recovery when all tables are restored."""
        self._opening = asyncio.ensure_future(self._open_all())
        try:
            await self._opening
        except asyncio.CancelledError:
            task = asyncio.current_task()
            if task is not None and task.cancelling():
                self._opening.cancel()
                raise
            raise RebalanceAgain from None
        except Exception as error:
            self.fail(error)
            raise RebalanceAgain from error

    async def _open_all(self) -> None:
        tables = self._tables()
        for partition in sorted(self._partitions):
            changed = [table.open(partition) for table in tables]
            if any(changed) or partition not in self._informed:
                if self.on_partition_ready is not None:
                    await self.on_partition_ready(partition)
                for table in tables:
                    table.settled(partition)
                self.stores.folded(partition)
                self._informed.add(partition)
            self._ready.add(partition)

    async def cancel_opening(self) -> None:
        """Called by the consumer: on_partition_ready must end, its partition may be lost."""
        if self._opening is not None and not self._opening.done():
            self._opening.cancel()
            await asyncio.wait([self._opening])

    async def run_before_commit(self) -> None:
        """Called by the consumer."""
        if self.before_commit is not None:
            await self.before_commit()

    async def run_after_commit(self) -> None:
        """Called by the consumer: all batches done before `before_commit` began are committed, and
        all that `before_commit` froze is acknowledged."""
        if self.after_commit is not None:
            self.after_commit()
        await self.write_frozen()

    async def write_frozen(self) -> None:
        """Write what tables on disk have frozen."""
        frozen = [
            (table, partition)
            for table in self._tables()
            for partition in table.frozen_partitions()
        ]
        if frozen:
            began = time.perf_counter()
            await asyncio.to_thread(_write, frozen)
            self.observer.wrote_states(time.perf_counter() - began)
            rows: Counter[int] = Counter()
            for table, partition in frozen:
                rows[partition] += table.written(partition)
            self.stores.written(rows)

    async def fold_restored(self, partition: int) -> None:
        """Called by the consumer after records were read into a table."""
        changes = [table.restored_changes(partition) for table in self._tables()]
        standby = partition in self._standbys
        chunk = max(RESTORE_CHUNK, RESTORE_UNWRITTEN // max(1, len(self._partitions)))
        enough = max(changes) >= (STANDBY_CHUNK if standby else chunk)
        # A standby must not begin to derive all again when it takes over.
        if self.on_restored_chunk is None or not (
            enough or (standby and self.stores.is_refolding(partition))
        ):
            return
        if await self.on_restored_chunk(partition):
            self.stores.folded(partition)
            self.stores.written({partition: sum(changes)})

    @property
    def changelogs(self) -> dict[str, str]:
        """Names of the changelogs, by table."""
        return {table.name: table.changelog_name for table in self._tables()}

    def _tables(self) -> list[BatchTable]:
        return [table for table in self.tables.values() if isinstance(table, BatchTable)]

    def check_topics(self, counts: Mapping[str, int]) -> bool:
        """Called by the consumer before it subscribes, with the partitions of each topic.

        False, and the app fails, unless all exist with the same number.
        """
        if missing := sorted(name for name, count in counts.items() if not count):
            self.fail(
                BatchingError(f"topics do not exist: {', '.join(missing)}; create them first")
            )
        elif len(set(counts.values())) > 1:
            self.fail(BatchingError(f"topics must have the same number of partitions: {counts}"))
        return self.failure is None

    # ------------------------------------------------------------------ Faust

    async def on_first_start(self) -> None:
        """Refuse installed versions that lack a private name this package uses."""
        assert_private_api()
        if self._state is not None:
            self.stores = DiskStores(self._state, self.conf.id, self.changelogs)
        await super().on_first_start()

    def _create_directories(self) -> None:
        """Do nothing: no data is on disk (faust/app/base.py:1972)."""


def _write(frozen: Iterable[tuple[BatchTable, int]]) -> None:
    for table, partition in frozen:
        table.write(partition)


def _settings(
    access: Access, commit_interval_s: float, session_timeout_s: float, rebalance_timeout_s: float
) -> dict[str, Any]:
    """Faust settings; the reasons are in docs/design.md, embedded servers."""
    return {
        "broker": ";".join(f"kafka://{address.strip()}" for address in access.brokers.split(",")),
        "broker_credentials": access.for_faust,
        "store": "memory://",
        "PartitionAssignor": BatchAssignor,
        "Stream": BatchStream,
        "TableManager": BatchTableManager,
        "processing_guarantee": "at_least_once",
        "broker_session_timeout": session_timeout_s,
        "broker_heartbeat_interval": min(1.0, session_timeout_s / 4),
        "broker_rebalance_timeout": rebalance_timeout_s,
        "broker_request_timeout": PATIENCE_S,  # thread.py gives each request its own
        "broker_max_poll_interval": PATIENCE_S,
        "broker_max_poll_records": MAX_POLL_RECORDS,
        "broker_commit_interval": commit_interval_s,
        "consumer_auto_offset_reset": "earliest",
        "consumer_max_fetch_size": MAX_FETCH_BYTES,
        "cython_optimizations": True,
        "producer_acks": -1,
        "producer_linger": 0,
        "producer_max_batch_size": MAX_BATCH_BYTES,
        "producer_max_request_size": MAX_REQUEST_BYTES,
        "producer_request_timeout": REQUEST_TIMEOUT_MS / 1000,
        "recovery_consistency_check": False,
        "stream_wait_empty": False,
        "topic_allow_declare": False,
        "topic_disable_leader": True,
        "web_enabled": False,
        "web_bind": "127.0.0.1",
    }
