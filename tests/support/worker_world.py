"""The worker without its clients, on a log in memory: it dies at any step, and another takes over.

All between the consumer and the producer is real: agents, tables, stores, restore. What a kill -9
leaves on disk is what RocksDB has flushed: the files as they are at that moment.
"""

import asyncio
import shutil
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from faust.types import TP

from models.accounts import AccountSettings
from models.contract import Engagement, Receipt, Send
from models.endpoints import Endpoint
from models.keys import event_key
from models.settings import Settings
from streams.batching import Batch
from streams.batching.batch import Fetched
from streams.batching.stores import database
from streams.batching.stores.database import Database, Memory
from streams.batching.stores.folder import DiskStores
from streams.followers.suppression_index import SuppressionIndex
from streams.worker import NO_ENDPOINTS, Worker
from tests.support.fakes import Meter
from tests.support.recipient_world import topic_of
from tests.support.records import Record, record

SOURCES = ("sends", "receipts", "engagements", "strikes", "suppression-requests")
CORRELATED = ("callbacks", "provider-ids", "provider-receipts", "provider-links")
CHANGELOGS = {"messages": "message-states", "counters": "status-counters",
              "suppressions": "suppressions"}  # fmt: skip
CORRELATIONS = {"correlations": "provider-correlations"}


class Died(Exception):
    """The worker is dead from here on."""


class Log:
    """The topics of one partition.

    records: by topic, with their offsets; compaction leaves gaps. ends: high watermarks.
    committed: offsets of the sources
    """

    def __init__(self) -> None:
        self.records: defaultdict[str, list[Record]] = defaultdict(list)
        self.ends: defaultdict[str, int] = defaultdict(int)
        self.committed: dict[str, int] = dict.fromkeys((*SOURCES, *CORRELATED), 0)

    def append(
        self,
        topic: str,
        key: bytes | None,
        value: bytes | None,
        at: int,
        headers: Iterable[tuple[str, bytes]] = (),
    ) -> int:
        offset = self.ends[topic]
        self.records[topic].append(
            record(topic, key, value, at, offset=offset, headers=tuple(headers))
        )
        self.ends[topic] += 1
        return offset

    def since(self, topic: str, offset: int) -> list[Record]:
        return [each for each in self.records[topic] if each.offset >= offset]

    def compact(self, topic: str) -> None:
        """Keep the last record of each key."""
        last = {each.key: each.offset for each in self.records[topic]}
        self.records[topic] = [
            each for each in self.records[topic] if last[each.key] == each.offset
        ]


class Pending:
    """A batch that was handed to the producer and is not in the log yet."""

    def __init__(self, topic: str, records: list[Any], at: int) -> None:
        self.topic = topic
        self.records = [(each[0], each[1]) for each in records]
        self.at = at
        self.done: asyncio.Future[Any] = asyncio.get_running_loop().create_future()


class Offset:
    """What a broker answers."""

    def __init__(self, offset: int) -> None:
        self.offset = offset


class Producer:
    """Hands records to the log: those of changelogs when they are flushed, all others soon.

    dies_at: the number of the call at which the worker dies; None: never
    interrupted_at: the same of `prepare`, where the worker waits and a rebalance cancels it
    """

    def __init__(self, log: Log, now: Callable[[], int]) -> None:
        self._log = log
        self._now = now
        self.pending: list[Pending] = []
        self.calls = self.prepared = 0
        self.dies_at: int | None = None
        self.interrupted_at: int | None = None

    async def prepare(self, topic: str, records: Iterable[Any], limit: int) -> list[Any]:
        self.prepared += 1
        _die_if(self.prepared == self.interrupted_at)
        return list(records)

    async def send_batches(
        self, topic: str, partition: int, records: list[Any]
    ) -> list[tuple[asyncio.Future[Any], int]]:
        self.calls += 1
        if self.calls == self.dies_at:
            raise Died
        pairs = (records[at : at + 2] for at in range(0, len(records), 2))
        batches = [Pending(topic, pair, self._now()) for pair in pairs]
        self.pending += batches
        if topic not in (*CHANGELOGS.values(), *CORRELATIONS.values()):
            await asyncio.sleep(0)
            for batch in batches:
                self.deliver(batch)
        return [(batch.done, len(batch.records)) for batch in batches]

    def deliver(self, batch: Pending) -> None:
        self.pending.remove(batch)
        offsets = [self._log.append(batch.topic, *each, batch.at) for each in batch.records]
        batch.done.set_result(Offset(offsets[0]))

    async def flush(self) -> None:
        for batch in list(self.pending):
            self.deliver(batch)
            await asyncio.sleep(0)


class Consumer:
    """All is read that there is."""

    def lag(self, tp: TP) -> int:
        return 0


class Health:
    def beat(self, part: str) -> None: ...
    def ready(self, part: str) -> None: ...
    def unready(self, part: str, reason: str) -> None: ...


