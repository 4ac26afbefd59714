"""Doing what a plan decided, in the order that makes replays safe (docs/design.md, convergence).

What others must know (strikes, unsubscribes, retry requests) is acknowledged by the broker before
the states it follows from are written; offsets are committed only after all of it is acknowledged,
which the batched Faust sees to. All of it waits for the next commit, and with it the states behind
it: kept in memory, not yet logged (ADR 0009). A worker that dies before has committed no offset of
theirs either, so all of it is decided again. Dead letters and strays need no order: a replay
refuses and sends on the same records again.
"""

import asyncio
import logging
from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import Final, Protocol

from models.dead_letters import letter_of
from models.keys import partition_of
from models.metrics import Meter
from models.refusal import MAX_DETAIL, Reason
from models.settings import Settings, Topic
from streams.batching import BatchTable, Outgoing
from streams.common.plan import DeadLetter, Incoming, KeyValue, MisroutedRecord, Plan
from streams.kafka.reading import place_of

log = logging.getLogger(__name__)

#: When so many records wait, they are told, however rarely offsets are committed.
MAX_DEFERRED: Final = 2_000
_COUNTED_AS: Final[Mapping[str, str]] = {
    "strikes": "receipts_strikes_total",
    "retry-requests": "receipts_retry_requests_total",
}


class Sender(Protocol):
    """Hands records to the broker and remembers them until they are acknowledged."""

    async def send_many(
        self, topic: str, partition: int, records: Iterable[KeyValue | Outgoing]
    ) -> object: ...

    async def send_acknowledged(
        self, topic: str, partition: int, records: Iterable[KeyValue | Outgoing]
    ) -> object:
        """The same, and wait until the broker has them."""


class _Deferred:
    """What one partition has not told yet, by topic, and the states that may follow it only."""

    __slots__ = ("outputs", "states")

    def __init__(self) -> None:
        self.outputs: defaultdict[Topic, list[KeyValue]] = defaultdict(list)
        self.states: dict[bytes, bytes | None] = {}

    @property
    def size(self) -> int:
        """Records not told yet."""
        return sum(map(len, self.outputs.values()))


class Delivery:
    """Where plans go: a table with its changelog, and the topics of everything else."""

    def __init__(self, sender: Sender, meter: Meter, settings: Settings, table: BatchTable) -> None:
        self._sender = sender
        self._meter = meter
        self._settings = settings
        self._table = table
        self._deferred: defaultdict[int, _Deferred] = defaultdict(_Deferred)

    async def deliver(self, partition: int, plan: Plan) -> None:
        """Hand over what a plan leads to; what others must know, and the states behind it, at
        `flush`.

        Every batch has a few strikes: told one batch at a time they cost a round trip and several
        small requests each, and the suppression agent gets them in crumbs.
        """
        if plan.dead_letters:
            await self._produce_dead_letters(partition, plan.dead_letters)
        if plan.rerouted:
            await self._reroute(plan.rerouted)
        changes = self._defer(partition, plan)
        if changes:
            await self._table.put(partition, changes)
        deferred = self._deferred.get(partition)
        if deferred is not None and deferred.size >= MAX_DEFERRED:
            await self.flush(partition)

    def _defer(self, partition: int, plan: Plan) -> dict[bytes, bytes | None]:
        """Keep what must wait, in memory alone; the changes to write at once.

        A message that waits goes on waiting: its newest state takes the place of the one before.
        """
        tells = plan.strikes or plan.requests or plan.retries
        if not tells and partition not in self._deferred:
            return plan.changes
        deferred = self._deferred[partition]
        if tells:
            deferred.outputs["strikes"] += plan.strikes
            deferred.outputs["suppression-requests"] += plan.requests
            deferred.outputs["retry-requests"] += plan.retries
        late = (plan.deferred_keys | deferred.states.keys()) & plan.changes.keys()
        held = {key: plan.changes[key] for key in late}
        self._table.apply_unlogged(partition, held)
        deferred.states |= held
        return {key: value for key, value in plan.changes.items() if key not in late}

    async def flush(self, partition: int) -> None:
        """Tell what waits; once it is acknowledged, write the states behind it."""
        deferred = self._deferred.pop(partition, None)
        if deferred is None:
            return
        await self._produce_acknowledged(deferred.outputs)
        for topic, records in deferred.outputs.items():
            if records and topic in _COUNTED_AS:
                self._meter.add(_COUNTED_AS[topic], len(records))
        if deferred.states:
            await self._table.put(partition, deferred.states)

    def forget(self, partition: int) -> None:
        """The partition went to another worker, which reads again what waited here."""
        self._deferred.pop(partition, None)

    async def _produce_acknowledged(self, deferred_keys: Mapping[Topic, list[KeyValue]]) -> None:
        """Send records to the partitions of their keys, and wait until the broker has them."""
        partitions = self._settings.partitions
        homes: defaultdict[tuple[str, int], list[KeyValue]] = defaultdict(list)
        for name, records in deferred_keys.items():
            for key, value in records:
                home = partition_of(key, partitions)
                homes[self._settings.topic(name), home].append((key, value))
        await asyncio.gather(
            *(
                self._sender.send_acknowledged(name, home, records)
                for (name, home), records in homes.items()
            )
        )

    async def _produce_dead_letters(self, partition: int, dead_letters: list[DeadLetter]) -> None:
        records = [Outgoing(*letter_of(dead.record, dead.refusal)) for dead in dead_letters]
        await self._sender.send_many(self._settings.topic("dead-letters"), partition, records)
        _log_unreadable(dead_letters)

    async def _reroute(self, rerouted: list[MisroutedRecord]) -> None:
        homes: defaultdict[tuple[str, int], list[Outgoing]] = defaultdict(list)
        for stray in rerouted:
            record = stray.record
            homes[record.topic, stray.partition].append(
                Outgoing(stray.key, record.value, stray.headers(), _timestamp(record))
            )
        for (topic, partition), records in homes.items():
            await self._sender.send_many(topic, partition, records)


def _log_unreadable(dead_letters: Iterable[DeadLetter]) -> None:
    """One line for each topic and partition: a plan may hold a whole batch of such records."""
    found: defaultdict[tuple[str, int], list[DeadLetter]] = defaultdict(list)
    for dead in dead_letters:
        if dead.refusal.reason is Reason.UNREADABLE:
            found[dead.record.topic, dead.record.partition].append(dead)
    for dead, *others in found.values():
        more = f" (the first of {len(others) + 1} records)" if others else ""
        log.warning("%s: %s%s", place_of(dead.record), dead.refusal.detail[:MAX_DETAIL], more)


def _timestamp(record: Incoming) -> int | None:
    """The record's own time; one that has none gets the time of sending."""
    return record.timestamp if record.timestamp >= 0 else None
