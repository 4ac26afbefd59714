"""What counts as wrong: one case for every finding, and cases in which there is none."""

import io
import os
import re
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest
from rich.console import Console

from deploy.diagnosis.checks import (
    check_clickhouse,
    check_kafka,
    check_machine,
    check_settings,
    check_state_folder,
    wrong_settings,
)
from deploy.diagnosis.examination import (
    Address,
    Certificate,
    Check,
    Disk,
    Examination,
    ExaminedClickHouse,
    ExaminedKafka,
    Library,
    Machine,
    Skipped,
    StateFolder,
)
from deploy.diagnosis.findings import KINDS, Finding, finding, is_well, sorted_findings
from deploy.diagnosis.judge import duration, judge
from deploy.diagnosis.machine import examine_state_folder
from deploy.diagnosis.readings import (
    Database,
    DeadLetters,
    Group,
    GroupPartition,
    Kafka,
    Member,
    Page,
    Status,
    Table,
    Topic,
)
from deploy.diagnosis.screen import examination_screen, status_screen
from models.issues import SettingsError
from models.settings import Settings

DOCS = Path(__file__).parents[2] / "docs"
VERSION = "1.0"
MEMBER = Member("receipts-1", "10.0.0.1", 2)


# --- readings of an installation that is well ---------------------------------------------------


def topic(name: str = "sends", **given: Any) -> Topic:
    known = {"partitions": 2, "records": 100, "per_minute": 5, "per_hour": 5000}
    return Topic(name, **{**known, "without_leader": (), "under_replicated": (), **given})


def place(lag: int = 0, seconds: float | None = 0.0, **given: Any) -> GroupPartition:
    known = {"topic": "sends", "partition": 0, "committed": 100 - lag, "begin": 0, "end": 100}
    return GroupPartition(
        **{**known, "lag_records": lag, "lag_seconds": seconds, "owner": MEMBER.id, **given}
    )


def group(process: str = "worker", *places: GroupPartition, **given: Any) -> Group:
    name = {"worker": "receipts", "sink": "receipts-sink"}[process]
    known = {"state": "Stable", "members": (MEMBER,), "partitions": places or (place(),)}
    return Group(process, name, **{**known, **given})


def kafka(**given: Any) -> Kafka:
    known = {
        "brokers": 3,
        "release": "4.1",
        "topics": (topic(),),
        "missing": (),
        "differences": (),
        "groups": (group(), group("sink")),
        "dead_letters_hour": 0,
        "dead_letters_day": 0,
        "dead_letters": (),
        "unread": (),
    }
    return Kafka(**{**known, **given})


def clickhouse(**given: Any) -> Database:
    known = {
        "version": "26.9",
        "pending": (),
        "edited": (),
        "newer": (),
        "schema": "0019_add_provider_status.sql",
        "tables": (Table("messages", 10, 3, 2.0, 10),),
        "parts_limit": 1000,
        "suppressed": {"sms": 3},
        "unread": (),
    }
    return Database(**{**known, **given})


def page(**given: Any) -> Page:
    known = {
        "url": "http://worker:6066",
        "required": True,
        "problem": "",
        "process": "worker",
        "version": VERSION,
        "silent": {},
        "reasons": {},
        "restoring": {},
        "uptime_s": 60.0,
        "memory_bytes": 1 << 28,
        "states": 10,
    }
    return Page(**{**known, **given})


def judged(
    read: Kafka | Finding | None = None, database: Database | Finding | None = None, *pages: Page
) -> list[Finding]:
    return judge(read or kafka(), database or clickhouse(), pages, VERSION)


KAFKA_AWAY = finding("kafka_away", "error", "Kafka", "no connection", "start it")
KAFKA_REFUSES = finding("kafka_refused", "error", "Kafka", "refuses the login", "correct it")
NO_CODEC = finding("codecs", "error", "Kafka client", "zstd cannot be read", "install it")
AWAY = finding("clickhouse_away", "error", "ClickHouse", "does not answer", "start it")
REFUSED = finding("clickhouse_refused", "error", "ClickHouse", "refuses", "correct it")
IN_USE = finding("clickhouse_in_use", "warning", "ClickHouse", "another has it open", "look")
HOUR = {"dead_letters_hour": 3, "dead_letters": (DeadLetters("not_json", "sends", 3, 3),)}

