"""Faust in whole batches: agents that receive and send batches, and commits that are safe.

It is faust.App with its own extension points used (transport, topic, stream, table, recovery), and
knows nothing of what the records mean. The parts:

app        BatchApp: settings, declarations, hooks, failure
consumer   hands out batches, commits only what is done and acknowledged; thread: aiokafka's side
producer   send_many, settle; fence: no proof of membership, no produce
table      BatchTable; recovery: restores it in whole batches
topic      BatchTopic and its stream; batch: Batch
runner     run_worker: signals, failures, exit codes
names      the private names relied on, asserted at start
"""

from streams.batching.app import BatchApp
from streams.batching.batch import Batch
from streams.batching.errors import (
    AgentEnded,
    BatchingError,
    FenceLost,
    IncompatibleVersions,
    PartitionNotHeld,
    ProduceFailed,
    QuiesceTimeout,
    RecordTooLarge,
    Stop,
)
from streams.batching.producer import Outgoing, Record
from streams.batching.recovery import RestoreProgress
from streams.batching.runner import EXIT_FAILED, EXIT_OK, run_worker
from streams.batching.table import BatchTable
from streams.batching.topic import BatchTopic

__all__ = [
    "EXIT_FAILED",
    "EXIT_OK",
    "AgentEnded",
    "Batch",
    "BatchApp",
    "BatchTable",
    "BatchTopic",
    "BatchingError",
    "FenceLost",
    "IncompatibleVersions",
    "Outgoing",
    "PartitionNotHeld",
    "ProduceFailed",
    "QuiesceTimeout",
    "Record",
    "RecordTooLarge",
    "RestoreProgress",
    "Stop",
    "run_worker",
]
