"""The worker's rules without Kafka: shards of messages and numbers, dealt simulated events."""

import json
from collections import defaultdict
from collections.abc import Iterable
from itertools import groupby
from random import Random
from typing import Any, Protocol

from deploy.simulator.event import ACCOUNTS, ENGAGEMENTS, RECEIPTS, REQUESTS, SENDS, Published
from deploy.simulator.oracle.expect import RECIPIENT, ChannelKey
from deploy.simulator.oracle.messages import Cell, CellKey, Message, Orphan
from deploy.simulator.oracle.numbers import person_of
from deploy.simulator.oracle.retries import RequestKey
from deploy.simulator.oracle.suppression import Decision, RecipientStatus, Strike
from deploy.simulator.publish.publish import partition_of
from deploy.simulator.traffic.generate import generate
from models.accounts import Accounts, AccountSettings, parse_account
from models.counters import COUNT_NAMES, decode_cell, encode_cell
from models.keys import FORWARDED
from models.message_row import MessageRow, row_of
from models.state import decode
from models.suppression import decode as decode_suppression
from streams.common.plan import Plan
from streams.followers.suppression_index import SuppressionIndex
from streams.lifecycle.shard import Rules, Shard
from streams.suppression.shard import RecipientShard
from tests.support.records import Record
from tests.support.stores import (
    begin_again,
    checkpoint,
    new_store,
    restore,
    restore_recipients,
)

AS_OF = 1_795_300_000_000
PARTITIONS = 3
EVENTS = 20_000
MESSAGE_KINDS = (SENDS, RECEIPTS, ENGAGEMENTS)
STRIKES = "strikes"
SLICE_MS = 60_000


def published(seed: int) -> list[Published]:
    records = []
    for offset, event in enumerate(generate(seed, EVENTS, AS_OF)):
        home = 0 if event.key is None else partition_of(event.key, PARTITIONS)
        where = (home + event.shift) % PARTITIONS
        records.append(Published(event.kind, where, offset, *event[0:1], *event[3:5], event.kind,
                                 event.note, event.expect))  # fmt: skip
    return records


def settings_of(records: list[Published]) -> Accounts:
    accounts = Accounts()
    for record in records:
        if record.kind == ACCOUNTS:
            settings = parse_account(record.value)
            if isinstance(settings, AccountSettings):
                accounts.publish(settings)
    return accounts


class Decides(Protocol):
    """A shard of messages or of numbers."""

    def plan(self, topic: str, records: Iterable[Any], clock_ms: int) -> Plan: ...

    def tick(self, clock_ms: int) -> Iterable[Plan]: ...


