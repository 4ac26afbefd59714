"""The parts that need no broker: the fence, batches, records, and the pinned private names."""

from __future__ import annotations

import asyncio
from collections import defaultdict, deque
from types import SimpleNamespace
from typing import Any, cast

import pytest
from aiokafka import AIOKafkaProducer
from aiokafka.errors import (
    IllegalGenerationError,
    NodeNotReadyError,
    RebalanceInProgressError,
    TopicAuthorizationFailedError,
    UnknownMemberIdError,
    for_code,
)
from aiokafka.protocol.commit import OffsetCommitRequest
from aiokafka.protocol.group import HeartbeatRequest, LeaveGroupRequest, SyncGroupRequest
from aiokafka.protocol.metadata import MetadataRequest
from aiokafka.protocol.produce import ProduceRequest
from faust.transport.consumer import Consumer
from faust.types import TP

from streams.batching import Batch, BatchApp, FenceLost, Outgoing, RecordTooLarge
from streams.batching.batch import Fetched
from streams.batching.consumer import BatchConsumer
from streams.batching.errors import FenceNotProved, IncompatibleVersions
from streams.batching.fence import Fence
from streams.batching.private_api import assert_private_api
from streams.batching.producer import BatchProducer, _batches, _checked
from streams.batching.runner import run_worker
from streams.kafka.measures import OldestWaiting
from streams.kafka.refusals import Denials
from streams.kafka.security import Access

SYNC = SyncGroupRequest("group", 1, "member", None, [])
BEAT = HeartbeatRequest("group", 1, "member")
COMMIT = OffsetCommitRequest("group", 1, "member", -1, [])
OK = frozenset({0})
REBALANCING = frozenset({RebalanceInProgressError.errno})


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def fence(clock: Clock) -> Fence:
    made = Fence(6.0, 60.0, clock)
    made.observe(SYNC, OK, clock.now)
    return made


def test_a_member_that_does_not_join_a_rebalance_in_time_is_dropped(
    fence: Fence, clock: Clock
) -> None:
    """Heartbeats are answered until the group drops it; after that no pause may end in a write."""
    for _ in range(60):
        clock.now += 1
        fence.observe(BEAT, REBALANCING, clock.now)
        fence.check()
    clock.now += 0.1
    with pytest.raises(FenceNotProved):
        fence.check()
    fence.observe(SYNC, OK, clock.now)
    fence.check()


def test_the_fence_is_closed_before_the_first_assignment() -> None:
    with pytest.raises(FenceLost, match="no partitions are held"):
        Fence(6.0).check()


def test_the_fence_holds_for_one_session_timeout(fence: Fence, clock: Clock) -> None:
    clock.now += 5.9
    fence.check()
    assert not fence.waiting
    clock.now += 0.2
    with pytest.raises(FenceNotProved, match=r"last accepted heartbeat is 6\.1 s old"):
        fence.check()
    assert fence.waiting


def test_a_heartbeat_counts_from_its_departure(fence: Fence, clock: Clock) -> None:
    clock.now += 5
    fence.observe(BEAT, REBALANCING, clock.now - 2)
    clock.now += 3.9
    fence.check()
    clock.now += 0.2
    with pytest.raises(FenceNotProved):
        fence.check()


def test_an_answer_to_an_old_heartbeat_proves_nothing(fence: Fence, clock: Clock) -> None:
    """A worker that was paused reads the answer to what it sent before the pause."""
    sent_at = clock.now
    clock.now += 20
    fence.observe(BEAT, OK, sent_at)
    with pytest.raises(FenceNotProved):
        fence.check()


@pytest.mark.parametrize("answer", [OK, REBALANCING])
def test_a_later_heartbeat_opens_the_fence_again(
    fence: Fence, clock: Clock, answer: frozenset[int]
) -> None:
    clock.now += 20
    fence.observe(BEAT, answer, clock.now)
    fence.check()


async def test_a_waiting_caller_goes_on_with_the_next_proof(fence: Fence, clock: Clock) -> None:
    clock.now += 20
    waiting = asyncio.ensure_future(fence.proved())
    await asyncio.sleep(0.2)
    assert not waiting.done()
    fence.observe(BEAT, OK, clock.now)
    await asyncio.wait_for(waiting, 5)


async def test_a_waiting_caller_learns_that_the_fence_is_lost(fence: Fence, clock: Clock) -> None:
    clock.now += 20
    waiting = asyncio.ensure_future(fence.proved())
    await asyncio.sleep(0.1)
    fence.observe(BEAT, frozenset({UnknownMemberIdError.errno}), clock.now)
    with pytest.raises(FenceLost, match="no longer knows"):
        await asyncio.wait_for(waiting, 5)


