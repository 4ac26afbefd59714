"""What the sink has written it lets go of at once: no batch waits for the cycle collector.

The collector is off in these tests, so whatever hangs in a reference cycle stays. What stays is
counted in memory blocks of the interpreter: the strings and numbers of one row are a dozen or more.
"""

import asyncio
import gc
import sys
from collections.abc import Awaitable, Callable, Iterator
from itertools import count

import pytest
from aiokafka import ConsumerRecord

from deploy.embedded.brokers import Broker
from sinks import retry as patience
from sinks.call_thread import CallThread
from sinks.client import ClickHouse, connect
from sinks.consumer import SinkConsumer
from sinks.errors import Unavailable
from sinks.rows import TOPICS, map_records
from sinks.writer import Writer
from streams.kafka.reading import GuardedRecords
from streams.kafka.security import kafka_access
from tests.support.fakes import Health, Meter, send, state, state_record
from tests.support.front import Front
from tests.support.records import Record
from tests.support.running_sink import PARTITIONS, one_way, publish, running, settings_for, states
from tests.support.waiting import eventually

ROWS = 300
TIMES = 10
#: Interpreter blocks a row that other tasks of the process may add; a row that stays is 9 and more.
LEFT = 4


@pytest.fixture
def no_collector() -> Iterator[None]:
    gc.collect()
    gc.disable()
    yield
    gc.enable()


class Sink:
    """The thread of the inserts, with a writer in it."""

    def __init__(self, clickhouse: ClickHouse) -> None:
        self._thread = CallThread("receipts-inserts")
        self._writer = Writer(clickhouse, Meter(), Health())

    async def write(self, *more: Record) -> int:
        """Map and write new rows; how many were refused."""
        mapped = map_records({"message-states": [*states(ROWS), *more]}, 65_536)
        (rows,) = mapped.tables.values()
        return len(await self._thread.run(lambda: self._writer.write(rows)))

    async def grown(self, work: Callable[[], Awaitable[None]]) -> float:
        """Blocks that a row leaves behind, on average, after some calls to warm up."""
        for _ in range(5):
            await work()
        before = sys.getallocatedblocks()
        for _ in range(TIMES):
            await work()
        self._thread.end()
        return (sys.getallocatedblocks() - before) / TIMES / ROWS


async def test_an_insert_leaves_nothing_of_its_rows(
    clickhouse: ClickHouse, no_collector: None
) -> None:
    sink = Sink(clickhouse)

    async def work() -> None:
        assert await sink.write() == 0

    assert await sink.grown(work) < LEFT


@one_way
async def test_rows_that_are_refused_leave_nothing_of_the_others(
    clickhouse: ClickHouse, no_collector: None
) -> None:
    sink = Sink(clickhouse)
    poison = state_record(state(-1, send("m99")), "m99")

    async def work() -> None:
        assert await sink.write(poison) == 1

    assert await sink.grown(work) < 5


async def test_an_insert_that_fails_leaves_nothing_of_its_rows(
    own_front: Front, no_collector: None
) -> None:
    """ClickHouse may be away for hours, and the batch in hand is tried every few seconds."""
    sink = Sink(connect(own_front.url("receipts")))
    own_front.stop()

    async def work() -> None:
        with pytest.raises(Unavailable):
            await sink.write()

    assert await sink.grown(work) < LEFT


async def test_attempts_that_fail_leave_no_columns(
    own_front: Front, no_collector: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The columns of each attempt are new, although their rows are the same."""
    monkeypatch.setattr(patience, "FIRST_WAIT_S", 0.0)
    clickhouse, stop, attempts = connect(own_front.url("receipts")), asyncio.Event(), count()
    own_front.stop()
    thread, writer = CallThread("receipts-inserts"), Writer(clickhouse, Meter(), Health())
    (rows,) = map_records({"message-states": states(ROWS)}, 65_536).tables.values()

    def tell(error: BaseException) -> None:
        if next(attempts) == TIMES:
            stop.set()

    with pytest.raises(Unavailable):
        await patience.retry_until_stopped(
            lambda: thread.run(lambda: writer.write(rows)), Unavailable, stop, tell
        )
    thread.end()
    columns = [
        found for found in gc.get_objects() if isinstance(found, tuple) and len(found) == ROWS
    ]
    assert len(columns) < 3 * len(rows.table.names)


@one_way
async def test_a_sink_holds_as_much_after_many_batches_as_after_one(
    embedded_broker: Broker, prefix: str, url: str, reader: ClickHouse, no_collector: None
) -> None:
    settings = await settings_for(embedded_broker, prefix, url, sink_max_rows=ROWS)
    async with running(settings) as sink:
        await publish(settings, states(5 * ROWS))
        await sink.until(lambda: sink.rows("messages") == 5 * ROWS)
        before = sys.getallocatedblocks()
        await publish(settings, states(TIMES * ROWS, first=5 * ROWS))
        await sink.until(lambda: sink.rows("messages") == (5 + TIMES) * ROWS)
        left = (sys.getallocatedblocks() - before) / (TIMES * ROWS)
        records = sum(isinstance(found, ConsumerRecord) for found in gc.get_objects())
    assert records < 3 * ROWS
    assert left < LEFT


async def test_what_was_fetched_for_partitions_that_are_taken_away_is_let_go(
    embedded_broker: Broker, prefix: str, no_collector: None
) -> None:
    settings = await settings_for(embedded_broker, prefix, "http://nobody:1/x")
    batches = SinkConsumer(settings, kafka_access(settings), Meter(), Health())
    await batches.start()
    await eventually(lambda: len(batches.consumer.assignment()) == len(TOPICS) * PARTITIONS)
    await publish(settings, states(ROWS))
    await eventually(lambda: fetched() > 0)
    other = SinkConsumer(settings, kafka_access(settings), Meter(), Health())
    await other.start()
    await eventually(lambda: 0 < len(batches.consumer.assignment()) < len(TOPICS) * PARTITIONS)
    await eventually(lambda: fetched() <= sum(in_use(each) for each in (batches, other)))
    await other.stop()
    await batches.stop()


def in_use(batches: SinkConsumer) -> int:
    return len(batches.consumer._fetcher._records)


def fetched() -> int:
    """Fetched batches of a partition in memory, each with all its bytes."""
    return sum(type(found) is GuardedRecords for found in gc.get_objects())
