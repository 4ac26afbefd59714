"""What can go wrong, and what the caller should do about it.

BatchingError
├── RecordTooLarge      decide: the record cannot be produced at its size; nothing was sent
├── PartitionNotHeld    skip: the partition is not (or not yet) ours; nothing was applied or sent
├── IncompatibleVersions  install the pinned versions
└── Stop                nothing to decide: the process must end without committing
    ├── FenceLost       the consumer group may have given our partitions to another worker
    ├── ProduceFailed   a record was not acknowledged by the broker
    ├── NotQuiet        an agent did not finish its batch in time when partitions had to be given up
    └── AgentEnded      an agent left its stream, so its partitions would stand still
"""

from __future__ import annotations

from aiokafka.errors import KafkaError


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


class IncompatibleVersions(BatchingError):
    """Faust, mode or aiokafka lack a private name this package relies on."""


class Stop(BatchingError):
    """The process must end; nothing more may be produced or committed."""


class FenceLost(Stop, KafkaError):  # type: ignore[misc]
    """No proof that we still own our partitions.

    Also a KafkaError, not retriable: aiokafka then fails the produce futures it guards
    (aiokafka/producer/sender.py:783 catches nothing else).
    """

    retriable = False


class ProduceFailed(Stop):
    """A produce future failed: what it carried may be lost."""


class NotQuiet(Stop):
    """A batch was still not done() when its partition had to be given up."""


class AgentEnded(Stop):
    """An agent returned or left its `async for`."""