@pytest.mark.parametrize("error", [UnknownMemberIdError, IllegalGenerationError])
@pytest.mark.parametrize("sent", [BEAT, COMMIT])
def test_a_forgotten_member_loses_the_fence_for_good(
    fence: Fence, clock: Clock, error: Any, sent: object
) -> None:
    clock.now += 20
    fence.observe(sent, frozenset({0, error.errno}), clock.now)
    fence.observe(BEAT, OK, clock.now)
    fence.observe(SYNC, OK, clock.now)
    with pytest.raises(FenceLost, match=r"no longer knows .* heartbeat is 20\.0 s old"):
        fence.check()


def test_a_commit_is_no_proof(fence: Fence, clock: Clock) -> None:
    clock.now += 20
    fence.observe(COMMIT, OK, clock.now)
    assert fence.waiting


async def test_a_worker_that_leaves_its_group_loses_the_fence(fence: Fence) -> None:
    async def send(request: object) -> object:
        return SimpleNamespace(error_code=0)

    coordinator = SimpleNamespace(_send_req=send)
    fence.watch(coordinator)
    await coordinator._send_req(LeaveGroupRequest("group", "member"))
    with pytest.raises(FenceLost, match="left its consumer group"):
        fence.check()


def test_an_older_error_does_not_matter_between_assignments(fence: Fence, clock: Clock) -> None:
    fence.release()
    clock.now += 60
    assert fence.lost is None
    assert not fence.waiting
    fence.observe(SYNC, OK, clock.now)
    fence.check()


def test_a_void_batch_cannot_be_done() -> None:
    calls: list[str] = []
    batch = Batch(TP("t", 0), [], False, 0, lambda: calls.append("done"))
    batch.invalidate()
    assert not batch.take()
    batch.done()
    assert not batch.finished
    assert calls == []


def test_a_batch_is_done_once_and_taken_once() -> None:
    calls: list[str] = []
    batch = Batch(TP("t", 0), [], False, 0, lambda: calls.append("done"))
    assert batch.take()
    batch.done()
    batch.done()
    assert calls == ["done"]
    with pytest.raises(RuntimeError, match="two agents"):
        batch.take()


def test_the_head_is_known_only_after_a_response() -> None:
    assert not Fetched([], 0, None).at_head
    assert not Fetched([], None, 5).at_head
    assert not Fetched([], 4, 5).at_head
    assert Fetched([], 5, 5).at_head
    assert Fetched([], 0, 0).at_head


def test_a_record_too_large_is_refused_with_its_size() -> None:
    fits = (b"k", b"v" * 900)
    assert _checked(fits, "t", 1000) is fits
    with pytest.raises(RecordTooLarge, match="for topic t exceeds 1000 bytes") as caught:
        _checked((b"k", b"v" * 1000), "t", 1000)
    assert 1000 < caught.value.size < 1100
    with pytest.raises(RecordTooLarge):
        _checked(Outgoing(b"k", b"v", [("h", b"x" * 1000)]), "t", 1000)


async def test_batches_split_where_they_are_full_and_keep_the_order() -> None:
    producer = AIOKafkaProducer(bootstrap_servers="127.0.0.1:1", max_batch_size=2000)
    records: list[Any] = [(b"%d" % number, b"v" * 300) for number in range(20)]
    records.append((b"large", b"v" * 5000))
    records.append(Outgoing(b"last", None, [("h", b"x")], 1_700_000_000_000))
    batches = list(_batches(producer, records))
    counts = [batch.record_count() for batch in batches]
    assert sum(counts) == len(records)
    assert len(counts) > 4
    assert counts[-1] == 1
    assert counts[-2] == 1, "a record larger than a batch travels alone"
    await producer.stop()


class Client:
    """Stands for the producer's AIOKafkaClient; connecting takes `delay_s` of the fence's time."""

    def __init__(self, clock: Clock, delay_s: float = 0, *, connects: bool = True) -> None:
        self.sent: list[object] = []
        self.clock = clock
        self.delay_s = delay_s
        self.connects = connects
        self.answer = SimpleNamespace(topics=[])

    async def ready(self, node_id: int, *, group: object) -> bool:
        self.clock.now += self.delay_s
        return self.connects

    async def send(self, node_id: int, request: object, *, group: object) -> object:
        self.sent.append(request)
        return self.answer


def _guarded(client: Client, fence: Fence) -> Any:
    owner: Any = SimpleNamespace(_batch_app=SimpleNamespace(fence=fence, denials=Denials()))
    BatchProducer._guard(owner, client)
    return client


