"""`receipts state check`: reads what is on disk or in Kafka, partition by partition."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Sequence
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
from models.settings import Settings
from streams.batching import StateFolderError, StoppedFolder, scratch_store
from streams.common.proof import Findings
from streams.kafka import clients
from streams.kafka.authorized import absence
from streams.kafka.refusals import no_answer
from streams.kafka.security import kafka_access
from streams.state_check import ChangelogProof, OnProgress, prove


class StateCheckError(RuntimeError):
    """Nothing could be checked; the text names the fix."""


def check_disk(
    settings: Settings, folder: Path, wanted: Sequence[int], accounts: Accounts, done: OnProgress
) -> StateCheck:
    """Check the states of a stopped worker. wanted: partitions; (): all that are there.

    accounts: their settings; timers of accounts with others are not proved. done: called with the
    number of states compared. Raises StateFolderError when a worker uses the folder, or there are
    no states.
    """
    stopped = StoppedFolder(folder, settings.app_id)
    try:
        checks = [
            _check_partition(stopped, partition, accounts, done)
            for partition in _of_these(wanted, stopped.partitions(), str(folder))
        ]
    finally:
        stopped.close()
    return _document("disk", str(folder), checks)


def _check_partition(
    stopped: StoppedFolder, partition: int, accounts: Accounts, done: OnProgress
) -> PartitionCheck:
    try:
        opened = stopped.open(partition)
        try:
            return _check_of(partition, prove(partition, opened, accounts, done))
        finally:
            opened.close()
    except StateFolderError as error:
        return PartitionCheck(partition, exact=False, problem=str(error))


def _of_these(wanted: Sequence[int], found: Sequence[int], where: str) -> Sequence[int]:
    missing = sorted(set(wanted) - set(found))
    if missing or not found:
        what = f"partition {missing[0]}" if missing else "any partition"
        raise StateCheckError(f"{where} has no states of {what}. Fix: name what it has")
    return sorted(set(wanted)) or found


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


async def accounts_of(settings: Settings) -> Accounts:
    """The settings of all accounts. Raises StateCheckError."""
    accounts = Accounts()
    async with _consumer(settings) as consumer:
        topic = settings.topic("accounts")
        for partition in await _partitions(consumer, topic):
            async for records in batches_of(consumer, TopicPartition(topic, partition)):
                for record in records:
                    _publish(accounts, record, settings.max_event_bytes)
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
    settings: Settings, wanted: Sequence[int], done: OnProgress
) -> StateCheck:
    """Fold `message-states`, and compare with `status-counters`. Arguments as of `check_disk`.

    Raises StateCheckError.
    """
    states, cells = settings.topic("message-states"), settings.topic("status-counters")
    checks = []
    async with _consumer(settings) as consumer:
        there = await _partitions(consumer, states)
        for partition in _of_these(wanted, there, f"topic {states}"):
            with scratch_store() as store:
                proof = ChangelogProof(partition, store)
                async for records in batches_of(consumer, TopicPartition(states, partition)):
                    proof.take_states(records)
                    done(len(records))
                async for records in batches_of(consumer, TopicPartition(cells, partition)):
                    proof.take_cells(records)
                checks.append(_check_of(partition, proof.prove()))
    return _document("changelog", settings.brokers, checks)


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
        raise StateCheckError(str(error)) from error
    finally:
        await consumer.stop()
