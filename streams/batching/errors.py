"""Errors by what the caller should do about them.

BatchingError
├── RecordTooLarge      decide: the record is too large to be produced; nothing was sent
├── PartitionNotHeld    skip: the partition is not (or not yet) ours; nothing was applied or sent
├── FenceNotProved      wait: the group coordinator has not confirmed our membership recently
├── IncompatibleVersions  install the pinned versions
├── StateFolderError    mend the folder of the states; the text has the fix
└── Stop                stop: the process must end without committing
    ├── FenceLost       our partitions are, or may be, reassigned to another worker
    ├── ProduceFailed   a record was not acknowledged by the broker
    ├── QuiesceTimeout  a batch was not finished in time when partitions were revoked
    └── AgentEnded      an agent left its stream, so its partitions would not be processed
"""

from __future__ import annotations

import time
from pathlib import Path

from aiokafka.errors import (
    InvalidTimestampError,
    KafkaError,
    UnknownTopicOrPartitionError,
)

from streams.kafka.refusals import AccessRefused


class BatchingError(Exception):
    """Root of all errors of this package."""


class RecordTooLarge(BatchingError):
    """A record of `size` bytes (upper bound, with overhead) exceeds `limit`."""

    def __init__(self, topic: str, size: int, limit: int) -> None:
        super().__init__(f"a record of {size} bytes for topic {topic} exceeds {limit} bytes")
        self.topic = topic
        self.size = size
        self.limit = limit


class PartitionNotHeld(BatchingError):
    """The partition is not held by this worker, or not restored yet."""


class FenceNotProved(BatchingError):
    """Membership was not proved within the session timeout; it may still be proved later."""


class IncompatibleVersions(BatchingError):
    """Faust, mode or aiokafka lack a private name this package relies on."""


class StateFolderError(BatchingError):
    """A folder of states cannot be used."""

    def __init__(self, path: Path, problem: str, fix: str, *, is_corruption: bool = False) -> None:
        super().__init__(f"{path}: {problem}. Fix: {fix}")
        self.is_corruption = is_corruption


class Stop(BatchingError):
    """The process must end; nothing more may be produced or committed."""


class FenceLost(Stop, KafkaError):  # type: ignore[misc]
    """We no longer own our partitions, or none are assigned.

    Also a KafkaError, not retriable: aiokafka then fails the produce futures it guards
    (aiokafka/producer/sender.py:783 catches nothing else).
    """

    retriable = False


class ProduceFailed(Stop):
    """A produce request failed: its records may be lost."""


class QuiesceTimeout(Stop):
    """A batch was not done() in time when its partition was revoked."""


class AgentEnded(Stop):
    """An agent returned or left its `async for`."""


def explain_refusal(error: BaseException, topic: str) -> str:
    """Why Kafka refused records for a topic, and the fix."""
    if isinstance(error, InvalidTimestampError):
        now = time.strftime("%Y-%m-%d %H:%M:%S", time.gmtime())
        return (
            f"Kafka refuses the time of a record for topic {topic} (InvalidTimestampError): it is "
            "further ahead of the broker's clock than the topic's message.timestamp.after.max.ms, "
            f"1 hour by default. This machine's clock shows {now} UTC. Fix: set the clocks of this "
            "machine and of the brokers (NTP), then start again"
        )
    if isinstance(error, UnknownTopicOrPartitionError):
        return f"topic {topic} does not exist. Fix: create it, then start again"
    return repr(error)


def shown(error: BaseException) -> str:
    """An error in a log. The text of a bug may have what people wrote: its type alone."""
    if isinstance(error, BatchingError | AccessRefused):
        return str(error)
    return repr(error) if isinstance(error, KafkaError | OSError) else type(error).__name__


def with_advice(error: BaseException) -> str:
    """The text of a failure, with a fix."""
    own, text = isinstance(error, BatchingError | AccessRefused), shown(error)
    if "Fix: " in text:
        return text
    if own:
        return f"{text}. Fix: start it again; what was not committed is read again"
    return f"{text}. Fix: see the traceback above; what was not committed is read again"
