"""The sink process: collect, write, dead-letter, commit, in this order.

1. a batch is collected from Kafka
2. its rows are written to ClickHouse, with retries for as long as that takes
3. records that cannot be stored go to `dead-letters`, acknowledged by all replicas
4. its offsets are committed

A crash after any step repeats the batch, and the same rows written twice change nothing.
"""

import asyncio
import contextlib
import gc
import logging
import time
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Final

from aiokafka.errors import KafkaError

from models.dead_letters import MAX_LETTER_BYTES, letter_of
from models.masking import mask_values
from models.metrics import Health, Meter
from models.refusal import Reason, Refusal
from models.settings import Settings
from sinks.call_thread import CallThread
from sinks.client import ClickHouse, connect
from sinks.consumer import Batch, SinkConsumer
from sinks.dead_letters import Record
from sinks.errors import Unavailable
from sinks.load import ClickHouseLoad
from sinks.mapped_batch import MappedBatch, TableRows
from sinks.migrate import migrate, require
from sinks.outage import OutageLog
from sinks.retry import retry_until_stopped
from sinks.rows import map_records
from sinks.writer import BadRow, Writer
from streams.kafka import clients
from streams.kafka.errors import Kind, kind_of
from streams.kafka.refusals import denied_right
from streams.kafka.security import kafka_access, watch_certificates

log = logging.getLogger(__name__)

#: From SIGTERM to the end, together below 10 s: the current insert may finish, then the consumer
#: leaves the group.
STOP_GRACE_S: Final = 4.0
LEAVE_GRACE_S: Final = 2.0

MEASURE_EVERY_S: Final = 1.0
LOAD_EVERY_S: Final = 15.0


async def run_sink(
    settings: Settings,
    meter: Meter,
    health: Health,
    stop: asyncio.Event,
    clock: Callable[[], float] = time.time,
    views: Sequence[str] = (),
) -> None:
    """Run the sink until `stop` is set; then it ends within 10 s, offsets committed.

    views: statements to run after the migrations (`sinks.migrate`).

    Waits for Kafka and ClickHouse at the start and through outages (`receipts sink` checks the
    topics first, and ends when Kafka does not answer then). Raises Broken when a person has to fix
    something, KafkaError when Kafka refuses (rights, configuration): end the process then. Offsets
    are committed only for what is in ClickHouse.
    """
    # A batch is tens of thousands of small objects: with the default thresholds the garbage
    # collector would scan them again and again (a third of the time to decode).
    gc.set_threshold(50_000, 20, 100)
    health.unready("clickhouse", "starting")
    health.unready("kafka", "starting")
    thread = CallThread("receipts-inserts")
    try:
        clickhouse = await _open(settings, health, stop, thread, views)
        if clickhouse is not None:
            try:
                await Sink(settings, meter, health, stop, clock, clickhouse, thread).run()
            finally:
                await _within(LEAVE_GRACE_S, thread.run(clickhouse.close))
    finally:
        thread.end()


async def _open(
    settings: Settings,
    health: Health,
    stop: asyncio.Event,
    thread: CallThread,
    views: Sequence[str],
) -> ClickHouse | None:
    """A client of a migrated database; None when `stop` was set before ClickHouse answered."""

    def prepare() -> ClickHouse:
        clickhouse = connect(settings.sink_url)
        if settings.migrate_on_start:
            migrate(clickhouse, settings.text_days, views=views, events_days=settings.events_days)
        else:
            require(clickhouse)
        return clickhouse

    outage = OutageLog(log, "waiting for ClickHouse: %s", "ClickHouse answers")

    def on_retry(error: BaseException) -> None:
        health.beat("batches")
        health.unready("clickhouse", f"cannot be reached: {error}")
        outage.lasts(error)

    opening = asyncio.create_task(
        retry_until_stopped(lambda: thread.run(prepare), Unavailable, stop, on_retry)
    )
    stopping = asyncio.create_task(stop.wait())
    try:
        await asyncio.wait({opening, stopping}, return_when=asyncio.FIRST_COMPLETED)
        if not opening.done() or (stop.is_set() and opening.exception()):
            opening.cancel()
            return None
        clickhouse = opening.result()
        outage.ended()
        health.ready("clickhouse")
        return clickhouse
    finally:
        stopping.cancel()


