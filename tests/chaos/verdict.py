"""What became of everything: the ledger, the dead letters of hostile records, the lag."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import clickhouse_connect
from aiokafka import TopicPartition

from deploy.simulator.event import Published
from deploy.simulator.ledger import queries as tables
from deploy.simulator.ledger.compare import Ledger, expectation, wait_until_balanced
from deploy.simulator.oracle.expect import DeadLetter, Expected
from models.settings import Settings
from streams.kafka import clients
from streams.kafka.security import Access

ROUND_S = 8.0
POLL_S = 0.5
READ_S = 20
SAMPLE = 64


class Hostile(NamedTuple):
    """A record that no producer should write, as it lies in Kafka.

    must: whether it has to become a dead letter (others may). With which reason is not judged, and
    of its bytes only the first: whatever is too large is cut.
    """

    record: Published
    must: bool

    @property
    def origin(self) -> tuple[str, int, int]:
        """Topic, partition, offset."""
        return self.record[:3]

    @property
    def name(self) -> str:
        """For people."""
        return "{}[{}]@{}".format(*self.origin) + f" ({self.record.note})"


@dataclass(frozen=True, slots=True)
class Verdict:
    """missing: hostile records without a dead letter, or whose dead letter has other bytes."""

    ledger: Ledger
    missing: tuple[str, ...]

    @property
    def balances(self) -> bool:
        """True when everything is as it should be."""
        return self.ledger.balances and not self.missing


def judge(
    url: str, truths: Sequence[Path], hostile: Sequence[Hostile], timeout_s: float
) -> Verdict:
    """The verdict once all balances, or as it is when the time is up. Blocking.

    url: ClickHouse, `http://user:password@host:port/database`.
    """
    client = clickhouse_connect.get_client(dsn=url, send_receive_timeout=READ_S)
    give_up = time.monotonic() + timeout_s
    try:
        while True:
            missing = _wait_for_letters(client, hostile, give_up)
            expected = expectation(truths, time.time_ns() // 1_000_000)
            _add(expected, client, hostile)
            left = max(give_up - time.monotonic(), 0)
            verdict = Verdict(wait_until_balanced(client, expected, min(left, ROUND_S)), missing)
            if verdict.balances or not left:
                return verdict
    finally:
        client.close()


def _letters(client: Any, hostile: Sequence[Hostile]) -> dict[Any, tuple[DeadLetter, bytes]]:
    """Dead letters of hostile records by origin, with their first bytes."""
    if not hostile:
        return {}
    origins = ", ".join(f"('{t}', {p}, {o})" for t, p, o in (h.origin for h in hostile))
    query = f"{tables.DEAD_LETTERS} WHERE (topic, partition, offset) IN ({origins})"
    cut = f"hex(substring(ifNull(value, ''), 1, {SAMPLE}))"
    query = query.replace("FROM", f", {cut} FROM", 1)
    rows = tables.rows(client, query)
    return {tuple(row[:3]): (DeadLetter(*row[3:6]), bytes.fromhex(row[6])) for row in rows}


def _wait_for_letters(client: Any, hostile: Sequence[Hostile], give_up: float) -> tuple[str, ...]:
    while True:
        found = _letters(client, hostile)
        missing = [h for h in hostile if h.must and h.origin not in found]
        if not missing or time.monotonic() > give_up:
            break
        time.sleep(POLL_S)
    others = [
        f"{h.name}: other bytes"
        for h in hostile
        if h.origin in found and not (h.record.value or b"").startswith(found[h.origin][1])
    ]
    return (*(f"{h.name}: no dead letter" for h in missing), *others)


def _add(expected: Expected, client: Any, hostile: Sequence[Hostile]) -> None:
    """The ledger expects the dead letters of hostile records as they are."""
    for origin, (letter, _) in _letters(client, hostile).items():
        expected.dead_letters[origin] = letter
        expected.events += 1


async def lag(settings: Settings, brokers: str) -> dict[str, int]:
    """Records that each consumer group has not committed, by group, as Kafka's tools count it."""
    admin = clients.admin(Access(brokers))
    consumer = clients.consumer(Access(brokers), isolation_level="read_uncommitted")
    await admin.start()
    await consumer.start()
    try:
        found = {}
        for group in (settings.app_id, settings.sink_group):
            committed = await admin.list_consumer_group_offsets(group)
            ends = await _ends(consumer, list(committed), settings.topic_prefix)
            found[group] = sum(end - committed[tp].offset for tp, end in ends.items())
        return found
    finally:
        await admin.close()
        await consumer.stop()


async def _ends(
    consumer: Any, partitions: Sequence[TopicPartition], prefix: str
) -> dict[TopicPartition, int]:
    ours = [tp for tp in partitions if tp.topic.startswith(prefix)]
    ends: dict[TopicPartition, int] = await consumer.end_offsets(ours) if ours else {}
    return ends
