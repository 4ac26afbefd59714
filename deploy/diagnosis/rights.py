"""The rights that each process needs, in the words of Kafka and ClickHouse."""

from collections.abc import Mapping
from typing import Final, get_args

from deploy.diagnosis.readings import Process
from models.settings import Settings, Topic

Operations = frozenset[str]

_READS: Final[Mapping[Process, tuple[Topic, ...]]] = {
    "worker": (
        "sends", "receipts", "engagements", "accounts", "suppression-requests", "message-states",
        "status-counters", "strikes", "suppressions",
    ),
    "sink": get_args(Topic),
}  # fmt: skip
#: A worker reroutes misrouted records to the topics it reads.
_WRITES: Final[Mapping[Process, tuple[Topic, ...]]] = {
    "worker": (
        "sends", "receipts", "engagements", "suppression-requests", "message-states",
        "status-counters", "strikes", "suppressions", "retry-requests", "dead-letters",
    ),
    "sink": ("dead-letters",),
}  # fmt: skip
#: Both compare all topics with the settings before they start.
_COMPARES: Final = ("DESCRIBE", "DESCRIBE_CONFIGS")

#: Of the sink on the tables it fills, and on the database when it migrates too.
SINK_RIGHTS: Final = ("SELECT", "INSERT")
MIGRATION_RIGHTS: Final = ("CREATE TABLE", "CREATE VIEW", "DROP VIEW", "ALTER TABLE")


def kafka_rights(settings: Settings, process: Process) -> dict[str, Operations]:
    """Operations that a process needs, by "topic NAME" and "group NAME"."""
    group = settings.app_id if process == "worker" else settings.sink_group
    needed = {f"group {group}": frozenset({"READ"})}
    for topic in get_args(Topic):
        operations = set(_COMPARES)
        operations |= {"READ"} if topic in _READS[process] else set()
        operations |= {"WRITE"} if topic in _WRITES[process] else set()
        needed[f"topic {settings.topic(topic)}"] = frozenset(operations)
    return needed
