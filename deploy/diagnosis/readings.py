"""What `receipts status` reads, with the keys of its JSON: docs/status.md lists every key.

Times are in epoch ms, durations in seconds. None: it could not be read, or does not exist.
"""

from typing import Annotated, Literal

import msgspec

from deploy.diagnosis.findings import Finding, about

Process = Literal["worker", "sink"]


class Topic(msgspec.Struct, frozen=True):
    """One topic of the installation."""

    name: Annotated[str, about("full name, with the prefix")]
    partitions: Annotated[int, about("its partitions")]
    records: Annotated[int | None, about("records between its first and last offsets")]
    per_minute: Annotated[int | None, about("records of the last minute, by their timestamps")]
    per_hour: Annotated[int | None, about("records of the last hour, by their timestamps")]
    without_leader: Annotated[tuple[int, ...], about("partitions that have no leader")]
    under_replicated: Annotated[
        tuple[int, ...], about("partitions with a replica that is not in sync")
    ]


class GroupPartition(msgspec.Struct, frozen=True):
    """A partition that a group reads."""

    topic: Annotated[str, about("full name of the topic")]
    partition: Annotated[int, about("its number")]
    committed: Annotated[int | None, about("offset the group has committed; null: none yet")]
    begin: Annotated[int, about("first offset that Kafka still has")]
    end: Annotated[int, about("offset after the last record")]
    lag_records: Annotated[int, about("records not worked off")]
    lag_seconds: Annotated[
        float | None,
        about("age of the oldest of them, by its Kafka timestamp; 0: none waits"),
    ]
    owner: Annotated[str, about("the member it is assigned to; empty: none")]

    @property
    def deleted(self) -> int:
        """Records that Kafka deleted before the group had read them."""
        return max(0, self.begin - self.committed) if self.committed is not None else 0


class Member(msgspec.Struct, frozen=True):
    """A process in a group."""

    id: Annotated[str, about("Kafka's id of the member")]
    host: Annotated[str, about("address it connects from")]
    partitions: Annotated[int, about("partitions assigned to it, over all topics")]


class Group(msgspec.Struct, frozen=True):
    """The consumer group of the workers or of the sinks."""

    process: Annotated[Process, about("worker or sink")]
    name: Annotated[str, about("name of the group")]
    state: Annotated[
        str, about("Kafka's word: Stable, PreparingRebalance, Empty, Dead …; empty: unknown")
    ]
    members: Annotated[tuple[Member, ...], about("its processes")]
    partitions: Annotated[tuple[GroupPartition, ...], about("what it reads")]

    @property
    def lag_records(self) -> int:
        """Records not worked off."""
        return sum(each.lag_records for each in self.partitions)

    @property
    def lag_seconds(self) -> float | None:
        """Age of the oldest record not worked off; None while it is unknown."""
        ages = [each.lag_seconds for each in self.partitions if each.lag_records]
        known = [age for age in ages if age is not None]
        return max(known) if known else (None if ages else 0.0)


class DeadLetters(msgspec.Struct, frozen=True):
    """Dead letters of one reason."""

    reason: Annotated[str, about("reason code")]
    topic: Annotated[str, about("full name of the topic the records came from")]
    hour: Annotated[int, about("of the last hour")]
    day: Annotated[int, about("of the last 24 hours")]


class Kafka(msgspec.Struct, frozen=True):
    """What Kafka has answered."""

    brokers: Annotated[int, about("brokers in the cluster")]
    release: Annotated[str, about("release of Apache Kafka whose protocol they speak")]
    topics: Annotated[tuple[Topic, ...], about("topics of the installation that exist")]
    missing: Annotated[tuple[str, ...], about("topics that are missing")]
    differences: Annotated[
        tuple[str, ...], about("what differs from the settings so that no process starts")
    ]
    groups: Annotated[tuple[Group, ...], about("workers and sinks")]
    dead_letters_hour: Annotated[int | None, about("dead letters of the last hour")]
    dead_letters_day: Annotated[int | None, about("dead letters of the last 24 hours")]
    dead_letters: Annotated[
        tuple[DeadLetters, ...],
        about("by reason, of the newest 1,000 of the last 24 hours at most"),
    ]
    unread: Annotated[tuple[str, ...], about("what could not be read, and why")]


class Table(msgspec.Struct, frozen=True):
    """A table of ClickHouse."""

    name: Annotated[str, about("its name")]
    rows: Annotated[int, about("rows stored, duplicates that a merge will remove included")]
    parts: Annotated[int, about("most active parts in one of its partitions")]
    written_s: Annotated[
        float | None,
        about("since its newest part was written, by an insert or a merge; null: never"),
    ]
    per_minute: Annotated[
        int | None,
        about("rows inserted in the last minute; null: ClickHouse forgets merged parts too soon"),
    ]


class Database(msgspec.Struct, frozen=True):
    """What ClickHouse has answered."""

    version: Annotated[str, about("version of ClickHouse; empty: the database does not exist yet")]
    pending: Annotated[tuple[str, ...], about("migrations that are missing")]
    edited: Annotated[tuple[str, ...], about("migrations that were edited after they were applied")]
    newer: Annotated[tuple[str, ...], about("migrations of a newer version of receipts")]
    schema: Annotated[str, about("the latest migration that is applied")]
    tables: Annotated[tuple[Table, ...], about("tables with data")]
    parts_limit: Annotated[
        int | None, about("parts in a partition from which ClickHouse delays inserts")
    ]
    suppressed: Annotated[dict[str, int] | None, about("suppressed recipients by channel")]
    unread: Annotated[tuple[str, ...], about("what could not be read, and why")]


class Page(msgspec.Struct, frozen=True):
    """A process, by its monitoring pages."""

    url: Annotated[str, about("address of its pages")]
    required: Annotated[bool, about("whether it was named by --page")]
    problem: Annotated[str, about("why it could not be read; empty: it was")]
    process: Annotated[str, about("worker or sink; empty: unknown")]
    version: Annotated[str, about("version of receipts that it runs")]
    silent: Annotated[
        dict[str, float], about("parts without a heartbeat, by seconds: then it is not alive")
    ]
    reasons: Annotated[dict[str, str], about("why it is not ready, by part; empty: it is")]
    restoring: Annotated[
        dict[str, int], about("changelog records left to restore, by partition; only unrestored")
    ]
    uptime_s: Annotated[float | None, about("since it started")]
    memory_bytes: Annotated[int | None, about("resident memory")]
    states: Annotated[int | None, about("message states in memory; a worker's")]
    refused: Annotated[
        bool, about("it answers, but refuses the token, or its certificate is not trusted")
    ] = False
    fix: Annotated[str, about("what to do then; empty: it is not refused")] = ""
    standbys: Annotated[
        dict[str, int], about("records that its copies of others' partitions lack, by partition")
    ] = {}


class Status(msgspec.Struct, frozen=True):
    """The whole document."""

    taken_at: Annotated[int, about("when it was read")]
    version: Annotated[str, about("version of receipts that read it")]
    topic_prefix: Annotated[str, about("RECEIPTS_TOPIC_PREFIX")]
    well: Annotated[bool, about("whether no finding is an error; the exit code follows it")]
    findings: Annotated[tuple[Finding, ...], about("what is wrong, errors first")]
    kafka: Annotated[Kafka | None, about("null: Kafka does not answer")]
    kafka_problem: Annotated[str, about("why; empty: it answers")]
    clickhouse: Annotated[Database | None, about("null: ClickHouse does not answer")]
    clickhouse_problem: Annotated[str, about("why; empty: it answers")]
    pages: Annotated[tuple[Page, ...], about("worker and sink processes by their pages")]
