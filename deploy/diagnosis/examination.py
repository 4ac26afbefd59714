"""What `receipts doctor` examines, and its result as it is in the JSON."""

from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Literal, NamedTuple

import msgspec

from deploy.diagnosis.findings import Finding, about
from deploy.diagnosis.readings import Process

Area = Literal[
    "settings", "connections", "rights", "topics", "schema", "clocks", "disk", "codecs", "versions",
    "files",
]  # fmt: skip
State = Literal["ok", "warning", "error", "skipped"]


class Check(msgspec.Struct, frozen=True):
    """One thing that was examined."""

    area: Annotated[Area, about("settings, connections, rights …")]
    state: Annotated[State, about("ok, warning, error, or skipped: it could not be examined")]
    where: Annotated[str, about("setting, address, topic …")]
    detail: Annotated[str, about("what was found, with the values")]
    kind: Annotated[str, about("name in the table of findings; empty: ok or skipped")] = ""
    fix: Annotated[str, about("what to do first")] = ""
    help: Annotated[str, about("page of docs/ and section with more")] = ""


class Examination(msgspec.Struct, frozen=True):
    """The whole document."""

    taken_at: Annotated[int, about("when it was examined, epoch ms")]
    version: Annotated[str, about("version of receipts")]
    well: Annotated[bool, about("whether no check is an error; the exit code follows it")]
    checks: Annotated[tuple[Check, ...], about("all checks, by area")]


class Address(NamedTuple):
    """An address that was connected to. problem: "" when it was accepted."""

    where: str
    problem: str


class Disk(NamedTuple):
    """Space of a disk, in bytes."""

    where: str
    total: int
    free: int


class StateFolder(NamedTuple):
    """Where a worker keeps states. problem: "" when it can write there. filesystem: as the kernel
    names it, such as ext4 or nfs4; "" when that is not known"""

    path: str
    problem: str
    filesystem: str
    disk: Disk


class Library(NamedTuple):
    """An installed library. installed: "" when it is missing."""

    name: str
    pinned: str
    installed: str


class Skipped(NamedTuple):
    """What could not be examined, and why."""

    area: Area
    where: str
    why: str


class ExaminedKafka(NamedTuple):
    """What Kafka has answered.

    problem: why it cannot be read; all after bootstrap is empty then. record_ahead_s: the newest
    record's time less this machine's. lacking: operations that the user lacks, by process and topic
    or group; None: nobody logs in
    """

    problem: Finding | None
    bootstrap: tuple[Address, ...]
    advertised: tuple[Address, ...] = ()
    brokers: int = 0
    release: str = ""
    lacking: Mapping[Process, Mapping[str, tuple[str, ...]]] | None = None
    missing: tuple[str, ...] = ()
    fatal: tuple[tuple[str, str, str], ...] = ()
    harmless: tuple[tuple[str, str, str], ...] = ()
    record_ahead_s: float | None = None
    disks: tuple[Disk, ...] = ()
    skipped: tuple[Skipped, ...] = ()


class ExaminedClickHouse(NamedTuple):
    """What ClickHouse has answered to one user.

    version: "" when the database does not exist yet; nothing else was read then. ahead_s: its clock
    less this machine's; round_trip_s: how exact that is; None: not measured. missing: rights that
    the user lacks, by object
    """

    name: str
    version: str
    ahead_s: float | None
    round_trip_s: float | None
    pending: tuple[str, ...]
    edited: tuple[str, ...]
    schema: str
    missing: Mapping[str, tuple[str, ...]]
    disks: tuple[Disk, ...]
    skipped: tuple[Skipped, ...]


class Certificate(NamedTuple):
    """A file of certificates that can be used. ends: None: not known; problem has the reason."""

    variable: str
    path: str
    ends: datetime | None
    problem: str = ""


class Machine(NamedTuple):
    """This machine and what is installed.

    codecs: "" when all records can be read. unusable: setting, problem and fix of files of
    certificates and keys that cannot be used
    """

    python: str
    libraries: tuple[Library, ...]
    codecs: str
    files: int
    disks: tuple[Disk, ...]
    certificates: tuple[Certificate, ...]
    unusable: tuple[tuple[str, str, str], ...]