class Worker:
    """Shards and their tables without Kafka; strays are sent on by hand.

    forwarded: records of the message shards for the recipient shards, not yet delivered
    """

    def __init__(self, accounts: Accounts, *, follows: bool) -> None:
        self.follows = follows
        self.suppressed = SuppressionIndex()
        self.accounts = accounts
        self.states = [new_store() for _ in range(PARTITIONS)]
        self.numbers = [new_store() for _ in range(PARTITIONS)]
        self.takes = 0
        self.messages = [self.shard(p, 1) for p in range(PARTITIONS)]
        self.recipients = [self.judge(p, 1) for p in range(PARTITIONS)]
        self.dead: dict[tuple[str, int, int], str] = {}
        self.forwarded: list[Record] = []
        self.strikes: list[dict[str, Any]] = []
        self.retries: list[dict[str, Any]] = []
        self.requests: set[Decision] = set()

    def shard(self, partition: int, generation: int) -> Shard:
        store = self.states[partition]
        made = Shard(partition, store, Rules(PARTITIONS), self.accounts, self.suppressed)
        restore(made, {}, generation)
        return made

    def judge(self, partition: int, generation: int) -> RecipientShard:
        made = RecipientShard(partition, self.numbers[partition], PARTITIONS, self.accounts)
        restore_recipients(made, generation)
        return made

    def rest(self, partition: int) -> None:
        """On disk: write now and then; begin again now and then, some of it not written."""
        self.takes += 1
        if self.takes % 3 == 0:
            checkpoint(self.messages[partition])
            checkpoint(self.recipients[partition])
        elif self.takes % 7 == 0 and self.states[partition].durable:
            for store in (self.states[partition], self.numbers[partition]):
                begin_again(store, dict(store))
            self.messages[partition] = self.shard(partition, self.takes)
            self.recipients[partition] = self.judge(partition, self.takes)

    def take(self, partition: int, topic: str, records: list[Record], clock_ms: int) -> None:
        numbers = topic in (STRIKES, REQUESTS)
        shard: Decides = self.recipients[partition] if numbers else self.messages[partition]
        table = self.numbers[partition] if numbers else self.states[partition]
        plan = shard.plan(topic, records, clock_ms)
        self.apply(plan, table, clock_ms)
        for letter in plan.dead_letters:
            origin = (letter.record.topic, letter.record.partition, letter.record.offset)
            self.dead[origin] = letter.refusal.reason.value
        for stray in plan.rerouted:
            again = Record(topic, stray.partition, -1, stray.record.timestamp, stray.key,
                           stray.record.value, ((FORWARDED, b"1"),))  # fmt: skip
            self.take(stray.partition, topic, [again], clock_ms)
        self.rest(partition)

    def apply(self, plan: Plan, table: dict[bytes, bytes], clock_ms: int) -> None:
        assert not plan.failures
        for key, value in plan.changes.items():
            assert value is not None
            table[key] = value
            if table in self.numbers:
                self.follow(key, value)
        for topic, forwarded in ((STRIKES, plan.strikes), (REQUESTS, plan.requests)):
            for key, value in forwarded:
                where = partition_of(key, PARTITIONS)
                self.forwarded.append(Record(topic, where, -1, clock_ms, key, value))
                self.note(topic, json.loads(value))
        self.retries += [json.loads(value) | {"asked_at": clock_ms} for _, value in plan.retries]

    def follow(self, key: bytes, value: bytes) -> None:
        """All shards know which numbers are suppressed, but those dealt to out of order."""
        if self.follows:
            self.suppressed.take(key, value)

    def note(self, topic: str, event: dict[str, Any]) -> None:
        if topic == STRIKES:
            self.strikes.append(event)
        else:
            own = event["who"] == RECIPIENT or event["why"].startswith("message ")
            self.requests.add(
                Decision(
                    event["account"],
                    person_of(event["recipient"]),
                    event["at"],
                    event["action"],
                    event["who"],
                    "" if own else event["why"],
                    event.get("channel") or "",
                )
            )

    def tick(self, clock_ms: int) -> None:
        shards: list[tuple[Decides, dict[bytes, bytes]]] = [
            *zip(self.messages, self.states, strict=True),
            *zip(self.recipients, self.numbers, strict=True),
        ]
        for shard, table in shards:
            for plan in shard.tick(clock_ms):
                self.apply(plan, table, clock_ms)

    # --- what it says in the end ---------------------------------------------------------------

    def cells(self) -> dict[CellKey, Cell]:
        found: dict[CellKey, Cell] = {}
        for shard in self.messages:
            for dirty in shard.cells.take_dirty():
                row = decode_cell(dirty.key, encode_cell(1, dirty.counts))
                assert row is not None
                cell = Cell(**dict(zip(COUNT_NAMES, row.counts, strict=True)))
                key: CellKey = ("campaign", row.account, row.campaign_id)
                if row.kind != "campaign":
                    key = (row.kind, row.window_start, row.account, row.channel, row.source,
                           row.country, row.provider)  # fmt: skip
                pairs = zip(found.get(key, Cell()), cell, strict=True)
                found[key] = Cell(*(a + b for a, b in pairs))
        return {key: cell for key, cell in found.items() if any(cell)}

    def readings(self) -> list[MessageRow]:
        return [row_of(key, decode(value)) for table in self.states for key, value in table.items()]

    def rows(self) -> tuple[dict[tuple[str, str], Message], dict[tuple[str, str], Orphan]]:
        messages: dict[tuple[str, str], Message] = {}
        orphans: dict[tuple[str, str], Orphan] = {}
        for row in self.readings():
            key = (row.account, row.message_id)
            if row.kind == "message":
                messages[key] = Message(*(getattr(row, name) for name in Message._fields))
            elif row.kind == "orphan":
                orphans[key] = Orphan(*(getattr(row, name) for name in Orphan._fields))
        return messages, orphans

    def statuses(self) -> dict[ChannelKey, RecipientStatus]:
        found = {}
        for table in self.numbers:
            for value in table.values():
                held = decode_suppression(value)
                for one in held.channels:
                    status = (one.suppressed, one.reasons, one.since, one.until, one.strikes)
                    key = (held.account, person_of(held.recipient), one.channel)
                    found[key] = RecipientStatus(*status, one.binds)
        return found

    def struck(self) -> dict[tuple[str, str], Strike]:
        """The last word of each message at each place of it."""
        latest: dict[tuple[str, str, int], dict[str, Any]] = {}
        for event in self.strikes:
            if event["kind"] != "delivered":
                place = (event["account"], event["message_id"], event["sent_at"])
                if place not in latest or latest[place]["version"] < event["version"]:
                    latest[place] = event
        return {
            key[:2]: Strike(
                person_of(event["recipient"]),
                event["sent_at"],
                event["occurred_at"],
                event["code"],
                event["channel"],
            )
            for key, event in latest.items()
            if event["kind"] == "struck"
        }