class Life:
    """One worker from its start to its death, of partition 0.

    folder: of its states; None: in memory. endpoints: where providers call back; {}: nowhere
    changes: of the settings
    """

    def __init__(
        self,
        log: Log,
        generation: int,
        folder: Path | None,
        now: Callable[[], int],
        accounts: Iterable[AccountSettings] = (),
        endpoints: Mapping[str, Endpoint] = NO_ENDPOINTS,
        **changes: Any,
    ) -> None:
        self.log = log
        self._read_to = dict(log.committed)
        given = {"partitions": 1, "retention_days": 8, "state_dir": str(folder or ""),
                 "endpoints": "of the test" if endpoints else "", **changes}  # fmt: skip
        settings = Settings(**given)
        self.meter = Meter()
        self.worker = Worker(settings, self.meter, Health(), SuppressionIndex(), endpoints)
        app: Any = self.worker.app
        self.app = app
        self.producer = Producer(log, now)
        app.producer = self.producer
        app.consumer = Consumer()
        app.consumer_generation_id = generation
        for account in accounts:
            self.worker.accounts.publish(account)
        self.tables = {table.name: table for table in app._tables()}
        if folder is not None:
            app.stores = DiskStores(app._state, app.conf.id, app.changelogs)
        for follower in self.worker._followers:
            follower.caught_up.set()

    # --- restore ------------------------------------------------------------------------------

    def begin_assignment(self, generation: int) -> None:
        """It had the partition and gets it again; nothing was left undone."""
        self.app.consumer_generation_id = generation
        self.app._ready.clear()
        for table in self.tables.values():
            table.close()
        self._read_to = dict(self.log.committed)

    async def follow(self, size: int, reads: int) -> None:
        """Be a standby for a while: read so many times from the changelogs, in turn."""
        self.app._standbys = {0}
        for table in self.tables.values():
            table.begin([], [0])
        for number in range(reads):
            await self._read(list(self.tables.values())[number % len(self.tables)], size)

    async def restore(self, size: int, dies_after: int | None = None) -> None:
        """Read the changelogs, `size` records of each in turn. dies_after: so many reads."""
        self.app._partitions, self.app._standbys = {0}, set()
        reads = 0
        for table in self.tables.values():
            table.begin([0])
        left = dict(self.tables)
        while left:
            for name, table in list(left.items()):
                _die_if(reads == dies_after)
                reads += 1
                if await self._read(table, size):
                    del left[name]

    async def open(self) -> None:
        """Take over what was restored."""
        await self.app._open_all()

    @property
    def opened(self) -> Database | None:
        """Of the partition; None: states are in memory."""
        stores = self.app.stores
        return stores._databases.get(0) if isinstance(stores, DiskStores) else None

    async def _read(self, table: Any, size: int) -> bool:
        topic = table.changelog_name
        known = table.persisted_offset(TP(topic, 0))
        records = self.log.since(topic, 0 if known is None else known + 1)[:size]
        end = self.log.ends[topic]
        following = self.log.since(topic, records[-1].offset + 1) if records else []
        position = following[0].offset if following else end
        table.restore(0, Fetched(records, position, end))
        await self.app.fold_restored(0)
        return not following

    def die_at_checkpoint(self, number: int | None) -> None:
        """It dies at a write of its restore, the write being done. number: from 1; None: never"""
        writes = 0

        def dying(checkpoint: Callable[[Any], None]) -> Callable[[Any], None]:
            def write(shard: Any) -> None:
                nonlocal writes
                writes += 1
                checkpoint(shard)
                _die_if(writes == number)

            return write

        for agent in self.worker._agents:
            setattr(agent, "_checkpoint", dying(agent._checkpoint))  # noqa: B010

    # --- work ---------------------------------------------------------------------------------

    async def take(self, topic: str, most: int) -> None:
        """One batch of a source, if it has records."""
        records = self.log.since(topic, self._read_to[topic])[:most]
        if not records:
            return
        head = records[-1].offset + 1 == self.log.ends[topic]
        batch = Batch(TP(topic, 0), records, head, records[-1].offset + 1, lambda: None)
        (agent,) = [each for each in self.worker._agents if topic in each.context.topics]
        await agent.take(batch)
        self._read_to[topic] = records[-1].offset + 1

    async def commit(self, dies: str = "", meanwhile: str = "") -> None:
        """As the consumer does it. dies: at this step. meanwhile: a source of which a batch is
        taken while the broker acknowledges."""
        offsets = dict(self._read_to)
        await self.app.run_before_commit()
        if meanwhile:
            await self.take(meanwhile, 3)
        _die_if(dies == "produced")
        await self.producer.flush()
        _die_if(dies == "acknowledged")
        self.log.committed.update(offsets)
        _die_if(dies == "committed")
        await self.app.run_after_commit()
        _die_if(dies == "written")

    def flush_to_disk(self) -> None:
        """What RocksDB does now and then by itself."""
        if self.opened is not None:
            self.opened.flush()

    # --- death --------------------------------------------------------------------------------

    def kill(self, folder: Path | None, arrives: int, late: int) -> list[Pending]:
        """kill -9: the first `arrives` pending batches are in the log, the `late` next are on their
        way (returned), all others are lost. folder: where the files are that it left."""
        for batch in self.producer.pending[:arrives]:
            self.producer.deliver(batch)
        rest = self.producer.pending[:late]
        if isinstance(self.app.stores, DiskStores):
            assert folder is not None
            _copy(self.app.stores._folder.path, folder)
            self.app.stores.close_all()
        return rest


def _copy(left: Path, folder: Path) -> None:
    """The files as they are; logs of RocksDB may go meanwhile."""
    while True:
        try:
            shutil.copytree(left, folder)
            return
        except shutil.Error:
            shutil.rmtree(folder)


@contextmanager
def without_compaction() -> Iterator[None]:
    """Databases delete no file beside us: a copy of their files is what kill -9 leaves."""
    made = database._options

    def options(memory: Memory) -> Any:
        found = made(memory)
        found.set_disable_auto_compactions(True)
        return found

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(database, "_options", options)
        yield


def _die_if(now: bool) -> None:
    if now:
        raise Died


def source_record(event: Send | Receipt | Engagement, at: int) -> tuple[str, bytes, bytes]:
    """Topic, key and value of an event."""
    return topic_of(event), event_key(event), event.model_dump_json(exclude_none=True).encode()
