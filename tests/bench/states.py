"""A table of message states as a worker leaves it, written to Kafka for restore, sink and state.

Some thousand real states come out of simulated traffic and the real shard; they are repeated under
new message ids until there are enough. `store` also writes counter cells: the fold over all of
them, as published. `fill` writes any number of states, of many hours, and leaves the cells to the
worker that restores them.
"""

import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import chain, cycle, islice
from random import Random
from typing import NamedTuple
from uuid import UUID
from zlib import crc32

from models.accounts import Accounts, AccountSettings
from models.counters import encode_cell
from models.keys import account_of, message_key, partition_of, split_key
from models.retries import next_timer_at
from models.state import MessageState, decode, encode
from streams.batching import MemoryStore
from streams.followers.suppression_index import SuppressionIndex
from streams.lifecycle.shard import Rules, Shard
from tests.bench.traffic import Outgoing, events, producing, send_all
from tests.support.records import record

TEMPLATE_EVENTS = 60_000
PORTION = 2000
EPOCH = 1 << 32
SOON_MS = 6 * 3_600_000


class Stored(NamedTuple):
    """What was written."""

    states: int
    cells: int
    bytes_per_state: float


#: States that are repeated in turn before the next ones are.
AT_ONE_TIME = 500


class Sample(NamedTuple):
    """A state to be repeated under other message ids."""

    account: str
    state: MessageState


def aged(hours: Iterable[int], events_each: int) -> list[Sample]:
    """States of several hours, the oldest first. hours: their ends, epoch ms

    None has a timer that is due soon. One in ten of those that wait for a timer is kept: after an
    hour most messages are final.
    """
    soon_ms = time.time_ns() // 1_000_000 + SOON_MS
    by_hour, defaults = [], AccountSettings(account="any")
    for seed, hour_ms in enumerate(sorted(hours), 1):
        found = []
        for key, value in templates(events_each, "hour", seed, hour_ms).items():
            state, account = decode(value), account_of(key)
            due_ms = next_timer_at(state, defaults)
            if not due_ms or (due_ms > soon_ms and crc32(key) % 10 == 0):
                found.append(Sample(account, state))
        by_hour.append(found)
    return list(chain.from_iterable(by_hour))


async def fill(
    brokers: str, topic: str, partitions: int, samples: Sequence[Sample], numbers: range
) -> float:
    """Write states to a changelog, one for each number; bytes of a value, on average."""
    now_ms, size = time.time_ns() // 1_000_000, 0

    def outgoing() -> Iterator[Outgoing]:
        nonlocal size
        for key, value in under_uuids(samples, numbers):
            size += len(value)
            yield Outgoing(topic, partition_of(key, partitions), now_ms, key, value)

    async with producing(brokers) as producer:
        await send_all(producer, outgoing())
    return round(size / len(numbers), 1)


def under_uuids(samples: Sequence[Sample], numbers: range) -> Iterator[tuple[bytes, bytes]]:
    """Keys and values of states, one for each number.

    Those of one time follow each other, as in a changelog that is compacted. Message ids are UUIDs,
    as most are: they take space that ids in a row would not.
    """
    random = Random(numbers.start)
    starts = range(0, len(samples), AT_ONE_TIME)
    for place, number in enumerate(numbers):
        start = starts[place * len(starts) // len(numbers)]
        among = min(AT_ONE_TIME, len(samples) - start)
        account, state = samples[start + place % among]
        state.version = EPOCH + number
        yield message_key(account, str(UUID(int=random.getrandbits(128)))), encode(state)


def templates(count: int, shape: str, seed: int = 1, as_of_ms: int = 0) -> dict[bytes, bytes]:
    """States as `count` simulated events make them in order of arrival, by message key."""
    states = MemoryStore()
    shard = Shard(0, states, Rules(1), Accounts(), SuppressionIndex())
    for event in events(count, shape, seed, as_of_ms):
        incoming = record(event.kind, event.key, event.value, event.arrival_ms)
        plan = shard.plan(event.kind, [incoming], event.arrival_ms)
        states.update({key: value for key, value in plan.changes.items() if value is not None})
    return states


def repeated(states: dict[bytes, bytes], count: int) -> Iterator[tuple[bytes, bytes]]:
    """`count` states under keys of their own, versions growing."""
    known = [(split_key(key), decode(value)) for key, value in states.items()]
    for number, ((account, message_id), state) in enumerate(islice(cycle(known), count)):
        state.version = EPOCH + number
        yield message_key(account, f"{message_id}-{number:07x}"), encode(state)


async def store(brokers: str, prefix: str, partitions: int, count: int, shape: str) -> Stored:
    """Write `count` states and their cells to the topics of an installation."""
    held = [MemoryStore() for _ in range(partitions)]
    for key, value in repeated(templates(min(TEMPLATE_EVENTS, count * 3), shape), count):
        held[partition_of(key, partitions)][key] = value
    size = sum(len(value) for states in held for value in states.values())
    cells = [_cells(partition, states, partitions) for partition, states in enumerate(held)]
    async with producing(brokers) as producer:
        await send_all(producer, _outgoing(prefix + "message-states", held))
        await send_all(producer, _outgoing(prefix + "status-counters", cells))
    return Stored(count, sum(map(len, cells)), round(size / count, 1))


def _cells(partition: int, states: MemoryStore, partitions: int) -> dict[bytes, bytes]:
    shard = Shard(partition, states, Rules(partitions), Accounts(), SuppressionIndex())
    for _ in shard.fold():
        pass
    shard.finish_restore({}, 1)
    version = EPOCH + len(states) * partitions
    return {
        c.key: encode_cell(version + n, c.counts) for n, c in enumerate(shard.cells.take_dirty())
    }


def _outgoing(topic: str, held: Sequence[Mapping[bytes, bytes]]) -> Iterator[Outgoing]:
    """Partitions side by side, as they grow in life."""
    now_ms = time.time_ns() // 1_000_000
    streams = [iter(states.items()) for states in held]
    while True:
        portions = [list(islice(stream, PORTION)) for stream in streams]
        if not any(portions):
            return
        for partition, portion in enumerate(portions):
            for key, value in portion:
                yield Outgoing(topic, partition, now_ms, key, value)