class Sink:
    """One sink at work. `run` may be called once."""

    def __init__(
        self,
        settings: Settings,
        meter: Meter,
        health: Health,
        stop: asyncio.Event,
        clock: Callable[[], float],
        clickhouse: ClickHouse,
        thread: CallThread,
    ) -> None:
        self._settings = settings
        self._meter = meter
        self._health = health
        self._stop = stop
        self._clock = clock
        self._thread = thread
        self._writer = Writer(clickhouse, meter, health)
        self._access = access = kafka_access(settings)
        self._consumer = SinkConsumer(settings, access, meter, health)
        self._load = ClickHouseLoad(clickhouse, meter)
        self._inserts = OutageLog(
            log,
            "ClickHouse does not accept rows, they stay in Kafka: %s",
            "ClickHouse accepts rows again",
        )
        self._letters = OutageLog(
            log,
            "Kafka does not accept dead letters, they are sent again: %s",
            "Kafka accepts dead letters again",
        )
        self._producer = clients.producer(
            access, client_id=settings.sink_group, max_request_size=MAX_LETTER_BYTES
        )
        self._producer.client.report = self._count_producer_error

    async def run(self) -> None:
        """Work until `stop` is set. Raises as `run_sink` does."""
        work = asyncio.create_task(self._work())
        stopping = asyncio.create_task(self._stop.wait())
        background = asyncio.create_task(self._background())
        try:
            ends: set[asyncio.Future[Any]] = {work, stopping, background}
            await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
            if background.done():  # only a failure ends it
                background.result()
            await asyncio.wait({work}, timeout=STOP_GRACE_S)
        finally:
            self._writer.stopped.set()
            stopping.cancel()
            background.cancel()
            await self._shutdown(work)

    async def _shutdown(self, work: "asyncio.Task[None]") -> None:
        gave_up = work.cancel()
        await _within(LEAVE_GRACE_S, self._consumer.stop(), self._producer.stop())
        if gave_up:
            log.warning("stopped with a batch not written; it is read again at the next start")
        else:
            work.result()

    async def _work(self) -> None:
        await self._join()
        while not self._stop.is_set():
            self._health.beat("batches")
            batch = await self._consumer.collect(self._stop)
            if batch is not None:
                await self._process(batch)

    async def _background(self) -> None:
        await asyncio.gather(
            self._measure_consumer(), self._measure_load(), watch_certificates(self._access)
        )

    async def _measure_consumer(self) -> None:
        while True:
            self._consumer.measure()
            await asyncio.sleep(MEASURE_EVERY_S)

    async def _measure_load(self) -> None:
        while True:
            await self._thread.run(self._load.report)
            await asyncio.sleep(LOAD_EVERY_S)

    def _count_producer_error(self, kind: Kind) -> None:
        self._meter.add("receipts_kafka_errors_total", client="producer", kind=kind)

    async def _join(self) -> None:
        outage = OutageLog(log, "waiting for Kafka: %s", "Kafka answers")

        def on_retry(error: BaseException) -> None:
            self._health.beat("batches")
            self._health.unready("kafka", f"cannot be reached: {error}")
            self._consumer.count_error(kind_of(error))
            outage.lasts(error)

        try:
            await retry_until_stopped(self._producer.start, clients.may_pass, self._stop, on_retry)
            await retry_until_stopped(self._consumer.start, clients.may_pass, self._stop, on_retry)
        except (KafkaError, TimeoutError) as error:
            if not (self._stop.is_set() and clients.may_pass(error)):
                raise
            log.info("stopped before Kafka answered")
        else:
            outage.ended()

    async def _process(self, batch: Batch) -> None:
        began = time.monotonic()
        try:
            if await self._deliver(batch) and await self._consumer.commit(batch):
                self._record_metrics(batch, time.monotonic() - began)
        finally:
            self._consumer.done()

    async def _deliver(self, batch: Batch) -> bool:
        """Rows into ClickHouse, refused records into dead-letters. False when stopped before."""
        limit = self._settings.max_event_bytes
        mapped = await self._thread.run(lambda: map_records(batch.records, limit))
        bad: list[BadRow] = []
        try:
            self._meter.set_age("receipts_sink_waiting_seconds", self._clock())
            for rows in mapped.tables.values():
                bad += await self._write(rows)
            self._meter.set_age("receipts_sink_waiting_seconds", None)
            await self._send_letters(_refusals(mapped, bad))
        except (Unavailable, KafkaError, TimeoutError) as error:
            passing = isinstance(error, Unavailable) or clients.may_pass(error)
            if not (self._stop.is_set() and passing):
                raise
            log.info("stopped with a batch not written: %s", error)
            return False
        self._count(mapped)
        return True

    async def _write(self, rows: TableRows) -> list[BadRow]:
        def on_retry(error: BaseException) -> None:
            self._health.beat("batches")
            self._health.unready("clickhouse", f"does not accept rows: {error}")
            self._consumer.waiting = True
            self._inserts.lasts(error)

        write = self._writer.write
        bad = await retry_until_stopped(
            lambda: self._thread.run(lambda: write(rows)), Unavailable, self._stop, on_retry
        )
        self._consumer.waiting = False
        self._inserts.ended()
        self._health.ready("clickhouse")
        return bad

    async def _send_letters(self, refused: list[tuple[Record, Refusal]]) -> None:
        """Produce dead letters, retried through outages; the same one twice is harmless."""

        def on_retry(error: BaseException) -> None:
            self._health.beat("batches")
            denied = denied_right(error, "WRITE", self._access.username)
            if denied is not None:
                self._health.unready("kafka", str(denied))
            self._letters.lasts(denied or repr(error))

        if not refused:
            return
        self._meter.set("receipts_unacknowledged_records", len(refused))
        await retry_until_stopped(
            lambda: self._produce_letters(refused), clients.may_change, self._stop, on_retry
        )
        self._meter.set("receipts_unacknowledged_records", 0)
        self._letters.ended()
        for record, refusal in refused:
            name = record.topic.removeprefix(self._settings.topic_prefix)
            reason = refusal.reason.value
            self._meter.add("receipts_dead_letters_total", topic=name, reason=reason)
        log.warning(
            "%d dead letters, such as: %s: %s", len(refused), name, mask_values(refusal.detail)
        )

    async def _produce_letters(self, refused: list[tuple[Record, Refusal]]) -> None:
        """To the partition of the record, modulo the partitions of dead-letters."""
        topic = self._settings.topic("dead-letters")
        partitions = len(await self._producer.partitions_for(topic))
        sent = []
        for record, refusal in refused:
            key, value, headers = letter_of(record, refusal)
            home = record.partition % partitions
            sent.append(await self._producer.send(topic, value, key, home, headers=headers))
        await asyncio.gather(*sent)

    def _count(self, mapped: MappedBatch) -> None:
        for (topic, reason), count in mapped.skipped.items():
            self._meter.add("receipts_sink_skipped_total", count, topic=topic, reason=reason)
        for (topic, kind), count in mapped.accepted.items():
            self._meter.add("receipts_events_total", count, topic=topic, kind=kind)
        for newer, count in mapped.newer.items():
            self._meter.add("receipts_newer_values_total", count, topic=newer)
        for (topic, field), count in mapped.repaired.items():
            self._meter.add("receipts_repaired_fields_total", count, topic=topic, field=field)

    def _record_metrics(self, batch: Batch, seconds: float) -> None:
        now_ms = self._clock() * 1000
        for topic, records in batch.records.items():
            self._meter.observe("receipts_batch_records", len(records), topic=topic)
            self._meter.observe("receipts_batch_seconds", seconds, topic=topic)
            oldest = min(record.timestamp for record in records)
            if oldest > 0:  # -1: the record has no timestamp
                delay = max(now_ms - oldest, 0) / 1000
                self._meter.observe("receipts_sink_delay_seconds", delay, topic=topic)


def _refusals(mapped: MappedBatch, bad: list[BadRow]) -> list[tuple[Record, Refusal]]:
    """One for each record, even when several of its rows are bad."""
    refused = list(mapped.refused)
    seen: set[int] = set()
    for record, error in bad:
        if id(record) not in seen:
            seen.add(id(record))
            refused.append((record, Refusal(Reason.BAD_ROW, error)))
    return refused


async def _within(seconds: float, *calls: Awaitable[None]) -> None:
    """Await calls concurrently, at most `seconds` in all. Their errors are logged, so that they do
    not hide the error that ended the sink."""
    with contextlib.suppress(TimeoutError):
        ending = asyncio.gather(*calls, return_exceptions=True)
        for error in await asyncio.wait_for(ending, seconds):
            if error is not None:
                log.warning("while shutting down: %r", error)
