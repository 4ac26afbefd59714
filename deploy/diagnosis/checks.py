"""What is wrong, by what was examined: pure rules of `receipts doctor`."""

from collections.abc import Iterable, Iterator
from datetime import datetime, timedelta
from typing import Final

from deploy.diagnosis.examination import (
    Address,
    Area,
    Certificate,
    Check,
    Disk,
    ExaminedClickHouse,
    ExaminedKafka,
    Machine,
    Skipped,
    StateFolder,
)
from deploy.diagnosis.findings import REINSTALL, Finding, Severity, finding
from deploy.diagnosis.readings import Process
from models.issues import SettingsError
from models.settings import Settings

#: Clocks: TTLs and reports are by the hour; Kafka refuses records an hour ahead.
CLOCK_WARNING_S: Final = 2.0
CLOCK_ERROR_S: Final = 60.0
#: Share of a disk that is free.
DISK_WARNING: Final = 0.15
DISK_ERROR: Final = 0.05
#: Types of filesystems, as the kernel names them.
NETWORK_FILESYSTEMS: Final = frozenset(
    {"nfs", "nfs4", "cifs", "smb3", "smbfs", "9p", "afs", "ceph", "glusterfs", "lustre",
     "fuse.glusterfs", "fuse.sshfs", "fuse.s3fs", "fuse.gcsfuse"}
)  # fmt: skip
IN_MEMORY: Final = frozenset({"tmpfs", "ramfs"})
#: Each client of Kafka has up to three connections a broker; a process has about five clients.
FILES_WARNING: Final = 1024
FILES_ERROR: Final = 256
#: A certificate ends so soon.
CERTIFICATE_WARNING: Final = timedelta(days=14)
#: Areas that need Kafka.
_OF_KAFKA: Final[tuple[Area, ...]] = ("rights", "topics", "clocks", "disk")
#: Why these were skipped, by the kind of what is wrong.
_NOT_READ: Final = {
    "kafka_away": "it does not answer",
    "kafka_refused": "it refuses this user",
    "codecs": "the Kafka client cannot be used",
}
_GIB: Final = 1 << 30


def failed(area: Area, kind: str, severity: Severity, where: str, problem: str, fix: str) -> Check:
    """A check that found something."""
    return check_of(area, finding(kind, severity, where, problem, fix))


def check_of(area: Area, found: Finding) -> Check:
    """A finding as a check."""
    return Check(
        area, found.severity, found.where, found.problem, found.kind, found.fix, found.help
    )


def passed(area: Area, where: str, detail: str) -> Check:
    """A check that found nothing."""
    return Check(area, "ok", where, detail)


def skipped(found: Iterable[Skipped]) -> Iterator[Check]:
    """What could not be examined."""
    for each in found:
        yield Check(each.area, "skipped", each.where, each.why)


# --- settings -----------------------------------------------------------------------------------


def wrong_settings(error: SettingsError) -> Iterator[Check]:
    """A check for each mistake."""
    for issue in error.issues:
        yield failed("settings", "settings", "error", issue.where, issue.problem, issue.fix)


def check_settings(settings: Settings, brokers: int) -> Iterator[Check]:
    """Valid settings that do not fit the cluster. brokers: 0 while it is unknown."""
    given = settings.model_fields_set
    yield passed("settings", "environment", f"{len(given)} settings are valid")
    if brokers > 1 and settings.replication == 1:
        problem = f"one replica for each partition on {brokers} brokers: one that fails stops all"
        fix = f"set RECEIPTS_REPLICATION={min(3, brokers)} and move the existing topics"
        where = "RECEIPTS_REPLICATION"
        yield failed("settings", "one_replica", "warning", where, problem, fix)


# --- Kafka --------------------------------------------------------------------------------------


def check_kafka(kafka: ExaminedKafka, processes: Iterable[Process]) -> Iterator[Check]:
    """Connections, rights, topics, clocks and disks of Kafka."""
    yield from _addresses(kafka)
    if kafka.problem is not None:
        if kafka.problem.kind != "codecs":  # check_machine() has those
            yield check_of("connections", kafka.problem)
        for area in _OF_KAFKA:
            yield Check(area, "skipped", "Kafka", _NOT_READ[kafka.problem.kind])
        return
    release = f"speaks the protocol of {kafka.release}" if kafka.release else "is not known"
    yield passed("versions", "Kafka", release)
    for process in processes:
        yield from _kafka_rights(kafka, process)
    yield from _topics(kafka)
    if kafka.record_ahead_s is not None:
        yield _clock("newest record in Kafka", kafka.record_ahead_s, 0.0, may_be_behind=True)
    yield from map(check_disk, kafka.disks)
    yield from skipped(kafka.skipped)


