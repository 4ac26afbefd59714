"""The least rights in Kafka that each process and command needs: one table.

`receipts topics --acls` prints them, worker, sink and commands check them, docs/security.md shows
them. Kafka grants DESCRIBE with READ and with WRITE, so it is named only where neither is needed.
"""

from collections.abc import Mapping
from typing import Final, Literal, NamedTuple, get_args

from models.settings import CALLBACK_TOPICS, Settings, Topic

Operation = Literal["READ", "WRITE", "CREATE", "DESCRIBE", "DESCRIBE_CONFIGS"]
Kind = Literal["topic", "group"]
Program = Literal[
    "worker",
    "sink",
    "admin",
    "upstream",
    "simulator",
    "suppressions",
    "status",
    "listen",
    "callbacks",
    "replay",
]


class Right(NamedTuple):
    """An operation on a topic or a consumer group, by its full name."""

    kind: Kind
    name: str
    operation: Operation

    def __str__(self) -> str:
        return f"{self.operation} on {self.kind} {self.name}"


class Needs(NamedTuple):
    """What a program does. group: suffix of the app id; None: it has no consumer group.

    checks: topics whose configuration it reads before it starts. watches: suffixes of groups that
    it looks at without joining them.
    """

    meaning: str
    reads: tuple[Topic, ...] = ()
    writes: tuple[Topic, ...] = ()
    creates: tuple[Topic, ...] = ()
    checks: tuple[Topic, ...] = ()
    group: str | None = None
    watches: tuple[str, ...] = ()


_ALL: Final[tuple[Topic, ...]] = get_args(Topic)
_EVENTS: Final[tuple[Topic, ...]] = (
    "sends", "receipts", "engagements", "campaigns", "accounts", "suppression-requests"
)  # fmt: skip
_WORKER_READS: Final[tuple[Topic, ...]] = (
    "sends", "receipts", "engagements", "strikes", "suppression-requests", "accounts",
    "message-states", "status-counters", "suppressions",
    "callbacks", "provider-ids", "provider-receipts", "provider-links", "provider-correlations",
)  # fmt: skip
_WORKER_WRITES: Final[tuple[Topic, ...]] = (
    # records with a wrong key go back to their own topic
    "sends", "receipts", "engagements", "strikes", "suppression-requests",
    "message-states", "status-counters", "suppressions", "retry-requests", "dead-letters",
    "provider-receipts", "provider-links", "provider-correlations", "unmatched-receipts",
)  # fmt: skip
_WORKER: Final = tuple(t for t in _ALL if t in _WORKER_READS or t in _WORKER_WRITES)

#: Of the topics of callbacks people read the one that has what was not found.
_SINK: Final = tuple(t for t in _ALL if t not in CALLBACK_TOPICS or t == "unmatched-receipts")

NEEDS: Final[Mapping[Program, Needs]] = {
    "worker": Needs("`receipts worker`", _WORKER_READS, _WORKER_WRITES, (), _WORKER, ""),
    "sink": Needs("`receipts sink`", _SINK, ("dead-letters",), (), _SINK, "-sink"),
    "admin": Needs("`receipts topics`", (), (), _ALL, _ALL),
    "upstream": Needs("services that publish events", writes=(*_EVENTS, "provider-ids")),
    "listen": Needs("`receipts listen`", writes=("callbacks",)),
    "callbacks": Needs(
        "`receipts callbacks`", ("callbacks", "provider-correlations", "dead-letters")
    ),
    "replay": Needs("`receipts replay-callbacks`", ("callbacks",), ("callbacks",)),
    "simulator": Needs("`receipts simulate`", writes=_EVENTS),
    "suppressions": Needs("`receipts suppressions`", ("suppressions",), ("suppression-requests",)),
    "status": Needs("`receipts status`", _ALL, checks=_ALL, watches=("", "-sink")),
}


def rights_of(program: Program, settings: Settings) -> list[Right]:
    """The least rights of a program, topic by topic."""
    needs = NEEDS[program]
    by_operation: tuple[tuple[Operation, tuple[Topic, ...]], ...] = (
        ("READ", needs.reads),
        ("WRITE", needs.writes),
        ("CREATE", needs.creates),
        ("DESCRIBE", tuple(t for t in needs.checks if t not in needs.reads + needs.writes)),
        ("DESCRIBE_CONFIGS", needs.checks),
    )
    found = [
        Right("topic", settings.topic(topic), operation)
        for operation, topics in by_operation
        for topic in settings.topics
        if topic in topics
    ]
    if needs.group is not None:
        found.append(Right("group", settings.app_id + needs.group, "READ"))
    found += [Right("group", settings.app_id + suffix, "DESCRIBE") for suffix in needs.watches]
    return found
