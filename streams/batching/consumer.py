"""The consumer of batches: hands out whole batches, commits only what is done and acknowledged.

It closes four gaps of Faust's consumer, which loses records fetched between resume and seek,
commits an event whose agent raised, blocks commits at skipped events, and starves commits while
agents produce.

Life of an assignment:  closed -> (restore) -> perform_seek -> open -> quiesce -> closed
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections import defaultdict, deque
from collections.abc import Iterable
from functools import partial
from typing import TYPE_CHECKING, Any, cast

from faust.transport.consumer import ensure_TP
from faust.transport.drivers import aiokafka as driver
from faust.types import TP, ConsumerMessage
from mode import Service

from streams.batching.batch import Batch, Fetched, FetchedMap
from streams.batching.errors import QuiesceTimeout
from streams.batching.thread import BatchConsumerThread
from streams.batching.watchdog import Watchdog
from streams.kafka.measures import OldestWaiting, RecentMaximum, ahead_s

if TYPE_CHECKING:
    from streams.batching.app import BatchApp

FETCH_TIMEOUT_S = 0.1
QUIESCE_POLL_S = 0.25
OPEN_BATCHES = 2
"""A partition is fetched while fewer of its batches are unfinished."""
STANDBY_RECORDS = 2_000
"""Records of standbys that are read at once."""
STANDBY_POLL_S = 0.05
OFFER_LAG = 1_000
"""A standby that lacks at most so many offsets has caught up; well below assignment.NEAR, since it
may lack more when the group plans."""
OFFER_S = 30.0
"""Most often that a worker makes the group plan again: each time all workers pause."""
STANDBY_REST = 2.0
"""While batches are in work, reading standbys rests so many times as long as it took."""


log = logging.getLogger(__name__)


class BatchConsumer(driver.Consumer):
    """Built by BatchTransport."""

    _thread: BatchConsumerThread

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self._out: defaultdict[TP, deque[Batch]] = defaultdict(deque)
        self._done_up_to: dict[TP, int] = {}
        self._heads: dict[TP, tuple[int, int]] = {}
        """Offset handed out up to, and high watermark, by the latest fetch."""
        self._answered_ms: dict[TP, int] = {}
        """Epoch ms of the latest fetch response."""
        self._began_at = 0.0
        """Epoch seconds since when partitions are read from their committed offsets."""
        self._done_at: dict[TP, int] = {}
        """Timestamp of the last record that is done."""
        self._waiting = OldestWaiting()
        self.clock_skew = RecentMaximum()
        self._quiescing = asyncio.Lock()
        self._epoch = 0
        self._assignments = 0
        """Assignments begun and ended: what was fetched before is not to be used."""
        self._next_offer = 0.0
        """Not before this time (monotonic) is the group made to plan again."""
        self._open = False
        self._fetching = asyncio.Lock()
        self._moved = asyncio.Event()
        self._subscribed: set[str] = set()
        super().__init__(*args, **kwargs)
        self._watchdog = Watchdog(self._batch_app)

    @property
    def _batch_app(self) -> BatchApp:
        return cast("BatchApp", self.app)

    def _new_consumer_thread(self) -> BatchConsumerThread:
        return BatchConsumerThread(self, loop=self.loop, beacon=self.beacon)

    async def verify_all_partitions_active(self) -> None:
        """As Faust's, but not before the thread has connected: Faust begins 2.5 commit intervals
        after the start, and would end a worker whose Kafka is slower."""
        if self._thread._consumer is not None:
            await super().verify_all_partitions_active()

    # ------------------------------------------------------------------ reading

    async def _drain_messages(self, fetcher: Any) -> None:
        # The body of Faust's fetcher service (faust/transport/consumer.py:173).
        try:
            while not (self._stopped.is_set() or fetcher._stopped.is_set()):
                epoch, fetched = await self._fetch()
                for tp in [tp for tp in fetched if self._is_changelog_tp(tp)]:
                    self._batch_app.recovery.restore(tp, fetched.pop(tp))
                    await self._batch_app.fold_restored(tp.partition)
                    await asyncio.sleep(0)
                await self._hand_out(fetched, epoch)
        except self.consumer_stopped_errors:
            if not self.app.should_stop:
                raise
        except asyncio.CancelledError:
            if not self.app.should_stop:
                raise

    async def _fetch(self) -> tuple[int, FetchedMap]:
        if not self.flow_active or self._between_seek_and_resume() or self._batch_app.failure:
            await asyncio.sleep(0.01)
            return self._epoch, {}
        wanted = self._wanted()
        if not wanted:
            self._moved.clear()
            await self._wait_for_move(0.05)
            return self._epoch, {}
        async with self._fetching:
            epoch = self._epoch
            return epoch, cast(FetchedMap, await self._getmany(wanted, FETCH_TIMEOUT_S))

    def _between_seek_and_resume(self) -> bool:
        # After the seek flow_control.resume() still empties all queues (recovery.py:655-659,
        # mode/utils/queues.py:97); on_rebalance_end() comes right after.
        return self._open and self.app.rebalancing

    def _wanted(self) -> set[TP]:
        standbys = self._batch_app.recovery.standby_tps
        return {
            tp
            for tp in self._get_active_partitions()
            if tp not in standbys and len(self._out.get(tp, ())) < OPEN_BATCHES
        }

    # ------------------------------------------------------------------ standbys

    @Service.task
    async def _follow_standbys(self) -> None:
        """Read the changelogs of standbys, beside the sources, which come first."""
        while not (self.should_stop or self._batch_app.failure):
            began = time.monotonic()
            try:
                read = await self._read_standbys()
                await self._offer_to_take_over()
            except self.consumer_stopped_errors:
                return
            except Exception as error:  # noqa: BLE001 - becomes the app's failure
                self._batch_app.fail(error)
                return
            rest_s = (time.monotonic() - began) * (STANDBY_REST if any(self._out.values()) else 0)
            await asyncio.sleep(rest_s if read else STANDBY_POLL_S)

    async def _read_standbys(self) -> bool:
        """Whether records were read. Restores of our own partitions come first."""
        app, recovery = self._batch_app, self._batch_app.recovery
        # Faust resumes them when it has found where to read on (recovery.py:535).
        wanted = recovery.standby_tps & self._get_active_partitions()
        if not (wanted and self._follows(self._assignments)):
            return False
        assignment = self._assignments
        fetched = await self._thread.fetch_some(wanted, STANDBY_RECORDS)
        for tp, part in fetched.items():
            if not self._follows(assignment):
                return False
            recovery.follow(tp, part)
            await app.fold_restored(tp.partition)
            await asyncio.sleep(0)
        return any(part.records for part in fetched.values())

    async def _offer_to_take_over(self) -> None:
        """Join again when standbys have caught up that are to become ours."""
        app, lags = self._batch_app, self._batch_app.standby_lags
        lacking = [lags.get(partition) for partition in app.warming]
        if not lacking or any(lag is None or lag > OFFER_LAG for lag in lacking):
            return
        now = time.monotonic()
        if self._follows(self._assignments) and now >= self._next_offer:
            self._next_offer = now + OFFER_S
            log.info("Standbys %s have caught up: joining again", sorted(app.warming))
            await self._thread.join_again()

    def _follows(self, assignment: int) -> bool:
        """Whether standbys of an assignment may still be read."""
        app = self._batch_app
        return (
            assignment == self._assignments
            and self.flow_active
            and app.assigned_partitions <= app.ready_partitions
            and not (app.stopping or app.failure)
        )

    async def _wait_for_move(self, timeout_s: float) -> None:
        try:
            await asyncio.wait_for(self._moved.wait(), timeout_s)
        except TimeoutError:
            return

    def _note_heads(self, fetched: FetchedMap) -> None:
        for tp, part in fetched.items():
            if part.position is not None and part.highwater is not None and not part.is_beyond_end:
                start = part.records[0].offset if part.records else part.position
                self._heads[tp] = (start, part.highwater)
                if part.answered_ms is not None:
                    self._answered_ms[tp] = part.answered_ms

    def lag(self, tp: TP) -> int | None:
        """Offsets between what is done and the latest known high watermark; None: not known yet."""
        head = self._heads.get(tp)
        if head is None:
            return None
        handed_out, highwater = head
        unfinished = self._out.get(tp)
        done = unfinished[0].records[0].offset if unfinished else handed_out
        return max(0, highwater - done)

    def waiting_since(self, tp: TP) -> float | None:
        """See BatchApp.waiting_since."""
        lag = self.lag(tp)
        if lag is None:
            return None
        unfinished = self._out.get(tp)
        first = unfinished[0].records[0] if unfinished else None
        offset, timestamp = (first.offset, first.timestamp) if first else (self._heads[tp][0], None)
        return self._waiting.look(tp, lag, offset, timestamp, self._done_at.get(tp, -1))

    def lag_as_of(self, tp: TP) -> float:
        """See BatchApp.lag_as_of."""
        answered_ms = self._answered_ms.get(tp)
        return self._began_at if answered_ms is None else answered_ms / 1000

    async def _hand_out(self, fetched: FetchedMap, epoch: int) -> None:
        size = self._batch_app.batch_size
        if epoch == self._epoch:
            self._note_heads(fetched)
        longest = max((len(part.records) for part in fetched.values()), default=0)
        if self._may_hand_out(epoch):
            for tp, part in fetched.items():
                if not part.records and part.position is not None and not part.is_beyond_end:
                    self._pass_gap(tp, part.position)
        for start in range(0, longest, size):  # the partitions in turn
            for tp, part in fetched.items():
                if not self._may_hand_out(epoch):
                    return  # fetched before a seek: these offsets are read again after it
                if start < len(part.records):
                    await self._hand_out_one(self._batch(tp, part, start), part)

    def _may_hand_out(self, epoch: int) -> bool:
        return epoch == self._epoch and self._open and self.flow_active

    def _batch(self, tp: TP, part: Fetched, start: int) -> Batch:
        records = part.records[start : start + self._batch_app.batch_size]
        end = start + len(records)
        if end < len(part.records):
            at_head, following = False, part.records[end].offset
        else:
            at_head, following = part.at_head, max(part.position or 0, records[-1].offset + 1)
        return Batch(tp, records, at_head, following, partial(self._on_done, tp))

    async def _hand_out_one(self, batch: Batch, part: Fetched) -> None:
        tp = batch.tp
        self._out[tp].append(batch)
        self.clock_skew.note(ahead_s(batch.records[-1].timestamp))
        if part.highwater is not None:
            self._heads[tp] = (batch.next_offset, part.highwater)
        await self.wait_first(self.callback(self._message(batch)), self.suspend_flow.wait())
        self._read_offset[tp] = batch.next_offset

    def _pass_gap(self, tp: TP, position: int) -> None:
        """Offsets without a record to hand out (control records, aborted transactions) are done
        when the batches before them are; else lag would never reach 0."""
        if batches := self._out.get(tp):
            batches[-1].next_offset = max(batches[-1].next_offset, position)
        elif position > max(self._committed_offset[tp] or 0, self._done_up_to.get(tp, 0)):
            self._done_up_to[tp] = position

    def _on_done(self, tp: TP) -> None:
        batches = self._out[tp]
        while batches and batches[0].finished:
            done = batches.popleft()
            self._done_up_to[tp], self._done_at[tp] = done.next_offset, done.records[-1].timestamp
        self._moved.set()

    def _message(self, batch: Batch) -> ConsumerMessage:
        last = batch.records[-1]
        return ConsumerMessage(
            batch.tp.topic, batch.tp.partition, last.offset, last.timestamp / 1000,
            last.timestamp_type, None, None, cast(Any, batch), None, 0, 0, batch.tp,
            generation_id=self.app.consumer_generation_id,
        )  # fmt: skip

    async def perform_seek(self) -> None:
        """Seek to the committed offsets; from here on batches may be handed out.

        Not while a fetch is under way: its records belong to the position before the seek.
        """
        async with self._fetching:
            self._advance_epoch()
            await super().perform_seek()
            assigned = {ensure_TP(tp) for tp in self.assignment()}
            sources = {tp for tp in assigned if not self._is_changelog_tp(tp)}
            uncommitted = {tp for tp in sources if not self._committed_offset[tp]}
            if uncommitted:
                await self._thread.start_over(uncommitted)
            self._open = True

    def _advance_epoch(self) -> None:
        self._epoch += 1
        for batches in self._out.values():
            for batch in batches:
                batch.invalidate()
        self._out.clear()
        self._done_up_to.clear()
        self._heads.clear()
        self._answered_ms.clear()
        self._began_at = time.time()
        self._done_at.clear()
        self._waiting.forget()
        self._watchdog.forget()

    # ------------------------------------------------------------------ rebalancing

    async def subscribe(self, topics: Iterable[str]) -> None:
        """Join the group if all topics are valid (aiokafka would wait for ever otherwise)."""
        wanted = set(topics)
        app = self._batch_app
        if app.check_topics(await self._thread.partition_counts(wanted)):
            app.stores.know_topics(await self._thread.topic_ids(app.changelogs.values()))
            await super().subscribe(wanted)
            self._subscribed.update(wanted)

    async def on_partitions_revoked(self, revoked: set[TP]) -> None:
        """Finish, flush and commit before the rebalance goes on; then Faust's own part.

        Other workers get our partitions only after this returns (eager rebalancing), or after the
        rebalance timeout; quiesce() stays well below it.
        """
        if not self.app.should_stop:
            await self.quiesce(self._batch_app.quiesce_timeout_s, patient=True)
        await super().on_partitions_revoked(revoked)

    async def on_partitions_assigned(self, assigned: set[TP], generation_id: int = 0) -> None:
        """Drop what was lost, keep what stays, then Faust's own part and the restore."""
        if self._batch_app.stopping:
            return
        self._assignments += 1
        self._batch_app.begin_assignment({ensure_TP(tp) for tp in assigned})
        await super().on_partitions_assigned(assigned, generation_id)

    async def quiesce(self, timeout_s: float, *, patient: bool = False) -> None:
        """Hand out no batches, wait for those that agents have, commit, stop producing.

        Any failure, QuiesceTimeout included, stops the app. patient: time in which the group
        coordinator is silent does not count, since it cannot reassign our partitions meanwhile.
        """
        app = self._batch_app
        async with self._quiescing:
            was_open, self._open = self._open, False
            self._epoch += 1
            self._assignments += 1
            try:
                await self._finish_within(timeout_s, was_open, patient)
            except TimeoutError:
                app.fail(QuiesceTimeout(self._unfinished_work(timeout_s)))
            except Exception as error:  # noqa: BLE001 - becomes the app's failure
                app.fail(error)
            app.close_partitions()
            self._advance_epoch()

    def _unfinished_work(self, timeout_s: float) -> str:
        unfinished = (
            self._unfinished()
            or self._batch_app.batch_producer.oldest_unacknowledged()
            or "a commit"
        )
        trouble = self._batch_app.trouble()
        why = f" (Kafka: {trouble})" if trouble else ""
        return f"after {timeout_s:g} s not done or not acknowledged: {unfinished}{why}"

    async def _finish_within(self, left_s: float, was_open: bool, patient: bool) -> None:
        finishing = asyncio.ensure_future(self._finish(was_open))
        try:
            while not finishing.done():
                if left_s <= 0:
                    raise TimeoutError
                began = time.monotonic()
                await asyncio.wait([finishing], timeout=min(left_s, QUIESCE_POLL_S))
                if not (patient and self._batch_app.coordinator_silent()):
                    left_s -= time.monotonic() - began
            finishing.result()
        finally:
            finishing.cancel()
            await asyncio.wait([finishing])

    async def _finish(self, was_open: bool) -> None:
        app = self._batch_app
        await app.cancel_opening()
        for batch in (batch for batches in self._out.values() for batch in batches):
            if not batch.taken:
                batch.invalidate()
        while app.failure is None and self._unfinished():
            self._moved.clear()
            await self._wait_for_move(0.05)
        await self.maybe_wait_for_commit_to_finish()
        if was_open and app.failure is None:
            await self._commit_done(last=True)
        elif app.failure is None:
            app.batch_producer.allow_produce(False)
            await app.batch_producer.flush()

    def _unfinished(self) -> list[Batch]:
        return [
            batch
            for batches in self._out.values()
            for batch in batches
            if batch.taken and not batch.finished
        ]

    # ------------------------------------------------------------------ committing

    async def force_commit(self, topics: Any = None, start_new_transaction: bool = True) -> bool:
        """Faust's commit (interval, shutdown): only while partitions are open."""
        if not self._open or self.app.rebalancing or self._batch_app.failure is not None:
            return False
        try:
            return await self._commit_done(last=False)
        except Exception as error:  # noqa: BLE001 - becomes the app's failure
            self._batch_app.fail(error)
            return False

    async def _commit_done(self, last: bool) -> bool:
        """Commit what is done, after 1. before_commit, 2. all acknowledgements; then after_commit.

        The offsets are taken first: batches done later may not have produced everything yet. The
        last commit of an assignment closes the producer between 1 and 2.
        """
        app, epoch = self._batch_app, self._epoch
        offsets = dict(self._done_up_to)
        await app.run_before_commit()
        if last:
            app.batch_producer.allow_produce(False)
        await app.batch_producer.flush()
        if epoch != self._epoch or (offsets and not await self._commit(offsets)):
            return False
        self._committed_offset.update(offsets)
        if offsets:
            app.observer.committed()
        for tp, offset in offsets.items():
            if self._done_up_to.get(tp) == offset:
                del self._done_up_to[tp]
        await app.run_after_commit()
        return bool(offsets)

    async def on_stop(self) -> None:
        """Do nothing: the runner quiesces before it stops the app."""

    async def on_task_error(self, exc: BaseException) -> None:
        """An agent raised (stock commits here, faust/transport/consumer.py:1153)."""
        self._batch_app.fail(exc)

    def verify_event_path(self, now: float, tp: TP) -> None:
        """Do nothing: Faust's check counts single events and would warn."""

    # ------------------------------------------------------------------ watching

    @Service.task
    async def _watch_fence(self) -> None:
        await self._watchdog.run(self._subscribed)

    def refusal(self) -> str:
        """Why Kafka refused the latest connection; empty: it did not."""
        return self._thread.refusal()

    def positions(self) -> dict[TP, int]:
        """Offsets handed out up to, by partition, since the partitions were opened."""
        return {tp: start for tp, (start, _) in self._heads.items()}

    def coordination_error(self) -> Exception | None:
        """The error that ended aiokafka's heartbeats or group coordination; None: they run."""
        return self._thread.coordination_error()

    def left_out(self, assigned: set[str]) -> list[str]:
        """Subscribed topics that an assignment lacks.

        All topics have the same number of partitions, so an assignment has the same partitions of
        each. The assignor ignores a topic that did not exist at that moment, for good.
        """
        return sorted(self._subscribed - assigned)

    def unknown(self, topics: Iterable[str]) -> set[str]:
        """Topics that are missing in the newest metadata of the client."""
        return self._thread.unknown(topics)

    def hidden(self) -> set[str]:
        """Topics that this user may not see, by the newest metadata of the client."""
        return self._thread.hidden()