def _addresses(kafka: ExaminedKafka) -> Iterator[Check]:
    for address in kafka.bootstrap:
        fix = "correct RECEIPTS_BROKERS, start the broker, or open the way to it"
        yield _address(address, "RECEIPTS_BROKERS", fix, "warning" if kafka.brokers else "error")
    for address in kafka.advertised:
        fix = "set advertised.listeners of the broker to an address that this machine can reach"
        yield _address(address, "advertised by Kafka", fix, "error")


def _address(address: Address, source: str, fix: str, severity: Severity) -> Check:
    where = f"{address.where} ({source})"
    if not address.problem:
        return passed("connections", where, "accepts connections")
    return failed("connections", "broker_unreachable", severity, where, address.problem, fix)


def _kafka_rights(kafka: ExaminedKafka, process: Process) -> Iterator[Check]:
    where = f"{process} on Kafka"
    if kafka.lacking is None:
        yield Check("rights", "skipped", where, "nobody logs in, so ACLs are not looked up")
        return
    if process not in kafka.lacking:
        return  # it could not be read: `skipped` has the reason
    for name, operations in kafka.lacking[process].items():
        needed = ", ".join(operations)
        fix = f"grant {needed} on {name} to the user of the {process} (`receipts topics --acls`)"
        problem = f"a {process} needs {needed}, which this user lacks"
        yield failed("rights", "kafka_rights", "error", name, problem, fix)
    if not kafka.lacking[process]:
        yield passed("rights", where, "this user has all that it needs")


def _topics(kafka: ExaminedKafka) -> Iterator[Check]:
    if kafka.missing:
        where = ", ".join(kafka.missing)
        fix = "run `receipts topics`"
        yield failed("topics", "topics_missing", "error", where, "do not exist", fix)
    for where, problem, fix in kafka.fatal:
        yield failed("topics", "topics_differ", "error", where, problem, fix)
    for where, problem, fix in kafka.harmless:
        yield failed("topics", "topics_differ", "warning", where, problem, fix)
    unread = any(each.area == "topics" for each in kafka.skipped)
    if not (kafka.missing or kafka.fatal or kafka.harmless or unread):
        yield passed("topics", "all topics", "match the settings")


# --- ClickHouse ---------------------------------------------------------------------------------


def check_clickhouse(found: ExaminedClickHouse) -> Iterator[Check]:
    """Version, schema, rights, clock and disks of one connection."""
    took = "" if found.round_trip_s is None else f" in {found.round_trip_s * 1000:.0f} ms"
    yield passed("connections", found.name, f"answers{took}")
    if found.version:
        yield passed("versions", found.name, f"ClickHouse {found.version}")
    if found.edited:
        fix = "restore the files of the installed version"
        problem = f"edited after they were applied: {', '.join(found.edited)}"
        yield failed("schema", "schema_edited", "error", found.name, problem, fix)
    if found.pending:
        problem = f"{len(found.pending)} migrations are missing, from {found.pending[0]}"
        fix = "run `receipts migrate`"
        yield failed("schema", "schema_behind", "error", found.name, problem, fix)
    if found.schema and not found.edited and not found.pending:
        yield passed("schema", found.name, f"is at {found.schema}")
    for name, rights in found.missing.items():
        needed = ", ".join(rights)
        problem = f"the user of {found.name} lacks {needed}"
        fix = f"GRANT {needed} ON {name} TO the user"
        yield failed("rights", "clickhouse_rights", "error", name, problem, fix)
    if not found.missing and not any(each.area == "rights" for each in found.skipped):
        yield passed("rights", found.name, "its user has all that is needed")
    if found.ahead_s is not None:
        yield _clock(found.name, found.ahead_s, found.round_trip_s or 0.0)
    yield from map(check_disk, found.disks)
    yield from skipped(found.skipped)


# --- machine ------------------------------------------------------------------------------------


