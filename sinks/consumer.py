"""Whole batches from Kafka, and the offsets to commit after them.

A batch belongs to the assignment it was read under. When partitions are revoked, the current batch
is finished if that is quick, else abandoned. Offsets of an old assignment are never committed, so
no offset of a lost partition can be (its rows are written again, which changes nothing).
"""

import asyncio
import gc
import logging
import time
from collections import defaultdict
from collections.abc import Collection, Mapping
from typing import Any, Final, NamedTuple, cast

from aiokafka import ConsumerRebalanceListener, ConsumerRecord, TopicPartition
from aiokafka.errors import (
    CommitFailedError,
    GroupAuthorizationFailedError,
    IllegalStateError,
    KafkaError,
    TopicAuthorizationFailedError,
)

from models.metrics import Health, Meter
from models.settings import Settings, Topic
from sinks.outage import OutageLog
from sinks.rows import TOPICS
from streams.kafka import clients, liveness
from streams.kafka.errors import Kind, watch_commits
from streams.kafka.measures import OldestWaiting, RecentMaximum, ahead_s
from streams.kafka.positions import positions
from streams.kafka.refusals import Denials
from streams.kafka.security import Access

log = logging.getLogger(__name__)

#: How long a rebalance waits for the current batch. Heartbeats go on meanwhile.
REVOKE_GRACE_S: Final = 3.0
#: aiokafka heartbeats and rejoins by itself. A long outage of ClickHouse, without polls, must not
#: make it leave the group: partitions would move among sinks that all cannot write.
_NEVER_MS: Final = 2**31 - 1
_FETCH_BYTES: Final = 4 << 20
_IDLE_POLL_S: Final = 0.25
#: Pause while this user may not read; within the time for which a denial counts.
_DENIED_S: Final = 1.0
#: By then aiokafka has dropped what it had fetched for revoked partitions.
_DROPPED_S: Final = 1.0


_LAGS: Final = ("receipts_lag_records", "receipts_lag_seconds", "receipts_lag_age_seconds")


class Batch(NamedTuple):
    """Records by logical topic, the offsets to commit after them, and the assignment's number.

    There may be offsets without records: control records and aborted ones move the position too.
    """

    records: Mapping[Topic, list[ConsumerRecord]]
    offsets: Mapping[TopicPartition, int]
    assignment: int
    size: int