#: (kind, severity, what the text has, findings)
STATUS_CASES: list[tuple[str, str, str, list[Finding]]] = [
    ("kafka_away", "error", "no connection", judged(KAFKA_AWAY)),
    ("kafka_refused", "error", "the login", judged(KAFKA_REFUSES)),
    ("codecs", "error", "zstd", judged(NO_CODEC)),
    ("kafka_unread", "warning", "group x", judged(kafka(unread=("group x: no right",)))),
    (
        "kafka_unread",
        "warning",
        "no right grant",
        judged(kafka(unread=("x: no right. Fix: grant it",))),
    ),
    ("topics_missing", "error", "run `receipts topics`", judged(kafka(missing=("sends",)))),
    (
        "topics_differ",
        "error",
        "has 3 partitions",
        judged(kafka(differences=("topic sends: has 3 partitions. Fix: set 3",))),
    ),
    ("no_leader", "error", "leader: 1", judged(kafka(topics=(topic(without_leader=(1,)),)))),
    (
        "under_replicated",
        "warning",
        "in sync: 0, 1",
        judged(kafka(topics=(topic(under_replicated=(0, 1)),))),
    ),
    (
        "no_process",
        "error",
        "no worker is running; 7 records wait, 90 s",
        judged(kafka(groups=(group("worker", place(7, 90.0), members=(), state="Empty"),))),
    ),
    (
        "rebalancing",
        "warning",
        "PreparingRebalance",
        judged(kafka(groups=(group(state="PreparingRebalance"),))),
    ),
    ("unowned", "error", "sends[0]", judged(kafka(groups=(group("sink", place(owner="")),)))),
    ("lag", "warning", "60 s", judged(kafka(groups=(group("worker", place(1, 60.0)),)))),
    ("lag", "error", "5 min", judged(kafka(groups=(group("worker", place(1, 300.0)),)))),
    ("sink_lag", "error", "2 days", judged(kafka(groups=(group("sink", place(1, 2e5)),)))),
    (
        "records_deleted",
        "error",
        "10 records of sends[0]",
        judged(kafka(groups=(group("sink", place(committed=40, begin=50)),))),
    ),
    ("page_away", "error", "refused", judged(None, None, page(problem="refused"))),
    (
        "page_away",
        "warning",
        "refuses",
        judged(None, None, page(required=False, refused=True, problem="refuses", fix="do that")),
    ),
    ("not_alive", "error", "loop for 61 s", judged(None, None, page(silent={"loop": 61.0}))),
    ("not_ready", "error", "kafka: gone", judged(None, None, page(reasons={"kafka": "gone"}))),
    (
        "not_ready",
        "warning",
        "joining",
        judged(None, None, page(reasons={"partitions": "joining"}, uptime_s=5.0)),
    ),
    (
        "restoring",
        "warning",
        "partitions 2, 10: 5 records left",
        judged(None, None, page(restoring={"10": 2, "2": 3}, reasons={"partitions": "restoring"})),
    ),
    ("version_differs", "warning", "0.9", judged(None, None, page(version="0.9"))),
    ("clickhouse_away", "error", "does not answer", judged(None, AWAY)),
    ("clickhouse_refused", "error", "refuses", judged(None, REFUSED)),
    ("clickhouse_in_use", "warning", "has it open", judged(None, IN_USE)),
    ("clickhouse_unread", "warning", "parts", judged(None, clickhouse(unread=("parts: no",)))),
    ("schema_behind", "error", "0002_b", judged(None, clickhouse(pending=("0002_b.sql",)))),
    ("schema_edited", "error", "0001_a", judged(None, clickhouse(edited=("0001_a.sql",)))),
    ("schema_newer", "warning", "0018", judged(None, clickhouse(newer=("0018",)))),
    (
        "parts",
        "warning",
        "500 parts",
        judged(None, clickhouse(tables=(Table("messages", 1, 500, 1.0, 1),))),
    ),
    (
        "parts",
        "error",
        "1,000 parts",
        judged(None, clickhouse(tables=(Table("messages", 1, 1000, 1.0, 1),))),
    ),
    ("dead_letters", "warning", "3 not_json of sends", judged(kafka(**HOUR))),
    ("dead_letters", "error", "60 in", judged(kafka(**{**HOUR, "dead_letters_hour": 60}))),
]


