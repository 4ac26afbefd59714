"""Faust in whole batches: agents that receive and send batches, and commits that are safe.

A faust.App built on Faust's own extension points (transport, topic, stream, table, recovery). It
does not know what the records mean. The parts:

app          BatchApp: settings, declarations, hooks, failure
assignment   who has which partitions, and who keeps copies; assignor: Faust's, by this plan
consumer     hands out batches, commits only what is done and acknowledged; thread: aiokafka's side
producer     send_many, flush; fence: produces only while group membership is proved
table        BatchTable; recovery: restores it in whole batches
stores       what a partition of a table holds, in memory or on disk
topic        BatchTopic and its stream; batch: Batch
runner       run_worker: signals, failures, exit codes
observer     what the app reports for metrics
watchdog     membership, Kafka's silence, and topics, checked while the worker runs
private_api  the private names it relies on, checked at start
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
    StateFolderError,
    Stop,
)
from streams.batching.observer import Observer
from streams.batching.producer import Outgoing, Record
from streams.batching.recovery import RestoreProgress
from streams.batching.runner import EXIT_FAILED, EXIT_OK, run_worker
from streams.batching.stores.base import SECOND_MS, Days, StateStore, Timers
from streams.batching.stores.folder import StateFolder, StateUse
from streams.batching.stores.memory import MemoryStore
from streams.batching.stores.scratch import scratch_store
from streams.batching.stores.stopped import StoppedFolder, StoppedPartition, StoppedTable
from streams.batching.stores.written import Row, WrittenTable
from streams.batching.table import BatchTable
from streams.batching.topic import BatchTopic

__all__ = [
    "EXIT_FAILED",
    "EXIT_OK",
    "SECOND_MS",
    "AgentEnded",
    "Batch",
    "BatchApp",
    "BatchTable",
    "BatchTopic",
    "BatchingError",
    "Days",
    "FenceLost",
    "IncompatibleVersions",
    "MemoryStore",
    "Observer",
    "Outgoing",
    "PartitionNotHeld",
    "ProduceFailed",
    "QuiesceTimeout",
    "Record",
    "RecordTooLarge",
    "RestoreProgress",
    "Row",
    "StateFolder",
    "StateFolderError",
    "StateStore",
    "StateUse",
    "Stop",
    "StoppedFolder",
    "StoppedPartition",
    "StoppedTable",
    "Timers",
    "WrittenTable",
    "run_worker",
    "scratch_store",
]