class SinkConsumer(ConsumerRebalanceListener):  # type: ignore[misc]  # aiokafka has no types
    """The sink's consumer. Only one task may collect; it calls `done` after each batch."""

    def __init__(self, settings: Settings, access: Access, meter: Meter, health: Health) -> None:
        self._settings = settings
        self._meter = meter
        self._health = health
        self._topics: dict[str, Topic] = {
            settings.topic(name): name for name in TOPICS if name in settings.topics
        }
        self._assignment = 0
        self._passed: dict[TopicPartition, int] = {}
        """Positions under this assignment that are committed."""
        self._first: dict[TopicPartition, tuple[int, int]] = {}
        """Offset and timestamp of the first record of each partition that is not worked off."""
        self._last: dict[TopicPartition, int] = {}
        self._done_at: dict[TopicPartition, int] = {}
        """Timestamps of the last record that was fetched, and of the last that was worked off."""
        self._waiting = OldestWaiting()
        self._clock_skew = RecentMaximum()
        self._measured: set[TopicPartition] = set()
        self._assigned_at = 0.0
        """Epoch seconds."""
        self._joined = False
        self._lost = ""
        self._denials = Denials(access.username)
        self._outage = OutageLog(log, "Kafka is unreachable, rows wait in it: %s", "Kafka is back")
        self._watching: asyncio.Task[None] | None = None
        self._failure: BaseException | None = None
        self._done = asyncio.Event()
        self._done.set()
        self.waiting = False
        """Set while ClickHouse is unavailable: a rebalance need not wait for the batch then."""
        self.consumer = clients.consumer(access, **_consumer_options(settings))
        self.consumer._client.report = self.count_error

    async def start(self) -> None:
        """Join the group. Raises KafkaConnectionError when no broker answers."""
        self._health.unready("kafka", "waiting for partitions")
        await self.consumer.start()
        failures = "receipts_commit_failures_total"
        watch_commits(self.consumer._coordinator, lambda: self._meter.add(failures))
        self.consumer.subscribe(topics=list(self._topics), listener=self)
        self._watching = asyncio.create_task(liveness.watch(self.consumer, self._on_liveness))
        self._watching.add_done_callback(self._watching_ended)

    async def stop(self) -> None:
        """Leave the group. Committed offsets stay."""
        if self._watching is not None:
            self._watching.cancel()
        try:
            if self._watching is not None:
                await asyncio.wait([self._watching])
        finally:
            await self.consumer.stop()

    def _watching_ended(self, watching: "asyncio.Task[None]") -> None:
        """Without it nothing reports that Kafka is unreachable: a failure of the sink."""
        if not watching.cancelled():
            self._failure = watching.exception()
            self._health.unready("kafka", f"the liveness check ended: {self._failure!r}")

    def _on_liveness(self, lost: str) -> None:
        """Called by `liveness.watch`. lost: what is unreachable; "": Kafka answers."""
        lost = lost or self._denials.current()
        if lost:
            # A commit may wait for Kafka now: the process is alive, although not ready.
            self._health.beat("batches")
            self._outage.lasts(lost)
        else:
            self._outage.ended()
        self._lost = lost
        self._report_health()

    def _report_health(self) -> None:
        if self._lost:
            self._health.unready("kafka", self._lost)
        elif self._joined:
            self._health.ready("kafka")

    async def collect(self, stop: asyncio.Event) -> Batch | None:
        """The next batch: as many records as an insert may have rows, or those of one wait.

        None when no position moved for a moment or `stop` is set. When partitions are revoked
        meanwhile it starts over (their new owner reads those records again). Raises what ended
        `liveness.watch`.
        """
        loop = asyncio.get_running_loop()
        most, wait_s = self._settings.sink_max_rows, self._settings.sink_max_wait_s
        assignment, left_s, ends_at = self._assignment, _IDLE_POLL_S, 0.0
        found: dict[TopicPartition, list[ConsumerRecord]] = defaultdict(list)
        size = 0
        while size < most and left_s > 0:
            if self._failure is not None:
                raise self._failure
            poll_ms = int(min(left_s, _IDLE_POLL_S) * 1000)
            more = await self._poll(poll_ms, most - size)
            if stop.is_set():
                return None
            if assignment != self._assignment:
                # What came before is read again. `more` may be of the new assignment already, whose
                # positions have moved past it, so it must be kept.
                assignment, size, ends_at = self._assignment, 0, 0.0
                found.clear()
            for tp, records in more.items():
                found[tp] += records
                size += len(records)
                self._note_fetched(tp, records)
            if not size:
                break
            ends_at = ends_at or loop.time() + wait_s
            left_s = ends_at - loop.time()
        offsets = self._offsets(found)
        return self._batch(found, offsets, assignment, size) if offsets else None

    async def _poll(self, poll_ms: int, most: int) -> Mapping[TopicPartition, list[ConsumerRecord]]:
        """Records; none while this user may not read them."""
        try:
            records = await self.consumer.getmany(timeout_ms=poll_ms, max_records=most)
            return cast(Mapping[TopicPartition, list[ConsumerRecord]], records)
        except (TopicAuthorizationFailedError, GroupAuthorizationFailedError) as error:
            self._denied(error)
            if isinstance(error, GroupAuthorizationFailedError):
                # aiokafka's heartbeat has ended, and only joining again starts another.
                self.consumer._coordinator.request_rejoin()
            await asyncio.sleep(_DENIED_S)
            return {}

    def _denied(self, error: KafkaError) -> None:
        self._denials.note(error, "READ")
        self._on_liveness(self._denials.current())

    def _note_fetched(self, tp: TopicPartition, records: list[ConsumerRecord]) -> None:
        first, last = records[0], records[-1]
        self._first.setdefault(tp, (first.offset, first.timestamp))
        self._last[tp] = last.timestamp
        self._clock_skew.note(ahead_s(last.timestamp))

    def _offsets(
        self, found: Mapping[TopicPartition, list[ConsumerRecord]]
    ) -> dict[TopicPartition, int]:
        """Offsets to commit after the records: positions that moved since the last commit.

        A partition whose position was reset after its records were fetched has none for a moment.
        """
        offsets = {tp: batch[-1].offset + 1 for tp, batch in found.items()}
        moved = {
            tp: position
            for tp, position in positions(self.consumer).items()
            if tp in found or self._passed.get(tp) != position
        }
        return offsets | moved

    def _batch(
        self,
        found: Mapping[TopicPartition, list[ConsumerRecord]],
        offsets: Mapping[TopicPartition, int],
        assignment: int,
        size: int,
    ) -> Batch:
        records: dict[Topic, list[ConsumerRecord]] = defaultdict(list)
        for tp, batch in found.items():
            records[self._topics[tp.topic]] += batch
        self._done.clear()
        return Batch(records, offsets, assignment, size)

    async def commit(self, batch: Batch) -> bool:
        """Commit the batch's offsets. False when its assignment is over."""
        if batch.assignment != self._assignment:
            return False
        try:
            await self.consumer.commit(dict(batch.offsets))
        except (TopicAuthorizationFailedError, GroupAuthorizationFailedError) as error:
            self._denied(error)  # a later commit includes these offsets
            return False
        except (CommitFailedError, IllegalStateError) as error:
            log.info("offsets not committed, the group is rebalancing: %s", error)
            return False
        if batch.assignment == self._assignment:
            self._passed.update(batch.offsets)
        self._meter.add("receipts_commits_total")
        return True

    def done(self) -> None:
        """The current batch is committed or given up."""
        for tp in self._first:
            self._done_at[tp] = self._last[tp]
        self._first.clear()
        self._done.set()

    def measure(self) -> None:
        """Set the lags, from the high watermarks of the last fetches, and the skew of the clock.

        Call it about once a second. During a rebalance the lags stay as they are.
        """
        self._meter.set("receipts_clock_skew_seconds", self._clock_skew.value())
        if not self._joined:
            return
        found = positions(self.consumer)
        for tp in self.consumer.assignment():
            answered_ms = self.consumer.last_poll_timestamp(tp)
            as_of = self._assigned_at if answered_ms is None else answered_ms / 1000
            self._meter.set_age("receipts_lag_age_seconds", as_of, **self._labels(tp))
            self._measured.add(tp)
        for tp, position in found.items():
            end = self.consumer.highwater(tp)
            if end is None:
                continue
            offset, timestamp = self._first.get(tp, (position, None))
            lag, done_ms = max(end - offset, 0), self._done_at.get(tp, -1)
            since = self._waiting.look(tp, lag, offset, timestamp, done_ms)
            self._meter.set("receipts_lag_records", lag, **self._labels(tp))
            self._meter.set_age("receipts_lag_seconds", since, **self._labels(tp))

    def count_error(self, kind: Kind) -> None:
        """Count an error of the consumer."""
        self._meter.add("receipts_kafka_errors_total", client="consumer", kind=kind)

    def _labels(self, tp: TopicPartition) -> dict[str, str]:
        return {"topic": self._topics[tp.topic], "partition": str(tp.partition)}

    def _start_assignment(self) -> None:
        self._assignment += 1
        self._passed.clear()
        self._first.clear()
        self._done_at.clear()
        self._waiting.forget()

    def _forget_lags(self, assigned: Collection[TopicPartition]) -> None:
        """Remove the lags of partitions that another sink has now."""
        for tp in self._measured - set(assigned):
            self._measured.discard(tp)
            for gauge in _LAGS:
                self._meter.forget(gauge, **self._labels(tp))

    async def on_partitions_revoked(self, revoked: Collection[TopicPartition]) -> None:
        """Called by aiokafka before it rejoins: see REVOKE_GRACE_S."""
        if revoked and not self.waiting:
            try:
                await asyncio.wait_for(self._done.wait(), REVOKE_GRACE_S)
            except TimeoutError:
                log.info("a rebalance does not wait for the current batch; it is written again")
        self._start_assignment()
        self._meter.set("receipts_partitions", 0)

    async def on_partitions_assigned(self, assigned: Collection[TopicPartition]) -> None:
        """Called by aiokafka after each rebalance; a sink without partitions is ready too."""
        self._start_assignment()  # what came since the revocation is of the old one too
        self._forget_lags(assigned)
        self._assigned_at = time.time()
        self._meter.add("receipts_rebalances_total")
        self._meter.set("receipts_partitions", len(assigned))
        self._joined = True
        self._report_health()
        # aiokafka drops what it had fetched under the old assignment, up to 50 MB, a moment from
        # now; it stays in reference cycles, since its iterators refer to themselves.
        asyncio.get_running_loop().call_later(_DROPPED_S, gc.collect)


def _consumer_options(settings: Settings) -> dict[str, Any]:
    return cast(
        dict[str, Any],
        {
            "group_id": settings.sink_group,
            "client_id": settings.sink_group,
            "session_timeout_ms": settings.session_timeout_s * 1000,
            "heartbeat_interval_ms": 1000,
            "rebalance_timeout_ms": 30_000,
            "max_poll_interval_ms": _NEVER_MS,
            "max_partition_fetch_bytes": _FETCH_BYTES,
            "fetch_max_wait_ms": 100,
            "metadata_max_age_ms": 30_000,
        },
    )
