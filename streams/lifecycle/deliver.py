"""Doing what a plan decided, in the order that makes replays safe (DESIGN §4).

Side outputs are handed over before the states they come with; offsets are committed only after all
of it is acknowledged, which the batched Faust sees to.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping
from typing import Protocol

from models.counters import SLOTS, encode_cell, encode_retired, retired_key
from models.metrics import Meter
from streams.batching import BatchTable, Outgoing
from streams.lifecycle.plan import DeadLetter, Plan, Stray
from streams.lifecycle.shard import BREATH, Shard


class Sender(Protocol):
    """Hands records to the broker and remembers them until they are acknowledged."""

    async def send_many(
        self, topic: str, partition: int, records: Iterable[Outgoing]
    ) -> object: ...


class Delivery:
    """Where plans go: two tables with their changelogs, dead letters, and strays' own topics.

    dead_letters: the installation's topic of dead letters
    topics: its topic name → `sends`, `receipts` or `engagements`
    """

    def __init__(
        self,
        sender: Sender,
        meter: Meter,
        states: BatchTable,
        cells: BatchTable,
        dead_letters: str,
        topics: Mapping[str, str],
    ) -> None:
        self._sender = sender
        self._meter = meter
        self._states = states
        self._cells = cells
        self._dead_letters = dead_letters
        self._topics = topics

    async def deliver(self, shard: Shard, plan: Plan) -> None:
        """Hand over everything a plan leads to; its states last."""
        if plan.dead_letters:
            await self._bury(shard.partition, plan.dead_letters)
        if plan.strays:
            await self._send_on(plan.strays)
        if plan.changes:
            await self._states.put(shard.partition, plan.changes)
        self._report(plan)

    async def _bury(self, partition: int, dead_letters: list[DeadLetter]) -> None:
        records = [
            Outgoing(dead.record.key, dead.record.value, dead.headers()) for dead in dead_letters
        ]
        await self._sender.send_many(self._dead_letters, partition, records)
        counted = Counter((dead.record.topic, dead.refusal.reason) for dead in dead_letters)
        for (topic, reason), number in counted.items():
            self._meter.add(
                "receipts_dead_letters_total", number, topic=self._topics[topic], reason=reason
            )

    async def _send_on(self, strays: list[Stray]) -> None:
        homes: defaultdict[tuple[str, int], list[Outgoing]] = defaultdict(list)
        for stray in strays:
            record = stray.record
            homes[record.topic, stray.partition].append(
                Outgoing(stray.key, record.value, stray.headers(), max(record.timestamp, 0))
            )
        for (topic, partition), records in homes.items():
            await self._sender.send_many(topic, partition, records)
            self._meter.add("receipts_strays_total", len(records), topic=self._topics[topic])

    async def publish_cells(self, shard: Shard) -> None:
        """Write the cells that changed since the last time, as absolute values."""
        changes: dict[bytes, bytes | None] = {}
        for cell in shard.cells.take_dirty():
            shard.version += 1
            changes[cell.key] = encode_cell(shard.version, cell.counts)
        if changes:
            await self._cells.put(shard.partition, changes)

    async def mark_retired(self, shard: Shard, day: int) -> None:
        """Say for good that all days up to `day` are final."""
        shard.version += 1
        mark = encode_retired(shard.version, day)
        await self._cells.put(shard.partition, {retired_key(shard.partition): mark})

    async def forget(self, shard: Shard, states: list[bytes], cells: list[bytes]) -> None:
        """Tombstone states and cells of retired days, a breath at a time."""
        for keys in _portions(states):
            await self._states.put(shard.partition, dict.fromkeys(keys))
        for keys in _portions(cells):
            await self._cells.put(shard.partition, dict.fromkeys(keys))
        self._meter.add("receipts_retired_total", len(states))

    def _report(self, plan: Plan) -> None:
        meter = self._meter
        for slot, number in plan.statuses.items():
            meter.add("receipts_state_changes_total", number, status=SLOTS[slot])
        for (channel, provider), seconds in plan.delays.items():
            meter.observe_many(
                "receipts_time_to_deliver_seconds", seconds, channel=channel, provider=provider
            )
        if plan.conflicts:
            meter.add("receipts_conflicts_total", plan.conflicts)
        if plan.expired:
            meter.add("receipts_expired_total", plan.expired)


def _portions(keys: list[bytes]) -> Iterator[list[bytes]]:
    for start in range(0, len(keys), BREATH):
        yield keys[start : start + BREATH]
