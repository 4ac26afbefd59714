"""Delivers plans in the order that makes replays safe (docs/design.md, convergence).

Side outputs (strikes, unsubscribes, retry requests) are acknowledged by the broker before the
states they follow from are logged, and offsets are committed only after all of it is acknowledged;
the batched Faust takes care of that. Side outputs wait for the next commit, and their states wait
with them: applied in memory, not yet logged (ADR 0009). A worker that dies earlier has not
committed their offsets either, so all of it is decided again. Dead letters and rerouted records
need no order: a replay produces the same records again.
"""

import asyncio
import logging
from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import Final, Protocol

from models.dead_letters import letter_of
from models.keys import partition_of
from models.masking import mask_key, mask_values
from models.metrics import Meter
from models.refusal import MAX_DETAIL, Reason
from models.settings import Settings, Topic
from streams.batching import BatchTable, Outgoing
from streams.common.plan import DeadLetter, Incoming, KeyValue, MisroutedRecord, Plan
from streams.kafka.reading import place_of

log = logging.getLogger(__name__)

#: Flush early once this many side outputs are pending, however long the commit interval is.
MAX_DEFERRED: Final = 2_000
_COUNTED_AS: Final[Mapping[str, str]] = {
    "strikes": "receipts_strikes_total",
    "retry-requests": "receipts_retry_requests_total",
}


class Sender(Protocol):
    """Produces records, and keeps commits waiting until they are acknowledged."""

    async def send_many(
        self, topic: str, partition: int, records: Iterable[KeyValue | Outgoing]
    ) -> object: ...

    async def send_acknowledged(
        self, topic: str, partition: int, records: Iterable[KeyValue | Outgoing]
    ) -> object:
        """The same; returns once the broker has acknowledged them."""


class _Deferred:
    """Pending side outputs of one partition by topic, and the states that wait for them."""

    __slots__ = ("outputs", "states")

    def __init__(self) -> None:
        self.outputs: defaultdict[Topic, list[KeyValue]] = defaultdict(list)
        self.states: dict[bytes, bytes | None] = {}

    @property
    def size(self) -> int:
        """Number of pending side outputs."""
        return sum(map(len, self.outputs.values()))


class Delivery:
    """Writes plans to a table with its changelog, and to the topics of everything else."""

    def __init__(self, sender: Sender, meter: Meter, settings: Settings, table: BatchTable) -> None:
        self._sender = sender
        self._meter = meter
        self._settings = settings
        self._table = table
        self._deferred: defaultdict[int, _Deferred] = defaultdict(_Deferred)

    async def deliver(self, partition: int, plan: Plan) -> None:
        """Produce a plan's records and write its states; side outputs and their states wait for
        `flush`.

        Almost every batch has a few side outputs: produced batch by batch, each batch would cost a
        round trip and several small requests.
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
        """Apply deferred states in memory only; returns the changes that may be logged now.

        A message stays deferred until the flush, with its latest state.
        """
        has_outputs = plan.strikes or plan.requests or plan.retries or plan.outputs
        if not has_outputs and partition not in self._deferred:
            return plan.changes
        deferred = self._deferred[partition]
        if has_outputs:
            deferred.outputs["strikes"] += plan.strikes
            deferred.outputs["suppression-requests"] += plan.requests
            deferred.outputs["retry-requests"] += plan.retries
            for topic, records in plan.outputs.items():
                deferred.outputs[topic] += records
        waiting = (plan.deferred_keys | deferred.states.keys()) & plan.changes.keys()
        states = {key: plan.changes[key] for key in waiting}
        self._table.apply_unlogged(partition, states)
        deferred.states |= states
        return {key: value for key, value in plan.changes.items() if key not in waiting}

    async def flush(self, partition: int) -> None:
        """Produce the pending side outputs; once they are acknowledged, log their states."""
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
        """Drop what is pending: the partition's new owner reads its records again."""
        self._deferred.pop(partition, None)

    async def _produce_acknowledged(self, outputs: Mapping[Topic, list[KeyValue]]) -> None:
        """Produce records to the partitions of their keys; returns once they are acknowledged."""
        partitions = self._settings.partitions
        homes: defaultdict[tuple[str, int], list[KeyValue]] = defaultdict(list)
        for name, records in outputs.items():
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
        for misrouted in rerouted:
            record = misrouted.record
            homes[record.topic, misrouted.partition].append(
                Outgoing(misrouted.key, record.value, misrouted.headers(), _timestamp(record))
            )
        for (topic, partition), records in homes.items():
            await self._sender.send_many(topic, partition, records)


def _log_unreadable(dead_letters: Iterable[DeadLetter]) -> None:
    """Log one line per topic and partition: a whole batch may be unreadable."""
    found: defaultdict[tuple[str, int], list[DeadLetter]] = defaultdict(list)
    for dead in dead_letters:
        if dead.refusal.reason is Reason.UNREADABLE:
            found[dead.record.topic, dead.record.partition].append(dead)
    for dead, *others in found.values():
        more = f" (the first of {len(others) + 1} records)" if others else ""
        why = mask_values(dead.refusal.detail[:MAX_DETAIL])
        log.warning("%s: %s%s", place_of(dead.record).shown(mask_key), why, more)


def _timestamp(record: Incoming) -> int | None:
    """The record's own time; None: it has none and gets the time of producing."""
    return record.timestamp if record.timestamp >= 0 else None
