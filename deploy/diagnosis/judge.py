"""What is wrong, by what was read: pure rules of `receipts status`."""

from collections.abc import Iterable, Iterator
from typing import Final

from deploy.diagnosis.findings import Finding, Severity, finding
from deploy.diagnosis.readings import (
    Database,
    Group,
    GroupPartition,
    Kafka,
    Page,
    Topic,
)

#: A record that waits so long: worth a look, or it is wrong. A single look cannot see
#: whether it lasts, so both are far above what a rebalance costs.
LAG_WARNING_S: Final = 60
LAG_ERROR_S: Final = 300
#: Dead letters of the last hour per record that came, from which refusals are an error.
DEAD_SHARE: Final = 0.01
#: Below so many dead letters their share means nothing.
DEAD_FEW: Final = 20
#: Part of ClickHouse's limit of parts from which worth a look.
PARTS_SHARE: Final = 0.5
#: Kafka's word for a group whose partitions are assigned.
STABLE: Final = "Stable"
#: So long after its start a process that is not ready is only starting.
START_S: Final = 60
_NAMED: Final = 5
#: The part of a worker that is not ready while it restores.
_RESTORING: Final = "partitions"
#: Ends of the names of the topics that carry the traffic.
_INPUT: Final = ("sends", "receipts", "engagements")


def judge(
    kafka: Kafka | Finding, clickhouse: Database | Finding, pages: tuple[Page, ...], version: str
) -> list[Finding]:
    """All findings, in the order of the flow. kafka, clickhouse: a finding is why there is nothing.

    version: of this program, to which those of the processes are compared
    """
    found: list[Finding] = []
    found += judge_kafka(kafka) if isinstance(kafka, Kafka) else [kafka]
    found += judge_pages(pages, version)
    found += judge_clickhouse(clickhouse) if isinstance(clickhouse, Database) else [clickhouse]
    return found


# --- Kafka --------------------------------------------------------------------------------------


def judge_kafka(kafka: Kafka) -> Iterator[Finding]:
    """Topics, groups and refused input."""
    for text in kafka.unread:
        yield _unread("kafka_unread", "Kafka", text)
    if kafka.missing:
        names = _some(kafka.missing)
        yield finding("topics_missing", "error", names, "do not exist", "run `receipts topics`")
    for text in kafka.differences:
        where, _, rest = text.partition(": ")
        problem, _, fix = rest.partition(". Fix: ")
        yield finding("topics_differ", "error", where, problem, fix)
    for topic in kafka.topics:
        yield from _topic(topic)
    for group in kafka.groups:
        yield from judge_group(group)
    yield from _dead_letters(kafka)


def _topic(topic: Topic) -> Iterator[Finding]:
    if topic.without_leader:
        problem = f"partitions without a leader: {_numbers(topic.without_leader)}"
        fix = "start the broker that holds them (kafka-topics.sh --describe names it)"
        yield finding("no_leader", "error", f"topic {topic.name}", problem, fix)
    lacking = tuple(n for n in topic.under_replicated if n not in topic.without_leader)
    if lacking:
        problem = f"partitions with replicas that are not in sync: {_numbers(lacking)}"
        fix = "start the broker that is away, or wait until it has caught up"
        yield finding("under_replicated", "warning", f"topic {topic.name}", problem, fix)


def judge_group(group: Group) -> Iterator[Finding]:
    """The processes of a group, and how far it is behind."""
    where = f"group {group.name}"
    waiting = _waiting(group)
    if group.state and not group.members:
        problem = f"no {group.process} is running; {waiting}"
        fix = f"start `receipts {group.process}`; its log has the reason if it ended"
        yield finding("no_process", "error", where, problem, fix)
    elif group.state and group.state != STABLE:
        problem = f"its partitions are being distributed ({group.state}); {waiting}"
        fix = "wait; if it lasts for minutes, look which process joins and leaves in the logs"
        yield finding("rebalancing", "warning", where, problem, fix)
    elif unowned := [each for each in group.partitions if not each.owner]:
        problem = f"assigned to no {group.process}: {_some(map(_place, unowned))}"
        fix = f"restart the {group.process}s: they joined before these partitions existed"
        yield finding("unowned", "error" if group.state else "warning", where, problem, fix)
    for each in group.partitions:
        if each.deleted:
            problem = f"{each.deleted:,} records of {_place(each)} were deleted before it read them"
            fix = "publish them again; raise RECEIPTS_EVENT_DAYS if outages last longer than it"
            yield finding("records_deleted", "error", where, problem, fix)
    if group.members:
        yield from _lag(group)


def _waiting(group: Group) -> str:
    if not group.lag_records:
        return "no record waits"
    age = group.lag_seconds
    return f"{group.lag_records:,} records wait" + (f", {duration(age)}" if age else "")


def _lag(group: Group) -> Iterator[Finding]:
    age = group.lag_seconds
    if age is None or age < LAG_WARNING_S:
        return
    oldest = max(group.partitions, key=lambda each: each.lag_seconds or 0)
    problem = (
        f"{group.lag_records:,} records wait, the oldest for {duration(age)} in {_place(oldest)}"
    )
    severity: Severity = "error" if age >= LAG_ERROR_S else "warning"
    if group.process == "sink":
        fix = "if it does not fall: look whether ClickHouse answers, then start another sink"
        yield finding("sink_lag", severity, f"group {group.name}", problem, fix)
    else:
        fix = "if it does not fall: start another worker, up to one for each partition"
        yield finding("lag", severity, f"group {group.name}", problem, fix)