async def test_every_produce_request_waits_for_the_fence(fence: Fence, clock: Clock) -> None:
    client = _guarded(Client(clock), fence)
    produce, metadata = ProduceRequest(None, -1, 1000, []), MetadataRequest([])
    assert await client.send(0, produce) is client.answer
    clock.now += 7
    waiting = asyncio.ensure_future(client.send(0, produce))
    await asyncio.sleep(0.2)
    assert await client.send(0, metadata) is client.answer
    assert client.sent == [produce, metadata]
    fence.observe(BEAT, OK, clock.now)
    assert await asyncio.wait_for(waiting, 5) is client.answer
    assert client.sent == [produce, metadata, produce]


async def test_what_may_not_be_written_is_repeated_and_noted(fence: Fence, clock: Clock) -> None:
    client = Client(clock)
    app = SimpleNamespace(fence=fence, denials=Denials())
    BatchProducer._guard(cast(Any, SimpleNamespace(_batch_app=app)), client)
    denied, written = (0, TopicAuthorizationFailedError.errno, -1, -1), (1, 0, 12, -1)
    client.answer.topics = [("a", [denied, written]), ("b", [written])]
    answer: Any = await client.send(0, ProduceRequest(None, -1, 1000, []), group=None)
    code = answer.topics[0][1][0][1]
    assert for_code(code).retriable
    assert answer.topics == [("a", [(0, code, -1, -1), written]), ("b", [written])]
    assert "WRITE on topic a." in app.denials.current()


async def test_the_fence_is_looked_at_after_connecting(fence: Fence, clock: Clock) -> None:
    client = _guarded(Client(clock, delay_s=7), fence)
    waiting = asyncio.ensure_future(client.send(0, ProduceRequest(None, -1, 1000, [])))
    await asyncio.sleep(0.2)
    assert client.sent == []
    client.delay_s = 0
    fence.observe(BEAT, frozenset({UnknownMemberIdError.errno}), clock.now)
    with pytest.raises(FenceLost):
        await asyncio.wait_for(waiting, 5)
    assert client.sent == []


async def test_a_node_that_is_not_ready_is_not_written_to(fence: Fence, clock: Clock) -> None:
    """Between a failed ready() and a second try in send() the fence could be lost."""
    client = _guarded(Client(clock, connects=False), fence)
    with pytest.raises(NodeNotReadyError):
        await client.send(0, ProduceRequest(None, -1, 1000, []))
    assert client.sent == []


def test_the_pinned_versions_have_every_name() -> None:
    assert_private_api()


