"""Everything that `receipts status` and `receipts doctor` can find, and where its help is."""

from typing import Annotated, Final, Literal, NamedTuple

import msgspec

Severity = Literal["error", "warning"]


def about(text: str) -> msgspec.Meta:
    """The meaning of a key of the JSON, for docs/status.md."""
    return msgspec.Meta(description=text)


class Finding(msgspec.Struct, frozen=True):
    """One thing that is wrong, with its remedy."""

    kind: Annotated[str, about("its stable name, from the table of findings")]
    severity: Annotated[
        Severity,
        about("error: exit code 1; warning: worth a look"),
    ]
    where: Annotated[str, about("topic, group, table, setting …")]
    problem: Annotated[str, about("what is wrong, with the values")]
    fix: Annotated[str, about("what to do first")]
    help: Annotated[str, about("page of docs/ and section with more")]


class Kind(NamedTuple):
    """meaning: for the table of docs/status.md. section: page of docs/ and heading that helps."""

    meaning: str
    section: str


def _of(alert: str) -> str:
    """The section of the runbook on an alert that has the same cause."""
    return f"runbook.md#{alert.lower()}"


_LOOK: Final = "runbook.md#look-here-first"
_START: Final = "runbook.md#starting-and-stopping"
_WORKER: Final = "runbook.md#the-worker"
_SINK: Final = "runbook.md#the-sink"
_DOCTOR: Final = "status.md#receipts-doctor"
_SETTINGS: Final = "settings.md#settings"


#: The fix for a library that cannot be used.
REINSTALL: Final = "install the versions that pyproject.toml pins"

KINDS: Final[dict[str, Kind]] = {
    # Kafka
    "kafka_away": Kind("Kafka does not answer", _of("ReceiptsNotReady")),
    "kafka_refused": Kind(
        "Kafka refuses the login, the certificate or a right", _of("ReceiptsKafkaRefuses")
    ),
    "kafka_unread": Kind("Kafka answers, but not everything could be read", _LOOK),
    "topics_missing": Kind("topics of the installation do not exist", _WORKER),
    "topics_differ": Kind("topics differ from the settings", _WORKER),
    "no_leader": Kind(
        "a partition has no leader: it cannot be read or written", _of("ReceiptsNotReady")
    ),
    "under_replicated": Kind(
        "a partition lacks replicas that are in sync", _of("ReceiptsKafkaErrors")
    ),
    # groups
    "no_process": Kind("no worker, or no sink, is in its consumer group", _START),
    "rebalancing": Kind("a group is distributing its partitions", _of("ReceiptsRebalances")),
    "unowned": Kind("a partition is assigned to no process", _of("ReceiptsLagHigh")),
    "lag": Kind("records have waited for long to be worked off", _of("ReceiptsLagHigh")),
    "sink_lag": Kind(
        "records have waited for long to be written to ClickHouse", _of("ReceiptsLagHigh")
    ),
    "records_deleted": Kind(
        "Kafka deleted records before they were worked off", _of("ReceiptsNoSink")
    ),
    # processes
    "page_away": Kind("the pages of a process that --page names do not answer", _LOOK),
    "not_alive": Kind("a process hangs: parts of it have no heartbeat", _of("ReceiptsStuck")),
    "not_ready": Kind("a process is not ready", _of("ReceiptsNotReady")),
    "restoring": Kind(
        "a worker restores partitions and does not process them yet", _of("ReceiptsRestoreSlow")
    ),
    "version_differs": Kind("a process runs another version of receipts", _START),
    # ClickHouse
    "clickhouse_away": Kind("ClickHouse does not answer", _of("ReceiptsSinkNotWriting")),
    "clickhouse_refused": Kind(
        "ClickHouse refuses user, password or database, or its folder cannot be used",
        _SINK,
    ),
    "clickhouse_in_use": Kind("another process has the embedded engine open", _SINK),
    "clickhouse_unread": Kind("ClickHouse answers, but not everything could be read", _SINK),
    "schema_behind": Kind("migrations are missing", _SINK),
    "schema_edited": Kind("an applied migration was edited", _SINK),
    "schema_newer": Kind("the database has migrations of a newer version", _START),
    "parts": Kind(
        "a table has so many parts that ClickHouse delays or refuses inserts",
        _of("ReceiptsClickHouseParts"),
    ),
    # input
    "dead_letters": Kind("records were refused in the last hour", _of("ReceiptsDeadLetters")),
    "codecs": Kind("the Kafka client cannot read all records", _SINK),
    # doctor only
    "settings": Kind("a setting is wrong", _SETTINGS),
    "one_replica": Kind("topics have one replica on a cluster of several brokers", _DOCTOR),
    "broker_unreachable": Kind("an address of Kafka cannot be connected to", _DOCTOR),
    "certificate": Kind(
        "a certificate has ended or soon will, or its end cannot be read",
        _of("ReceiptsCertificateExpires"),
    ),
    "kafka_rights": Kind("the user lacks a right on a topic, group or the cluster", _DOCTOR),
    "clickhouse_rights": Kind("the user lacks a right on a table", _DOCTOR),
    "clock": Kind("two clocks differ", _of("ReceiptsClockWrong")),
    "disk": Kind("a disk is nearly full", _DOCTOR),
    "state_dir": Kind("a worker cannot keep states in RECEIPTS_STATE_DIR, or not well", _DOCTOR),
    "libraries": Kind("an installed library is not the pinned version", _DOCTOR),
    "file_limit": Kind("the process may open too few files", _DOCTOR),
}


def finding(kind: str, severity: Severity, where: str, problem: str, fix: str) -> Finding:
    """A finding with its help. Raises KeyError for a kind that is not in the table."""
    return Finding(kind, severity, where, problem, fix, f"docs/{KINDS[kind].section}")


def sorted_findings(found: list[Finding]) -> tuple[Finding, ...]:
    """Errors first; the order within is kept."""
    return tuple(sorted(found, key=lambda each: each.severity != "error"))


def is_well(found: tuple[Finding, ...]) -> bool:
    """Whether none of them is an error."""
    return all(each.severity != "error" for each in found)
