"""Doing what a plan decided, in the order that makes replays safe (DESIGN §4).

What others must know (strikes, unsubscribes, retry requests) is acknowledged by the broker before
the states it follows from are written; offsets are committed only after all of it is acknowledged,
which the batched Faust sees to. Dead letters and strays need no order: a replay refuses and sends
on the same records again.
"""

import asyncio
from collections import Counter, defaultdict
from collections.abc import Iterable
from typing import Protocol

from models.keys import partition_of
from models.metrics import Meter
from models.settings import Settings
from streams.batching import BatchTable, Outgoing
from streams.plan import DeadLetter, Incoming, KeyValue, Plan, Stray


class Sender(Protocol):
    """Hands records to the broker and remembers them until they are acknowledged."""

    async def send_many(
        self, topic: str, partition: int, records: Iterable[KeyValue | Outgoing]
    ) -> object: ...

    async def send_acknowledged(
        self, topic: str, partition: int, records: Iterable[KeyValue | Outgoing]
    ) -> object:
        """The same, and wait until the broker has them."""


class Delivery:
    """Where plans go: a table with its changelog, and the topics of everything else."""

    def __init__(self, sender: Sender, meter: Meter, settings: Settings, table: BatchTable) -> None:
        self._sender = sender
        self._meter = meter
        self._settings = settings
        self._table = table

    async def deliver(self, partition: int, plan: Plan) -> None:
        """Hand over everything a plan leads to; its states last."""
        if plan.dead_letters:
            await self._bury(partition, plan.dead_letters)
        if plan.strays:
            await self._send_on(plan.strays)
        if plan.strikes or plan.requests or plan.retries:
            await self._tell(plan)
        if plan.changes:
            await self._table.put(partition, plan.changes)

    async def _tell(self, plan: Plan) -> None:
        topic, partitions = self._settings.topic, self._settings.partitions
        told: defaultdict[tuple[str, int], list[KeyValue]] = defaultdict(list)
        for name, records in (
            (topic("strikes"), plan.strikes),
            (topic("suppression-requests"), plan.requests),
            (topic("retry-requests"), plan.retries),
        ):
            for key, value in records:
                told[name, partition_of(key, partitions)].append((key, value))
        await asyncio.gather(
            *(
                self._sender.send_acknowledged(name, home, records)
                for (name, home), records in told.items()
            )
        )
        self._meter.add("receipts_strikes_total", len(plan.strikes))
        self._meter.add("receipts_retry_requests_total", len(plan.retries))

    async def _bury(self, partition: int, dead_letters: list[DeadLetter]) -> None:
        records = [
            Outgoing(dead.record.key, dead.record.value, dead.headers()) for dead in dead_letters
        ]
        await self._sender.send_many(self._settings.topic("dead-letters"), partition, records)
        counted = Counter((dead.record.topic, dead.refusal.reason) for dead in dead_letters)
        for (topic, reason), number in counted.items():
            labels = {"topic": self._plain(topic), "reason": reason.value}
            self._meter.add("receipts_dead_letters_total", number, **labels)

    async def _send_on(self, strays: list[Stray]) -> None:
        homes: defaultdict[tuple[str, int], list[Outgoing]] = defaultdict(list)
        for stray in strays:
            record = stray.record
            homes[record.topic, stray.partition].append(
                Outgoing(stray.key, record.value, stray.headers(), _timestamp(record))
            )
        for (topic, partition), records in homes.items():
            await self._sender.send_many(topic, partition, records)
            self._meter.add("receipts_strays_total", len(records), topic=self._plain(topic))

    def _plain(self, topic: str) -> str:
        """The topic's name without this installation's prefix."""
        return topic.removeprefix(self._settings.topic_prefix)


def _timestamp(record: Incoming) -> int | None:
    """The record's own time; one that has none gets the time of sending."""
    return record.timestamp if record.timestamp >= 0 else None