@pytest.mark.parametrize(("kind", "severity", "text", "found"), STATUS_CASES)
def test_a_finding_of_status(kind: str, severity: str, text: str, found: list[Finding]) -> None:
    (one,) = [each for each in found if each.kind == kind]
    assert one.severity == severity
    assert text in f"{one.problem} {one.fix}"
    assert {each.kind for each in found} == {kind}


def test_nothing_is_wrong_where_all_is_well() -> None:
    assert judged(None, None, page(), page(process="sink")) == []


@pytest.mark.parametrize(
    "well",
    [
        judged(kafka(groups=(group("worker", place(10, 59.0)),))),  # a burst
        judged(kafka(groups=(group("worker", place(10, None)),))),  # nobody knows how old
        judged(None, None, page(required=False, problem="refused")),  # it may run elsewhere
        judged(kafka(groups=(group("worker", place(committed=None, begin=50)),))),  # never read
        judged(kafka(dead_letters_day=5)),  # not lately
        judged(kafka(groups=(group(state="", members=(), partitions=()),))),  # unread
    ],
)
def test_no_finding(well: list[Finding]) -> None:
    assert well == []


def test_few_dead_letters_are_no_error_however_few_records_came() -> None:
    quiet = kafka(topics=(topic(per_hour=0),), **HOUR)
    assert [each.severity for each in judged(quiet)] == ["warning"]


def test_a_worker_that_restores_may_lack_kafka_too() -> None:
    reasons = {"partitions": "restoring", "kafka": "gone"}
    found = judged(None, None, page(restoring={"1": 2}, reasons=reasons))
    assert [each.kind for each in found] == ["restoring", "not_ready"]
    assert "restoring" not in found[1].problem


def test_a_group_without_processes_is_not_asked_to_start_more() -> None:
    dead = group("worker", place(7, 900.0), members=(), state="Empty")
    assert [each.kind for each in judged(kafka(groups=(dead,)))] == ["no_process"]


def test_errors_come_first_and_only_they_count() -> None:
    found = sorted_findings(judged(KAFKA_AWAY, clickhouse(newer=("0018",), pending=("0017",))))
    assert [each.severity for each in found] == ["error", "error", "warning"]
    assert not is_well(found)
    assert is_well(sorted_findings(judged(None, clickhouse(newer=("0018",)))))


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.4, "0 s"), (119, "119 s"), (121, "2 min"), (7300, "2 h"), (2e5, "2 days")],
)
def test_durations(seconds: float, text: str) -> None:
    assert duration(seconds) == text


# --- doctor -------------------------------------------------------------------------------------

SETTINGS = Settings()
HOST = "kafka:9092"
NOW = datetime(2026, 3, 1, tzinfo=UTC)
CAFILE = "RECEIPTS_KAFKA_SSL_CAFILE"


def examined(**given: Any) -> ExaminedKafka:
    known = {
        "problem": None,
        "bootstrap": (Address(HOST, ""),),
        "advertised": (Address(HOST, ""),),
        "brokers": 1,
        "release": "4.1",
        "lacking": {"worker": {}, "sink": {}},
        "missing": (),
        "fatal": (),
        "harmless": (),
        "record_ahead_s": -3600.0,
        "disks": (Disk("broker 1", 100, 50),),
        "skipped": (),
    }
    return ExaminedKafka(**{**known, **given})


def database(**given: Any) -> ExaminedClickHouse:
    known = {
        "name": "RECEIPTS_CLICKHOUSE_URL",
        "version": "26.9",
        "ahead_s": 0.1,
        "round_trip_s": 0.01,
        "pending": (),
        "edited": (),
        "schema": "0019",
        "missing": {},
        "disks": (),
        "skipped": (),
    }
    return ExaminedClickHouse(**{**known, **given})


def machine(**given: Any) -> Machine:
    known = {
        "python": "3.11",
        "libraries": (Library("aiokafka", "0.14.0", "0.14.0"),),
        "codecs": "",
        "files": 4096,
        "disks": (),
        "certificates": (Certificate(CAFILE, "/ca.pem", NOW + timedelta(days=30)),),
        "unusable": (),
    }
    return Machine(**{**known, **given})


