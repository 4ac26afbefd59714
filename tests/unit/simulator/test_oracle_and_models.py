"""The oracle and the worker's rules, written apart, must tell the same of the same events.

Events are dealt to the shards out of order and twice; the outcome must not depend on that.
"""

from collections import defaultdict
from random import Random

from deploy.simulator.event import ENGAGEMENTS, RECEIPTS, SENDS, Published
from deploy.simulator.oracle import Cell, CellKey, Expected, Message, Orphan, expect
from deploy.simulator.publish import partition_of
from deploy.simulator.traffic import generate
from models.accounts import Accounts
from models.counters import SLOTS, decode_cell, encode_cell
from models.reading import Reading, read
from models.state import decode
from streams.lifecycle.shard import Rules, Shard
from streams.plan import FORWARDED
from tests.records import Record

AS_OF = 1_795_300_000_000
PARTITIONS = 3
EVENTS = 20_000


def published(seed: int) -> list[Published]:
    records = []
    for offset, event in enumerate(generate(seed, EVENTS, AS_OF)):
        home = 0 if event.key is None else partition_of(event.key, PARTITIONS)
        where = (home + event.shift) % PARTITIONS
        records.append(Published(event.kind, where, offset, *event[0:1], *event[3:5], event.kind,
                                 event.note, event.expect))  # fmt: skip
    return records


class Worker:
    """Shards and their tables without Kafka; strays are sent on by hand."""

    def __init__(self) -> None:
        self.states: list[dict[bytes, bytes]] = [{} for _ in range(PARTITIONS)]
        self.shards = [
            Shard(p, self.states[p], Rules(PARTITIONS), Accounts(), {}) for p in range(PARTITIONS)
        ]
        self.dead: dict[tuple[str, int, int], str] = {}
        for shard in self.shards:
            list(shard.restore({}, 1))

    def take(self, partition: int, topic: str, records: list[Record]) -> None:
        plan = self.shards[partition].plan(topic, records, AS_OF)
        for key, value in plan.changes.items():
            assert value is not None
            self.states[partition][key] = value
        for letter in plan.dead_letters:
            origin = (letter.record.topic, letter.record.partition, letter.record.offset)
            self.dead[origin] = letter.refusal.reason.value
        for stray in plan.strays:
            again = Record(topic, stray.partition, -1, stray.record.timestamp, stray.key,
                           stray.record.value, ((FORWARDED, b"1"),))  # fmt: skip
            self.take(stray.partition, topic, [again])

    def tick(self) -> None:
        for partition, shard in enumerate(self.shards):
            for plan in shard.tick(AS_OF):
                for key, value in plan.changes.items():
                    assert value is not None
                    self.states[partition][key] = value

    def cells(self) -> dict[CellKey, Cell]:
        found: dict[CellKey, Cell] = {}
        for shard in self.shards:
            for dirty in shard.cells.take_dirty():
                row = decode_cell(dirty.key, encode_cell(1, dirty.counts))
                assert row is not None
                cell = Cell(**dict(zip(SLOTS, row.counts, strict=True)))
                key: CellKey = ("campaign", row.account, row.campaign_id)
                if row.kind != "campaign":
                    key = (row.kind, row.window_start, row.account, row.channel, row.source,
                           row.country, row.provider)  # fmt: skip
                pairs = zip(found.get(key, Cell()), cell, strict=True)
                found[key] = Cell(*(a + b for a, b in pairs))
        return {key: cell for key, cell in found.items() if any(cell)}

    def readings(self) -> list[Reading]:
        return [read(key, decode(value)) for table in self.states for key, value in table.items()]


def worked(records: list[Published], seed: int) -> Worker:
    rng = Random(seed)
    dealt = [r for r in records + records[::7] if r.kind in (SENDS, RECEIPTS, ENGAGEMENTS)]
    rng.shuffle(dealt)
    worker = Worker()
    batches: defaultdict[tuple[int, str], list[Record]] = defaultdict(list)
    for r in dealt:
        batch = batches[r.partition, r.kind]
        batch.append(Record(r.kind, r.partition, r.offset, r.timestamp, r.key, r.value))
        if len(batch) == 500:
            worker.take(r.partition, r.kind, batch)
            batch.clear()
    for (partition, kind), batch in batches.items():
        worker.take(partition, kind, batch)
    worker.tick()
    return worker


def told(expected: Expected) -> Expected:
    """Dead letters of campaigns are the sink's."""
    expected.dead_letters = {
        origin: letter for origin, letter in expected.dead_letters.items()
        if origin[0] != "campaigns"
    }  # fmt: skip
    return expected


def test_the_worker_says_what_the_oracle_expects() -> None:
    records = published(11)
    expected = told(expect(records, AS_OF))
    worker = worked(records, 12)
    messages: dict[tuple[str, str], Message] = {}
    orphans: dict[tuple[str, str], Orphan] = {}
    for row in worker.readings():
        key = (row.account, row.message_id)
        if row.kind == "message":
            messages[key] = Message(*(getattr(row, name) for name in Message._fields))
        elif row.kind == "orphan":
            orphans[key] = Orphan(*(getattr(row, name) for name in Orphan._fields))
    assert messages == expected.messages
    assert orphans == expected.orphans
    assert worker.dead == {o: letter.reason for o, letter in expected.dead_letters.items()}
    assert worker.cells() == expected.cells
    assert len(messages) > EVENTS / 5
    assert len(orphans) > 5
    assert len(worker.dead) > EVENTS * 0.003
