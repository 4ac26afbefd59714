"""The screen of `receipts status` and the list of `receipts doctor`."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime
from itertools import groupby
from typing import Final

from rich.columns import Columns
from rich.console import Group as Lines
from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from deploy.diagnosis.examination import Examination
from deploy.diagnosis.findings import Finding
from deploy.diagnosis.judge import duration
from deploy.diagnosis.readings import Database, Group, GroupPartition, Kafka, Page, Status

_UNKNOWN: Final = "–"
_STYLES: Final = {"error": "bold red", "warning": "yellow", "ok": "green", "skipped": "dim"}
_MIB: Final = 1 << 20


def status_screen(status: Status) -> RenderableType:
    """The whole document on one screen; what is wrong comes first."""
    parts: list[RenderableType] = [_head(status), _findings(status.findings)]
    if status.kafka is not None:
        parts += [_topics(status.kafka, status.topic_prefix), _groups(status.kafka)]
    if any(not page.problem for page in status.pages):
        parts += [_pages(status.pages), *_standbys(status.pages)]
    if status.clickhouse is not None and status.clickhouse.tables:
        parts.append(Columns(_tables(status.clickhouse), padding=(0, 4)))
    return Lines(*parts, *_refused(status))


def examination_screen(found: Examination) -> RenderableType:
    """Every check by area, those that passed in a line each; the fixes follow their check."""
    grid = _grid()
    for area, checks in groupby(found.checks, key=lambda each: each.area):
        for place, each in enumerate(checks):
            text = Text(f"{each.where}: {each.detail}")
            if each.fix:
                text.append(_remedy(each.fix, each.help))
            state = Text(each.state, _STYLES[each.state])
            grid.add_row(Text("" if place else area, "bold"), state, text)
    counts: Counter[str] = Counter(each.state for each in found.checks)
    shown = ", ".join(f"{counts[state]} {state}" for state in _STYLES if counts[state])
    return Lines(grid, Text(f"\n{shown}", "bold"))


def _findings(findings: tuple[Finding, ...]) -> RenderableType:
    if not findings:
        return Text("Nothing is wrong.", "green")
    grid = _grid()
    for each in findings:
        text = Text.assemble((each.where, "bold"), f": {each.problem}")
        text.append(_remedy(each.fix, each.help))
        grid.add_row(Text(each.severity, _STYLES[each.severity]), text)
    return grid


def _remedy(fix: str, help_: str) -> str:
    return f"\nFix: {fix}.\nSee {help_}"


def _grid() -> Table:
    """Cells without lines; what is too long is wrapped under itself."""
    return Table.grid(padding=(0, 2, 0, 0))


def _head(status: Status) -> RenderableType:
    taken = datetime.fromtimestamp(status.taken_at / 1000, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
    kafka, clickhouse = status.kafka, status.clickhouse
    names = [f"receipts {status.version}"]
    if kafka:
        counts = {topic.partitions for topic in kafka.topics}
        partitions = ", ".join(map(str, sorted(counts))) or _UNKNOWN
        release = kafka.release or _UNKNOWN
        names.append(f"Kafka {release}, brokers {kafka.brokers}, partitions {partitions}")
    if clickhouse:
        schema = clickhouse.schema.partition("_")[0] or "none"
        names.append(f"ClickHouse {clickhouse.version or _UNKNOWN}, schema {schema}")
    return Text.assemble((taken, "bold"), "  ", " · ".join(names), "\n")


# --- tables -------------------------------------------------------------------------------------


def _table(*headers: str, left: int = 1) -> Table:
    """left: columns of words; the others are numbers."""
    table = Table(box=None, pad_edge=False, padding=(0, 1), header_style="bold", title=" ")
    for place, header in enumerate(headers):
        table.add_column(
            header,
            justify="left" if place < left else "right",
            overflow="fold" if place < left else "ellipsis",
            no_wrap=place >= left,
        )
    return table


def _topics(kafka: Kafka, prefix: str) -> Table:
    """Lag of worker and sink, in records and by the age of the oldest."""
    head = ("records", "/min", "worker lag", "oldest", "sink lag", "oldest")
    table = _table(f"{prefix}topic" if prefix else "topic", *head)
    groups = {group.process: _by_topic(group) for group in kafka.groups}
    for topic in kafka.topics:
        lags = [
            cell
            for process in ("worker", "sink")
            for cell in _lag_cells(groups.get(process, {}).get(topic.name))
        ]
        counts = _number(topic.records), _number(topic.per_minute)
        table.add_row(topic.name.removeprefix(prefix), *counts, *lags)
    return table


def _by_topic(group: Group) -> dict[str, Group]:
    topics: dict[str, list[GroupPartition]] = {}
    for each in group.partitions:
        topics.setdefault(each.topic, []).append(each)
    return {
        name: Group(group.process, group.name, group.state, group.members, tuple(partitions))
        for name, partitions in topics.items()
    }


def _lag_cells(group: Group | None) -> tuple[str, str]:
    """Records that wait and the age of the oldest; empty where the group does not read."""
    if group is None:
        return "", ""
    if not group.lag_records:
        return "0", ""
    age = group.lag_seconds
    return _number(group.lag_records), _UNKNOWN if age is None else duration(age)


def _groups(kafka: Kafka) -> Table:
    table = _table("group", "state", "member", "partitions", "lag", left=3)
    for group in kafka.groups:
        members = [(each.host, str(each.partitions)) for each in group.members] or [("none", "")]
        for place, (host, partitions) in enumerate(members):
            known = place == 0
            name, state = (group.name, group.state or _UNKNOWN) if known else ("", "")
            lag = _number(group.lag_records if group.partitions else None) if known else ""
            table.add_row(name, state, host, partitions, lag)
    return table


def _pages(pages: tuple[Page, ...]) -> Table:
    table = _table("process", "page", "ready", "up", "MiB", "states", "to restore", left=3)
    for page in pages:
        if page.problem:
            continue
        ready = "hangs" if page.silent else "no" if page.reasons else "yes"
        up = _UNKNOWN if page.uptime_s is None else duration(page.uptime_s)
        memory = None if page.memory_bytes is None else page.memory_bytes // _MIB
        left = sum(page.restoring.values())
        states = "" if page.process != "worker" else _number(page.states)
        restore = "" if page.process != "worker" else _number(left)
        table.add_row(page.process, page.url, ready, up, _number(memory), states, restore)
    return table


def _standbys(pages: tuple[Page, ...]) -> Iterator[RenderableType]:
    """One line, if any worker keeps copies."""
    behind = [lag for page in pages for lag in page.standbys.values()]
    if behind:
        partitions = {number for page in pages for number in page.standbys}
        yield Text(
            f"standbys: {len(behind)} copies of {len(partitions)} partitions, "
            f"{_number(max(behind))} records behind at most"
        )


def _tables(clickhouse: Database) -> list[RenderableType]:
    """In two halves: they fit in a terminal side by side."""
    found = clickhouse.tables
    middle = (len(found) + 1) // 2
    halves: list[RenderableType] = []
    for half in (found[:middle], found[middle:]):
        table = _table("table", "rows", "/min", "written")
        for each in half:
            written = _UNKNOWN if each.written_s is None else duration(each.written_s)
            table.add_row(each.name, _number(each.rows), _number(each.per_minute), written)
        halves.append(table)
    return halves


def _refused(status: Status) -> Iterator[RenderableType]:
    """Dead letters and suppressed recipients."""
    yield Text()
    if status.kafka is not None:
        hour, day = status.kafka.dead_letters_hour, status.kafka.dead_letters_day
        reasons: Counter[str] = Counter()
        for each in status.kafka.dead_letters:
            reasons[each.reason] += each.day
        named = ", ".join(f"{reason} {count:,}" for reason, count in reasons.most_common())
        counts = f"{_number(hour)} in the last hour, {_number(day)} in 24 hours"
        yield Text(f"dead letters: {counts}" + (f" ({named})" if named else ""))
    if status.clickhouse is not None and status.clickhouse.suppressed is not None:
        found = sorted(status.clickhouse.suppressed.items())
        channels = ", ".join(f"{count:,} on {channel}" for channel, count in found) or "none"
        yield Text(f"suppressed recipients: {channels}")


def _number(value: int | None) -> str:
    return _UNKNOWN if value is None else f"{value:,}"