def of_kafka(**given: Any) -> list[Check]:
    return list(check_kafka(examined(**given), ("worker", "sink")))


def of_database(**given: Any) -> list[Check]:
    return list(check_clickhouse(database(**given)))


def of_machine(**given: Any) -> list[Check]:
    return list(check_machine(machine(**given), NOW))


def until(**left: float) -> tuple[Certificate, ...]:
    """A certificate that ends so long after NOW."""
    return (Certificate(CAFILE, "/ca.pem", NOW + timedelta(**left)),)


def of_folder(**given: Any) -> list[Check]:
    known = {"path": "/states", "problem": "", "filesystem": "ext4", "disk": Disk("/", 100, 50)}
    return list(check_state_folder(StateFolder(**{**known, **given})))


def wrong() -> list[Check]:
    with pytest.raises(SettingsError) as error:
        Settings.read({"RECEIPTS_PARTITIONS": "none"})
    return list(wrong_settings(error.value))


def test_a_folder_for_states_on_a_local_disk_is_well() -> None:
    for filesystem in ("ext4", "xfs", "overlay", ""):
        checks = of_folder(filesystem=filesystem)
        assert [check.state for check in checks] == ["ok", "ok"], filesystem


MOUNTS = """\
/dev/sda1 / ext4 rw 0 0
proc /proc proc rw 0 0
server:/export {mount} nfs4 rw 0 0
/dev/sdb1 {mount}/own\\040disk xfs rw 0 0
"""


@pytest.mark.parametrize(
    ("below", "expected"),
    [("", "nfs4"), ("deep/er", "nfs4"), ("own disk/states", "xfs"), ("../mounted too", "ext4")],
)
def test_the_filesystem_is_that_of_the_nearest_mount(
    below: str, expected: str, tmp_path: Path
) -> None:
    mount = tmp_path / "mount"
    (mount / "own disk").mkdir(parents=True)
    mounts = tmp_path / "mounts"
    mounts.write_text(MOUNTS.format(mount=mount))
    found = examine_state_folder(str(mount / below), mounts)
    assert (found.filesystem, found.problem) == (expected, "")
    assert found.disk.free > 0
    assert not (mount / "deep").exists(), "it must change nothing"


def test_a_folder_for_states_that_cannot_be_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "file"
    file.write_text("")
    assert "is not a folder" in examine_state_folder(str(file / "states")).problem
    modes = []
    # The user of the tests may be root, who may write anywhere.
    monkeypatch.setattr(os, "access", lambda path, mode: bool(modes.append((path, mode))))
    found = examine_state_folder(str(tmp_path / "states"))
    assert found.problem == f"this process may not write in {tmp_path}"
    assert modes == [(tmp_path, os.W_OK | os.X_OK)]


LACKING = {"worker": {"topic retry-requests": ("WRITE",)}, "sink": {}}
UNREADABLE = Certificate(CAFILE, "/ca.pem", None, "invalid serial number")
ISSUE = ("topic sends", "has 3 copies", "move them")