def _dead_letters(kafka: Kafka) -> Iterator[Finding]:
    count = kafka.dead_letters_hour
    if not count:
        return
    came = sum(each.per_hour or 0 for each in kafka.topics if each.name.endswith(_INPUT))
    many = count >= DEAD_FEW and count > came * DEAD_SHARE
    recent = [each for each in kafka.dead_letters if each.hour]
    reasons = [f"{each.hour:,} {each.reason} of {each.topic}" for each in recent]
    problem = f"{count:,} in the last hour" + (f": {_some(reasons)}" if reasons else "")
    fix = "read `detail` in the view dead_letters: it names the field; correct the producer"
    yield finding("dead_letters", "error" if many else "warning", "dead letters", problem, fix)


# --- processes ----------------------------------------------------------------------------------


def judge_pages(pages: tuple[Page, ...], version: str) -> Iterator[Finding]:
    """Processes by their pages. One that was not named by --page may run elsewhere."""
    for page in pages:
        where = f"{page.process or 'process'} at {page.url}"
        if page.problem:
            severity: Severity = "error" if page.required else "warning"
            if page.refused:
                yield finding("page_away", severity, where, page.problem, page.fix)
            elif page.required:
                fix = "start the process, or correct the address of --page"
                yield finding("page_away", severity, where, page.problem, fix)
            continue
        if page.silent:
            parts = ", ".join(f"{part} for {s:g} s" for part, s in sorted(page.silent.items()))
            fix = "take a stack dump (py-spy dump --pid PID) if you can, then restart it"
            yield finding("not_alive", "error", where, f"no heartbeat: {parts}", fix)
        yield from _readiness(page, where)
        if page.version != version:
            problem = f"runs receipts {page.version}, this is {version}"
            fix = "end the upgrade: restart it with the same version"
            yield finding("version_differs", "warning", where, problem, fix)


def _readiness(page: Page, where: str) -> Iterator[Finding]:
    if page.restoring:
        left = sum(page.restoring.values())
        named = _numbers(sorted(map(int, page.restoring)))
        problem = f"restores partitions {named}: {left:,} records left"
        fix = "wait while the number falls; its partitions are processed after it"
        yield finding("restoring", "warning", where, problem, fix)
    others = {part for part in page.reasons if not (page.restoring and part == _RESTORING)}
    if others:
        reasons = "; ".join(f"{part}: {page.reasons[part]}" for part in sorted(others))
        starts = page.uptime_s is not None and page.uptime_s < START_S
        fix = "the reason names what it waits for; it continues by itself"
        severity: Severity = "warning" if starts else "error"
        yield finding("not_ready", severity, where, f"not ready ({reasons})", fix)


# --- ClickHouse ---------------------------------------------------------------------------------


def judge_clickhouse(clickhouse: Database) -> Iterator[Finding]:
    """Schema and parts."""
    for text in clickhouse.unread:
        yield _unread("clickhouse_unread", "ClickHouse", text)
    if clickhouse.edited:
        problem = f"edited after they were applied: {_some(clickhouse.edited)}"
        fix = "restore the files of the installed version"
        yield finding("schema_edited", "error", "schema", problem, fix)
    if clickhouse.pending:
        problem = f"{len(clickhouse.pending)} migrations are missing: {_some(clickhouse.pending)}"
        yield finding("schema_behind", "error", "schema", problem, "run `receipts migrate`")
    if clickhouse.newer:
        problem = f"has migrations of a newer version: {_some(clickhouse.newer)}"
        fix = "run this command with the version that the sinks run"
        yield finding("schema_newer", "warning", "schema", problem, fix)
    limit = clickhouse.parts_limit
    for table in clickhouse.tables:
        if limit and table.parts >= limit * PARTS_SHARE:
            problem = f"{table.parts:,} parts in one partition, ClickHouse delays from {limit:,}"
            severity: Severity = "error" if table.parts >= limit else "warning"
            fix = "raise RECEIPTS_SINK_MAX_WAIT_S for fewer inserts; look at system.merges"
            yield finding("parts", severity, f"table {table.name}", problem, fix)


def _unread(kind: str, where: str, text: str) -> Finding:
    """What one request could not read; the text may have its fix."""
    problem, _, fix = text.partition(". Fix: ")
    fix = fix or "grant the right that the text names, or repeat the command"
    return finding(kind, "warning", where, f"not read: {problem}", fix)


# --- words --------------------------------------------------------------------------------------


def duration(seconds: float) -> str:
    """Seconds as people read them: 12 s, 5 min, 3 h, 2 days."""
    for size, unit, limit in ((1, "s", 120), (60, "min", 7200), (3600, "h", 172_800)):
        if seconds < limit:
            return f"{seconds / size:.0f} {unit}"
    return f"{seconds / 86_400:.0f} days"


def _place(partition: GroupPartition) -> str:
    return f"{partition.topic}[{partition.partition}]"


def _some(names: Iterable[str]) -> str:
    listed = list(names)
    more = len(listed) - _NAMED
    return ", ".join(listed[:_NAMED]) + (f" and {more} more" if more > 0 else "")


def _numbers(numbers: Iterable[int]) -> str:
    return _some(map(str, numbers))