def shuffled(records: list[Published], seed: int, as_of_ms: int = AS_OF) -> Worker:
    """A worker that got all events out of order and some twice, strikes and decisions too."""
    rng = Random(seed)
    worker = Worker(settings_of(records), follows=False)
    dealt = [r for r in records + records[::7] if r.kind in MESSAGE_KINDS]
    rng.shuffle(dealt)
    deal(worker, [as_record(r) for r in dealt], as_of_ms)
    worker.forwarded += [as_record(r) for r in records if r.kind == REQUESTS]
    forwarded = worker.forwarded + worker.forwarded[::3]
    rng.shuffle(forwarded)
    deal(worker, forwarded, as_of_ms)
    worker.tick(as_of_ms)
    return worker


def as_record(r: Published) -> Record:
    return Record(r.kind, r.partition, r.offset, r.timestamp, r.key, r.value)


def deal(worker: Worker, records: list[Record], clock_ms: int = AS_OF) -> None:
    batches: defaultdict[tuple[int, str], list[Record]] = defaultdict(list)
    for record in records:
        batch = batches[record.partition, record.topic]
        batch.append(record)
        if len(batch) == 500:
            worker.take(record.partition, record.topic, batch, clock_ms)
            batch.clear()
    for (partition, topic), batch in batches.items():
        worker.take(partition, topic, batch, clock_ms)


def in_time(records: list[Published]) -> Worker:
    """A worker that gets everything as it arrives, its clock going with the events."""
    worker = Worker(settings_of(records), follows=True)
    waiting = [r for r in records if r.kind in (*MESSAGE_KINDS, REQUESTS)]
    for clock_ms, share in groupby(waiting, lambda r: r.timestamp // SLICE_MS * SLICE_MS):
        until_ms = clock_ms + SLICE_MS
        deal(worker, [as_record(r) for r in share], until_ms)
        worker.tick(until_ms)
        forwarded, worker.forwarded = worker.forwarded, []
        deal(worker, forwarded, until_ms)
    worker.tick(AS_OF)
    return worker


def retry_requests(worker: Worker) -> dict[RequestKey, dict[str, Any]]:
    """Requests by what they ask for; the id says the same, and none is published twice."""
    found = {(r["account"], r["message_id"], r["attempt"]): r for r in worker.retries}
    assert len(found) == len(worker.retries)
    assert all(r["id"] == "/".join(map(str, key)) for key, r in found.items())
    return found