#: (kind, state, what the text has, checks)
DOCTOR_CASES: list[tuple[str, str, str, list[Check]]] = [
    ("settings", "error", "RECEIPTS_PARTITIONS", wrong()),
    ("one_replica", "warning", "RECEIPTS_REPLICATION=3", list(check_settings(SETTINGS, 3))),
    (
        "broker_unreachable",
        "error",
        "advertised.listeners",
        of_kafka(advertised=(Address(HOST, "refused"),)),
    ),
    (
        "broker_unreachable",
        "warning",
        "RECEIPTS_BROKERS",
        of_kafka(bootstrap=(Address(HOST, ""), Address("other:9092", "refused"))),
    ),
    ("kafka_away", "error", "no connection", of_kafka(problem=KAFKA_AWAY)),
    ("kafka_refused", "error", "the login", of_kafka(problem=KAFKA_REFUSES)),
    (
        "kafka_rights",
        "error",
        "grant WRITE on topic retry-requests to the user of the worker",
        of_kafka(lacking=LACKING),
    ),
    ("certificate", "warning", "ends at", of_machine(certificates=until(days=13))),
    ("certificate", "error", "/ca.pem ended at", of_machine(certificates=until(seconds=0))),
    ("certificate", "warning", "serial number", of_machine(certificates=(UNREADABLE,))),
    ("settings", "error", CAFILE, of_machine(unusable=((CAFILE, "is not PEM", "give a PEM"),))),
    ("topics_missing", "error", "receipts topics", of_kafka(missing=("sends",))),
    ("topics_differ", "error", "has 3 copies", of_kafka(fatal=(ISSUE,))),
    ("topics_differ", "warning", "has 3 copies", of_kafka(harmless=(ISSUE,))),
    ("clock", "warning", "2.5 s ahead of", of_kafka(record_ahead_s=2.5)),
    ("clock", "error", "61.0 s behind", of_database(ahead_s=-61.0)),
    ("disk", "warning", "10% free", of_kafka(disks=(Disk("broker 1", 100, 10),))),
    ("disk", "error", "4% free", of_database(disks=(Disk("default", 100, 4),))),
    ("schema_behind", "error", "receipts migrate", of_database(pending=("0017",))),
    ("schema_edited", "error", "0001", of_database(edited=("0001",))),
    (
        "clickhouse_rights",
        "error",
        "GRANT INSERT ON receipts.messages",
        of_database(missing={"receipts.messages": ("INSERT",)}),
    ),
    ("state_dir", "error", "not write in /", of_folder(problem="this process may not write in /")),
    ("state_dir", "error", "local disk", of_folder(filesystem="nfs4")),
    ("state_dir", "warning", "tmpfs is memory", of_folder(filesystem="tmpfs")),
    ("disk", "error", "3% free", of_folder(disk=Disk("folder /states", 100, 3))),
    ("codecs", "error", "zstd", of_machine(codecs="batches of zstd cannot be read")),
    (
        "libraries",
        "error",
        "pip install aiokafka==0.14.0",
        of_machine(libraries=(Library("aiokafka", "0.14.0", "0.13.0"),)),
    ),
    (
        "libraries",
        "error",
        "missing",
        of_machine(libraries=(Library("aiokafka", "0.14.0", ""),)),
    ),
    ("file_limit", "warning", "512 files", of_machine(files=512)),
    ("file_limit", "error", "64 files", of_machine(files=64)),
]


@pytest.mark.parametrize(("kind", "state", "text", "checks"), DOCTOR_CASES)
def test_a_finding_of_doctor(kind: str, state: str, text: str, checks: list[Check]) -> None:
    found = [each for each in checks if each.kind]
    assert {(each.kind, each.state) for each in found} == {(kind, state)}
    assert text in f"{found[0].where} {found[0].detail} {found[0].fix}"
    assert found[0].fix and found[0].help


def test_doctor_finds_nothing_where_all_is_well() -> None:
    checks = [*check_settings(SETTINGS, 1), *of_kafka(), *of_database(), *of_machine()]
    assert {each.state for each in checks} == {"ok"}


def test_what_could_not_be_examined_is_skipped_and_no_error() -> None:
    hidden = of_kafka(lacking=None, skipped=(Skipped("disk", "Kafka", "needs DESCRIBE"),))
    skipped = [each.area for each in hidden if each.state == "skipped"]
    assert skipped == ["rights", "rights", "disk"]
    assert {each.state for each in hidden} == {"ok", "skipped"}
    away = [each for each in of_kafka(problem=KAFKA_AWAY) if each.state == "skipped"]
    assert [each.area for each in away] == ["rights", "topics", "clocks", "disk"]
    unread = of_kafka(skipped=(Skipped("topics", "Kafka", "no answer in time"),))
    assert ("topics", "ok") not in {(each.area, each.state) for each in unread}
    rights = of_database(skipped=(Skipped("rights", "ClickHouse", "unknown statement"),))
    assert ("rights", "ok") not in {(each.area, each.state) for each in rights}


def test_a_database_that_does_not_exist_yet_needs_migrations() -> None:
    later = tuple(Skipped(area, "ClickHouse", "not yet") for area in ("rights", "clocks", "disk"))
    found = of_database(
        version="", ahead_s=None, round_trip_s=None, pending=("0001",), schema="", skipped=later
    )
    assert [each.kind for each in found if each.kind] == ["schema_behind"]
    (well,) = [each for each in found if each.state == "ok"]
    assert (well.area, well.detail) == ("connections", "answers")


