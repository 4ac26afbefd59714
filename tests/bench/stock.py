"""Yardstick: the same job as an ordinary Faust app, `python -m tests.bench.stock JSON`.

A normal faust.App: one agent, one event at a time, tables with changelogs for states and counters,
the same pure functions called for each event. Two variants:

tuned  every setting that helps (docs/design.md), uvloop, a calmer
       collector, and counters written to
       their table once a second, as ours are
naive  Faust as it comes: default settings, every counter cell written when it changes

Both leave out expiry, retention, strays and everything about safety, which is in their favour.
"""

import asyncio
import gc
import logging
import sys
import time
from typing import Any, Final

import faust
import msgspec
import uvloop

from models.contract import MAX_EVENT_BYTES
from models.counters import Cells, contribution, encode_cell
from models.facts import outcome_of, send_fact
from models.joining import add_engagement, add_receipt, add_send, decide
from models.keys import event_key, partition_of
from models.refusal import Reason, Refusal
from models.state import MessageState, decode, encode
from models.time import DAY_MS
from models.vocabulary import UNKNOWN_WORD
from streams.lifecycle.handlers import HANDLERS
from tests.bench.cluster import INPUTS
from tests.bench.loop import COMMIT_S, Task

COUNTERS_S: Final = 1.0
RETENTION_DAYS: Final = 10

TUNED: Final[dict[str, Any]] = {
    "stream_buffer_maxsize": 16_384,
    "cython_optimizations": True,
    "producer_linger": 0.02,
    "producer_max_batch_size": 500_000,
    "producer_max_request_size": 5_000_000,
    "consumer_max_fetch_size": 4 << 20,
    "stream_wait_empty": False,
    "broker_session_timeout": 6,
    "broker_heartbeat_interval": 1,
    "table_standby_replicas": 0,
}


#: Without the serializers Faust takes the bytes for JSON, decodes them, and dies of bad input.
RAW: Final[dict[str, Any]] = {
    "key_type": bytes,
    "key_serializer": "raw",
    "value_type": bytes,
    "value_serializer": "raw",
}


class Job:
    """What the agent does with one event."""

    def __init__(self, app: faust.App, task: Task) -> None:
        self._task = task
        self._kinds = {task.prefix + kind: kind for kind in INPUTS}
        raw: dict[str, Any] = {"key_type": bytes, "value_type": bytes}
        self._states = app.Table("states", partitions=task.partitions, **raw)
        self._counters = app.Table("counters", partitions=task.partitions, **raw)
        self._letters = app.topic(task.outputs["dead-letters"], **RAW)
        self._cells = {p: Cells(p) for p in range(task.partitions)}
        self._counted_at = dict.fromkeys(range(task.partitions), time.monotonic())
        self._wait_s = 0.0 if task.naive else COUNTERS_S
        self._version = 1 << 32

    async def handle(self, record: Any) -> None:
        """One event: contract, state, counters, or a dead letter."""
        kind = self._kinds[record.topic]
        record_ms = int(record.timestamp * 1000)
        event = HANDLERS[kind].parse(record.value, record_ms, MAX_EVENT_BYTES)
        if isinstance(event, Refusal):
            await self._produce_dead_letters(record, event)
        elif kind == "sends" and _is_too_late(event, record_ms):
            await self._produce_dead_letters(
                record, Refusal(Reason.TOO_LATE, "sent_at: of a day that is final")
            )
        elif event.message_id is not None:
            await self._join(kind, record, event, record_ms)
        self._count(record.partition)

    async def _join(self, kind: str, record: Any, event: Any, record_ms: int) -> None:
        key = event_key(event)
        stored = self._states.get(key)
        if stored is None and partition_of(key, self._task.partitions) != record.partition:
            await self._produce_dead_letters(
                record, Refusal(Reason.MISROUTED, "key: of another partition")
            )
            return
        state = MessageState() if stored is None else decode(stored)
        before = contribution(event.account, state)
        if kind == "sends":
            changed = add_send(state, send_fact(event))
        elif kind == "receipts":
            outcome = outcome_of(event) if event.status != UNKNOWN_WORD else None
            changed = add_receipt(state, event, outcome, record_ms // DAY_MS)
            decide(state)
        else:
            changed = add_engagement(state, event, record_ms // DAY_MS)
        if not changed:
            return
        self._version += 1
        state.version = self._version
        state.orphaned = state.orphaned or (not state.sends and state.outcome is not None)
        self._states[key] = encode(state)
        after = contribution(event.account, state)
        if before != after:
            cells = self._cells[record.partition]
            if before is not None:
                cells.remove(before)
            if after is not None:
                cells.add(after)

    def _count(self, partition: int) -> None:
        """Write the changed cells of a partition, from inside one of its events."""
        now = time.monotonic()
        if now - self._counted_at[partition] < self._wait_s:
            return
        self._counted_at[partition] = now
        for cell in self._cells[partition].take_dirty():
            self._version += 1
            self._counters[cell.key] = encode_cell(self._version, cell.counts)

    async def _produce_dead_letters(self, record: Any, refusal: Refusal) -> None:
        at = int(record.timestamp * 1000)
        headers = refusal.headers(record.topic, record.partition, record.offset, at)
        await self._letters.send(
            key=record.key, value=record.value, headers=headers, partition=record.partition
        )


def _is_too_late(send: Any, record_ms: int) -> bool:
    first = send.first_sent_at if send.attempt > 1 and send.first_sent_at else send.sent_at
    return bool(first // DAY_MS < record_ms // DAY_MS - RETENTION_DAYS)


def make(task: Task) -> faust.App:
    """The app, ready to run."""
    app = faust.App(
        task.group,
        broker=f"kafka://{task.brokers}",
        store="memory://",
        topic_partitions=task.partitions,
        topic_replication_factor=1,
        broker_commit_interval=COMMIT_S,
        consumer_auto_offset_reset="earliest",
        datadir=task.datadir,
        web_enabled=False,
        **({} if task.naive else TUNED),
    )
    job = Job(app, task)
    source = app.topic(*(task.prefix + kind for kind in INPUTS), **RAW)

    @app.agent(source)
    async def lifecycle(stream: Any) -> None:
        async for event in stream.events():
            await job.handle(event.message)

    return app


def main() -> None:
    """Run until SIGTERM."""
    task = msgspec.json.decode(sys.argv[1], type=Task)
    if not task.naive:
        gc.set_threshold(50_000, 20, 100)  # as ours
        logging.disable(logging.DEBUG)
        asyncio.set_event_loop_policy(uvloop.EventLoopPolicy())
    app = make(task)
    sys.argv = ["faust", "worker", "-l", "info", "--without-web"]
    app.main()


if __name__ == "__main__":
    main()
