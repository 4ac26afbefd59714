"""`receipts state check`: reads what is on disk or in Kafka, partition by partition."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Collection, Iterable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from aiokafka import TopicPartition
from aiokafka.errors import KafkaError

from deploy import __version__
from deploy.diagnosis.proofs import PartitionCheck, Source, StateCheck
from deploy.kafka.whole_partitions import POLL_MS, PartitionUnread, batches_of
from models.accounts import Accounts, parse_account
from models.refusal import Refusal
from models.settings import Settings, Topic
from streams.batching import StateFolderError, StoppedFolder, scratch_store
from streams.common.proof import Findings
from streams.kafka import clients
from streams.kafka.authorized import absence
from streams.kafka.refusals import no_answer
from streams.kafka.security import kafka_access
from streams.state_check import ChangelogProof, OnProgress, prove

Take = Callable[[Iterable[Any]], None]


class StateCheckError(RuntimeError):
    """Nothing could be checked; the text names the fix."""


def check_disk(
    settings: Settings,
    folder: Path,
    wanted: Sequence[int],
    on_progress: OnProgress,
    *,
    offline: bool,
) -> StateCheck:
    """Check the states of a stopped worker. wanted: partitions; (): all that are there.

    offline: settings of accounts are not read from Kafka; timers of those that have some are not
    proved. Raises StateFolderError when a worker uses the folder, or it has no states;
    StateCheckError.
    """
    stopped = StoppedFolder(folder, settings.app_id)
    try:
        partitions = _of_these(wanted, stopped.partitions(), str(stopped.path))
        accounts = Accounts() if offline else asyncio.run(_accounts_of(settings))
        checks = [
            _check_partition(stopped, partition, accounts, _of_partition(partition, on_progress))
            for partition in partitions
        ]
    finally:
        stopped.close()
    return _document("disk", str(folder), checks)


def _of_partition(partition: int, on_progress: OnProgress) -> OnProgress:
    return lambda what, done, total: on_progress(f"partition {partition}: {what}", done, total)


def _check_partition(
    stopped: StoppedFolder, partition: int, accounts: Accounts, on_progress: OnProgress
) -> PartitionCheck:
    try:
        opened = stopped.open(partition)
        try:
            return _check_of(partition, prove(partition, opened, accounts, on_progress))
        finally:
            opened.close()
    except StateFolderError as error:
        return PartitionCheck(partition, exact=False, problem=str(error))


def _of_these(wanted: Sequence[int], found: Sequence[int], where: str) -> Sequence[int]:
    """The partitions to check. found: those that are there"""
    if not found:
        fix = "name the folder of a worker that has had partitions"
        raise StateCheckError(f"{where} has no partitions. Fix: {fix}")
    if missing := set(wanted) - set(found):
        fix = f"name others; it has {_numbers(found)}"
        raise StateCheckError(f"{where} has no states of {_numbers(missing)}. Fix: {fix}")
    return sorted(set(wanted)) or found


def _numbers(partitions: Collection[int]) -> str:
    word = "partition" if len(partitions) == 1 else "partitions"
    return f"{word} {', '.join(map(str, sorted(partitions)))}"


def _check_of(partition: int, found: Findings) -> PartitionCheck:
    return PartitionCheck(
        partition,
        found.is_exact,
        "",
        found.values,
        found.timers,
        found.days,
        found.cells,
        found.faults,
        tuple(found.examples),
        found.unproved,
    )


def _document(source: Source, where: str, checks: Sequence[PartitionCheck]) -> StateCheck:
    exact = all(check.exact for check in checks)
    now_ms = time.time_ns() // 1_000_000
    return StateCheck(now_ms, __version__, source, where, exact, tuple(checks))


# --- Kafka --------------------------------------------------------------------------------------


async def _accounts_of(settings: Settings) -> Accounts:
    """The settings of all accounts."""
    accounts, topic = Accounts(), settings.topic("accounts")
    try:
        async with _consumer(settings) as consumer:
            for partition in await _partitions(consumer, topic):
                async for records in batches_of(consumer, TopicPartition(topic, partition)):
                    for record in records:
                        _publish(accounts, record, settings.max_event_bytes)
    except StateCheckError as error:
        raise StateCheckError(f"{error}; or add --offline, which reads the folder alone") from error
    return accounts


def _publish(accounts: Accounts, record: Any, limit: int) -> None:
    """As a worker reads it: what is refused leaves the settings in force."""
    if record.key is None:
        return
    if record.value is None:
        accounts.withdraw(record.key.decode(errors="replace"))
    elif not isinstance(found := parse_account(record.value, limit), Refusal):
        accounts.publish(found)


async def check_changelog(
    settings: Settings, wanted: Sequence[int], on_progress: OnProgress
) -> StateCheck:
    """Fold `message-states`, and compare with `status-counters`. Arguments as of `check_disk`.

    Raises StateCheckError.
    """
    states = settings.topic("message-states")
    checks = []
    async with _consumer(settings) as consumer:
        there = await _partitions(consumer, states)
        for partition in _of_these(wanted, there, f"topic {states}"):
            with scratch_store() as store:
                proof = ChangelogProof(partition, store)
                shown = _of_partition(partition, on_progress)
                await _read_changelogs(consumer, settings, partition, proof, shown)
                for count in proof.fold():
                    shown("states", count, proof.states)
                    await asyncio.sleep(0)  # Ctrl-C ends it here
                checks.append(_check_of(partition, proof.prove()))
    return _document("changelog", settings.brokers, checks)


async def _read_changelogs(
    consumer: Any,
    settings: Settings,
    partition: int,
    proof: ChangelogProof,
    on_progress: OnProgress,
) -> None:
    topics: tuple[tuple[Topic, Take], ...] = (
        ("message-states", proof.take_states),
        ("status-counters", proof.take_cells),
    )
    for name, take in topics:
        count = 0
        async for records in batches_of(consumer, TopicPartition(settings.topic(name), partition)):
            take(records)
            count += len(records)
            on_progress(f"records of {name}", count, 0)


async def _partitions(consumer: Any, topic: str) -> list[int]:
    # Metadata of all topics: a request by name would create the topic on the embedded broker.
    cluster = await consumer._client.fetch_all_metadata()
    found = cluster.partitions_for_topic(topic)
    if not found:
        raise StateCheckError(await absence(consumer._client, topic, "READ"))
    return sorted(found)


@asynccontextmanager
async def _consumer(settings: Settings) -> AsyncIterator[Any]:
    consumer = clients.consumer(kafka_access(settings), fetch_max_wait_ms=POLL_MS // 2)
    try:
        await consumer.start()
        yield consumer
    except (KafkaError, OSError) as error:
        user = settings.kafka_sasl_username
        raise StateCheckError(no_answer(settings.brokers, error, "READ", user)) from error
    except PartitionUnread as error:
        fix = "receipts doctor examines Kafka"
        raise StateCheckError(f"{error}. Fix: {fix}") from error
    finally:
        await consumer.stop()