def test_a_client_without_a_codec_is_named_once_and_nothing_of_kafka_is_examined() -> None:
    found = [*of_kafka(problem=NO_CODEC), *of_machine(codecs="zstd cannot be read")]
    assert [each.kind for each in found if each.kind] == ["codecs"]
    skipped = [each.area for each in found if each.state == "skipped"]
    assert skipped == ["rights", "topics", "clocks", "disk"]


def test_a_sink_does_not_need_the_rights_of_a_worker() -> None:
    assert not [each for each in check_kafka(examined(lacking=LACKING), ("sink",)) if each.kind]


def test_a_slow_answer_makes_no_wrong_clock() -> None:
    found = of_database(ahead_s=3.0, round_trip_s=2.9)
    assert [each.state for each in found if each.area == "clocks"] == ["ok"]


# --- the table of findings ----------------------------------------------------------------------


def test_every_kind_has_a_case() -> None:
    cases = {case[0] for case in (*STATUS_CASES, *DOCTOR_CASES)}
    assert cases == KINDS.keys()


def slugs(page: Path) -> set[str]:
    """Anchors of a page's headings, as web pages of repositories make them."""
    text = re.sub(r"^```.*?^```", "", page.read_text(), flags=re.MULTILINE | re.DOTALL)
    heads = re.findall(r"^#+ (.+)$", text, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", head.lower()).replace(" ", "-") for head in heads}


@pytest.mark.parametrize("kind", KINDS)
def test_the_help_of_a_finding_exists(kind: str) -> None:
    name, _, anchor = KINDS[kind].section.partition("#")
    assert anchor in slugs(DOCS / name), KINDS[kind].section


# --- screens ------------------------------------------------------------------------------------


def shown(screen: Any, width: int) -> list[str]:
    out = io.StringIO()
    Console(file=out, width=width, highlight=False).print(screen)
    return out.getvalue().splitlines()


def status(findings: list[Finding], *pages: Page, **given: Any) -> Status:
    found = sorted_findings(findings)
    known = {"kafka": kafka(), "clickhouse": clickhouse(), "kafka_problem": ""}
    return Status(
        taken_at=0,
        version=VERSION,
        topic_prefix="",
        well=is_well(found),
        findings=found,
        clickhouse_problem="",
        pages=pages,
        **{**known, **given},
    )


@pytest.mark.parametrize("width", [80, 120])
def test_the_screen_has_all_and_fits(width: int) -> None:
    names = ["messages", "orphans", "message_texts", "status_counters", "suppression_requests"]
    tables = tuple(Table(name, 1_234_567, 3, 2.0, 10) for name in names)
    late = kafka(groups=(group("worker", place(1234, 400.0)), group("sink")), **HOUR)
    everything = status(
        judged(late),
        page(standbys={"1": 0, "3": 1_500}),
        page(process="sink"),
        kafka=late,
        clickhouse=clickhouse(tables=tables),
    )
    lines = shown(status_screen(everything), width)
    text = "\n".join(lines)
    for part in (
        "error", "1,234 records wait", "docs/runbook.md#receiptslaghigh", "Kafka 4.1",
        "schema 0019", "http://worker:6066", "10.0.0.1", "suppression_requests",
        "not_json 3", "3 on sms", "2 copies of 2 partitions, 1,500 records behind at most",
    ):  # fmt: skip
        assert part in text
    assert max(map(len, lines)) <= width
    assert len(lines) <= 45


def test_the_screen_shows_the_rest_when_sources_are_away() -> None:
    alone = status(judged(KAFKA_AWAY, AWAY), page(), kafka=None, clickhouse=None)
    text = "\n".join(shown(status_screen(alone), 80))
    assert "http://worker:6066" in text
    assert text.count("error  ") == 2
    assert "Nothing is wrong." in "\n".join(shown(status_screen(status([])), 80))


def test_the_list_of_doctor_has_every_check() -> None:
    checks = (*of_kafka(), *of_machine(files=64))
    lines = shown(examination_screen(Examination(0, VERSION, False, checks)), 80)
    text = "\n".join(lines)
    assert "ulimit -n 4096" in text and "1 error" in text
    assert max(map(len, lines)) <= 80


def test_the_json_reads_back() -> None:
    found = status(judged(kafka(**HOUR)), page())
    assert msgspec.json.decode(msgspec.json.encode(found), type=Status) == found