def test_a_missing_name_is_reported_with_the_versions(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(Consumer, "_drain_messages")
    expected = r"faust-streaming 0\.15\.3, .* lack Consumer\._drain_messages: install"
    with pytest.raises(IncompatibleVersions, match=expected):
        assert_private_api()


def test_a_stock_table_is_refused() -> None:
    with pytest.raises(TypeError, match=r"use BatchApp\.batch_table"):
        BatchApp("stock", access=Access("127.0.0.1:1")).Table("counts", default=int)


async def test_a_stock_topic_is_refused() -> None:
    app = BatchApp("stock", access=Access("127.0.0.1:1"))
    with pytest.raises(TypeError, match="not a BatchTopic"):
        aiter(app.stream(app.topic("plain")))


async def test_an_app_bound_to_another_loop_is_refused() -> None:
    app = BatchApp("bound", access=Access("127.0.0.1:1"))
    assert app.batch_producer is not None
    with pytest.raises(RuntimeError, match="bound to an event loop"):
        run_worker(app)


@pytest.mark.parametrize(
    ("done", "committed", "finished"),
    [({TP("src", 0): 5}, True, True), ({TP("src", 0): 5}, False, False), ({}, None, True)],
    ids=["committed", "refused", "nothing-to-commit"],
)
async def test_after_commit_runs_only_when_all_that_was_done_is_committed(
    done: dict[TP, int], committed: bool | None, finished: bool
) -> None:
    called: list[str] = []

    async def note(name: str, answer: bool | None = None) -> bool | None:
        called.append(name)
        return answer

    consumer: Any = BatchConsumer.__new__(BatchConsumer)
    consumer.app = SimpleNamespace(
        run_before_commit=lambda: note("before"),
        run_after_commit=lambda: note("after"),
        observer=SimpleNamespace(committed=lambda: called.append("committed")),
        batch_producer=SimpleNamespace(flush=lambda: note("flush")),
    )
    consumer._epoch, consumer._done_up_to, consumer._committed_offset = 1, dict(done), {}
    consumer._commit = lambda offsets: note("commit", committed)
    assert await consumer._commit_done(last=False) is bool(committed)
    was = ["committed"] * bool(committed)
    assert called == ["before", "flush", *["commit"] * bool(done), *was, *["after"] * finished]
    assert (consumer._done_up_to == {}) is finished


# ------------------------------------------------------------------ what waits


def _record(offset: int, second: int) -> Any:
    return SimpleNamespace(offset=offset, timestamp=second * 1000)


def test_records_wait_until_their_batch_is_done() -> None:
    tp = TP("src", 0)
    consumer: Any = BatchConsumer.__new__(BatchConsumer)
    consumer._out, consumer._heads = defaultdict(deque), {}
    consumer._done_up_to, consumer._done_at = {}, {}
    consumer._moved, consumer._waiting = asyncio.Event(), OldestWaiting(lambda: 1000.0)
    assert consumer.waiting_since(tp) is None, "not known yet"
    batches = [
        Batch(tp, [_record(n, 100 + n), _record(n + 1, 101 + n)], False, n + 2, done)
        for n in (0, 2)
        for done in [lambda: consumer._on_done(tp)]
    ]
    consumer._out[tp].extend(batches)
    consumer._heads[tp] = (4, 9)
    assert consumer.waiting_since(tp) == 100
    batches[1].done()
    assert consumer.waiting_since(tp) == 100, "the first one is not"
    batches[0].done()
    assert (consumer.lag(tp), consumer.waiting_since(tp)) == (5, 103), "not fetched, not younger"
    consumer._heads[tp] = (9, 9)
    assert consumer.waiting_since(tp) is None, "nothing waits in a gap"


def test_a_lag_is_as_old_as_the_last_answer_of_its_leader() -> None:
    """One leader is away: fetches return what is known of its partition, with the old time."""
    well, away, unknown = (TP("src", n) for n in range(3))
    consumer: Any = BatchConsumer.__new__(BatchConsumer)
    consumer._out, consumer._heads, consumer._answered_ms = defaultdict(deque), {}, {}
    consumer._waiting, consumer._done_at = OldestWaiting(lambda: 1000.0), {}
    consumer._began_at = 500.0
    for now_ms in (600_000, 900_000):
        consumer._note_heads(
            {
                well: Fetched([], 7, 7, now_ms),
                away: Fetched([], 5, 7, 600_000),
                unknown: Fetched([], 3, None, None),
            }
        )
    assert [consumer.lag(tp) for tp in (well, away, unknown)] == [0, 2, None]
    assert [consumer.lag_as_of(tp) for tp in (well, away, unknown)] == [900.0, 600.0, 500.0]
    assert consumer.waiting_since(away) == 1000.0
    consumer._waiting._clock = lambda: 1300.0
    assert consumer.waiting_since(away) == 1000.0, "a known record grows older all the same"


async def test_records_are_unacknowledged_from_the_call_until_the_answer() -> None:
    app: Any = SimpleNamespace(
        fence=SimpleNamespace(proved=lambda: _answer(None)),
        failure=None,
        observer=SimpleNamespace(acknowledged=lambda *what: answered.append(what)),
    )
    answered: list[Any] = []
    producer: Any = BatchProducer.__new__(BatchProducer)
    producer.app = app
    producer.__dict__ |= {
        "_unacknowledged": {}, "_calls": set(), "_queued": 0, "_written_up_to": {},
        "_locks": defaultdict(asyncio.Lock),
    }  # fmt: skip
    real = AIOKafkaProducer(bootstrap_servers="127.0.0.1:1", max_batch_size=400)
    free, answers = asyncio.Event(), list[asyncio.Future[Any]]()

    async def send_batch(*_: Any, **__: Any) -> asyncio.Future[Any]:
        await free.wait()
        answers.append(asyncio.get_running_loop().create_future())
        return answers[-1]

    producer._ensure_producer = lambda: SimpleNamespace(
        create_batch=real.create_batch, send_batch=send_batch
    )
    call = asyncio.ensure_future(producer.send_batches("out", 0, [(b"k", b"v" * 200)] * 3))
    await asyncio.sleep(0.01)
    assert producer.unacknowledged == 3, "aiokafka takes none at the moment"
    free.set()
    await call
    assert producer.unacknowledged == 3, "and none is acknowledged"
    answers[0].set_result(SimpleNamespace(topic="out", partition=0, offset=0))
    await asyncio.sleep(0)
    assert producer.unacknowledged == 2
    assert answered == [("out", 1)]
    await real.stop()


async def _answer(value: Any) -> Any:
    return value


async def test_faust_does_not_look_at_partitions_before_the_thread_has_connected() -> None:
    """It would raise, and end a worker whose Kafka is slow at the start."""
    looked: list[str] = []
    consumer: Any = BatchConsumer.__new__(BatchConsumer)
    consumer.assignment = lambda: looked.append("looked") or set()
    consumer._thread = SimpleNamespace(_consumer=None)
    await consumer.verify_all_partitions_active()
    assert looked == []
    consumer._thread._consumer = object()
    await consumer.verify_all_partitions_active()
    assert looked == ["looked"]