def check_machine(machine: Machine, now: datetime) -> Iterator[Check]:
    """Libraries, codecs, file limit, disks and certificates of this machine. now: with a zone"""
    yield passed("versions", "Python", machine.python)
    wrong = [each for each in machine.libraries if each.installed != each.pinned]
    for library in wrong:
        problem = f"{library.installed or 'missing'}, pinned is {library.pinned}"
        fix = f"pip install {library.name}=={library.pinned}"
        yield failed("versions", "libraries", "error", library.name, problem, fix)
    if not wrong:
        yield passed("versions", "libraries", f"all {len(machine.libraries)} are the pinned ones")
    if machine.codecs:
        yield failed("codecs", "codecs", "error", "Kafka client", machine.codecs, REINSTALL)
    else:
        yield passed("codecs", "Kafka client", "reads gzip, snappy, lz4 and zstd")
    if machine.files < FILES_WARNING:
        severity: Severity = "error" if machine.files < FILES_ERROR else "warning"
        problem = f"this process may open {machine.files} files"
        fix = "raise it: ulimit -n 4096, or LimitNOFILE of the service"
        yield failed("files", "file_limit", severity, "open files", problem, fix)
    else:
        yield passed("files", "open files", f"at most {machine.files}")
    yield from map(check_disk, machine.disks)
    for where, problem, fix in machine.unusable:
        yield failed("settings", "settings", "error", where, problem, fix)
    for certificate in machine.certificates:
        yield _certificate(certificate, now)


def _certificate(found: Certificate, now: datetime) -> Check:
    if found.ends is None:
        problem = f"when {found.path} ends cannot be read: {found.problem}"
        fix = "replace the file"
        return failed("connections", "certificate", "warning", found.variable, problem, fix)
    at = f"{found.ends:%Y-%m-%d %H:%M} UTC"
    if found.ends >= now + CERTIFICATE_WARNING:
        return passed("connections", found.variable, f"valid until {at}")
    ended = found.ends <= now
    problem = f"a certificate of {found.path} {'ended' if ended else 'ends'} at {at}"
    severity: Severity = "error" if ended else "warning"
    return failed("connections", "certificate", severity, found.variable, problem, "renew it")


def check_state_folder(folder: StateFolder) -> Iterator[Check]:
    """Where a worker keeps states: writable, on a local disk, with free space."""
    where = f"RECEIPTS_STATE_DIR={folder.path}"
    if folder.problem:
        fix = "give the user of the worker a folder that it may write, on a volume of its own"
        yield failed("disk", "state_dir", "error", where, folder.problem, fix)
    elif folder.filesystem in NETWORK_FILESYSTEMS:
        problem = (
            f"{folder.filesystem} is a filesystem of the network: locks and speed are not sure"
        )
        fix = "give a folder on a local disk or on a block device of this machine"
        yield failed("disk", "state_dir", "error", where, problem, fix)
    elif folder.filesystem in IN_MEMORY:
        problem = f"{folder.filesystem} is memory: it is lost at a restart, and limited by memory"
        fix = "give a folder on a disk, or no folder at all"
        yield failed("disk", "state_dir", "warning", where, problem, fix)
    else:
        yield passed("disk", where, f"can be written ({folder.filesystem or 'filesystem unknown'})")
    yield check_disk(folder.disk)


def check_disk(disk: Disk) -> Check:
    """Free space of a disk."""
    share = disk.free / disk.total if disk.total else 1.0
    text = f"{share:.0%} free, {disk.free / _GIB:.1f} of {disk.total / _GIB:.1f} GiB"
    if share >= DISK_WARNING:
        return passed("disk", disk.where, text)
    severity: Severity = "error" if share < DISK_ERROR else "warning"
    return failed("disk", "disk", severity, disk.where, text, "enlarge it, or shorten retention")


def _clock(where: str, ahead_s: float, exact_s: float, *, may_be_behind: bool = False) -> Check:
    """ahead_s: of this machine's clock. may_be_behind: as an old record is."""
    off = abs(ahead_s) - exact_s
    if off < CLOCK_WARNING_S or (may_be_behind and ahead_s < 0):
        known = "is not ahead" if may_be_behind else f"within {max(exact_s, abs(ahead_s)):.1f} s"
        return passed("clocks", where, f"{known} of this machine's clock")
    direction = "ahead of" if ahead_s > 0 else "behind"
    problem = f"{abs(ahead_s):.1f} s {direction} this machine's clock"
    severity: Severity = "error" if off >= CLOCK_ERROR_S else "warning"
    fix = "set up NTP on both machines (timedatectl, chronyc tracking)"
    return failed("clocks", "clock", severity, where, problem, fix)
