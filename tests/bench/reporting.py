"""Reports over millions of messages: `make bench-reports`.

A front with the embedded engine is filled with messages of one account, `--per-day` of them a day,
half of them in campaigns of six hours, made inside the engine. Then, through the real HTTP driver:

merged    after OPTIMIZE FINAL and with nothing else going on
unmerged  the last seven days hold three versions of every row and merges are stopped, while rows of
          recent messages arrive at 5,000 a second, and twice a second the counters of an hour

A report's time is that of all its sections, asked at the same time as the pages do; that of a page
is one HTTP request to the pages' server until its HTML with the chart in it is here. Queries
run a few times before they are measured, and ClickHouse's cache of query conditions is off.
"""

import json
import os
import random
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final, NamedTuple
from urllib.request import Request, urlopen

import click
import clickhouse_connect
import msgspec

from deploy.embedded.brokers import free_port
from deploy.processes.child import Child
from models.settings import Settings
from reports.catalogue import BY_NAME
from reports.exports.formats import FORMATS, export
from reports.query.database import Database
from reports.query.fetch import count_of, fetch, group_reads
from reports.query.query import parse_query
from reports.views import statements
from sinks.client import ClickHouse, connect
from sinks.migrate import migrate
from tests.bench import report
from tests.bench.child import resident_bytes
from tests.bench.cluster import BenchError
from tests.support.front import Front

ACCOUNT: Final = "acme"
PEOPLE: Final = 2_000_000
CHUNK: Final = 1_000_000
RECENT_DAYS: Final = 7
ARRIVING: Final = 5_000
"""Rows a second while unmerged reads are measured."""
MERGE_TIMEOUT_S: Final = 7200
EXPORTED: Final = 1_000_000
"""Messages, about; at least those of a day."""
WARM, TIMED = 2, 9


OnProgress = Callable[[str], None]


class Volume(NamedTuple):
    """Messages in ClickHouse, and how many of them are sent a day."""

    messages: int
    per_day: int


class Timing(msgspec.Struct):
    """One report: milliseconds of its runs, merged and unmerged; target_ms of the median merged."""

    name: str
    target_ms: float
    merged_ms: list[float]
    unmerged_ms: list[float]


class Figures(msgspec.Struct):
    """What one run found. Bytes are those on disk, indexes included."""

    messages: int
    per_day: int
    load_s: float
    bytes_per_message: float
    timings: list[Timing]
    page_ms: list[float]
    arrived_per_s: float
    export_rows: int
    export_s: float
    export_grew_bytes: int


class Case(NamedTuple):
    """A report, what is asked of it, and how many rows of it (0: all)."""

    name: str
    report: str
    params: dict[str, list[str]]
    target_ms: float


def _rows_sql(first: int, count: int, volume: Volume, end: datetime, version: int) -> str:
    """Messages `first` .. `first + count`, the last of all right before `end`.

    version 1: submitted, 2: queued, 3: as it ended. The same number gives the same message.
    """
    step_ms = 86_400_000 / volume.per_day
    ended = version == 3
    return f"""
    INSERT INTO messages (account, message_id, channel, direction, source, sender_id, sent_by,
        campaign_id, message_type, recipient, country, external_id, platform, provider, segments,
        credits, attempts, sent_at, status, platform_status, carrier_status, bounce, scope,
        error_code, error_text, fail_reason, failed_attempt, queued_at, delivered_at, read_at,
        finalized_at, clicked_at, version)
    WITH
        number + {first} AS n,
        sipHash64(n) AS luck,
        toDateTime64('{end:%Y-%m-%d %H:%M:%S}', 3, 'UTC')
            - toIntervalMillisecond(toInt64(({volume.messages} - n) * {step_ms})) AS at,
        luck % 2 = 0 AS in_campaign,
        bitShiftRight(luck, 8) % 1000 AS fate,
        luck % {PEOPLE} AS person,
        multiIf(fate < 925, 'delivered', fate < 970, 'undelivered', fate < 985, 'rejected',
            fate < 988, 'deleted', 'queued') AS final,
        {"final" if ended else "'submitted'" if version == 1 else "'queued'"} AS state,
        state IN ('undelivered', 'rejected', 'deleted') AS failed,
        toDateTime64(0, 3, 'UTC') AS none,
        at + toIntervalMillisecond(200 + bitShiftRight(luck, 20) % 3000) AS queued,
        queued + toIntervalMillisecond(100 + bitShiftRight(luck, 24) % 9000) AS done
    SELECT
        '{ACCOUNT}', toString(reinterpretAsUUID(sipHash128(n))),
        if(bitShiftRight(luck, 3) % 4 = 0, 'whatsapp', 'sms'), 'outbound',
        if(in_campaign, 'campaign', ['direct', 'program', 'verification'][1 + luck % 3]),
        ['ACME', 'ACME Shop', '+358401111'][1 + bitShiftRight(luck, 5) % 3],
        concat('user', toString(bitShiftRight(luck, 6) % 20)),
        if(in_campaign, concat('c', toString(intDiv(toUnixTimestamp(at), 21600))), ''),
        if(in_campaign, 'campaign', 'notification'),
        concat('+', toString(15550000000 + person)),
        ['US', 'CA', 'GB', 'FI', 'DE', 'IN', 'BR', 'NG', 'FR', 'ES'][1 + intDiv(person * person,
            400000000000) % 10],
        concat('p', toString(person)),
        ['web', 'api', 'app'][1 + bitShiftRight(luck, 7) % 3],
        ['twilio', 'infobip', 'sinch', 'vonage'][1 + bitShiftRight(luck, 9) % 4],
        1 + bitShiftRight(luck, 11) % 3, toDecimal64(1 + bitShiftRight(luck, 12) % 9, 6), 1, at,
        state,
        if(state = 'rejected', 'rejected', 'submitted'),
        multiIf(state = 'rejected', '', state = 'delivered', 'delivered', failed, 'undelivered',
            'queued'),
        multiIf(state = 'undelivered', if(luck % 3 = 0, 'hard', 'soft'), state = 'rejected',
            'hard', ''),
        if(failed, 'recipient', ''),
        if(failed, ['27', '1', '30003', '30005', '34'][1 + bitShiftRight(luck, 14) % 5], ''),
        if(failed, 'as the provider says', ''),
        if(failed, ['absent or switched off', 'unknown subscriber', 'network trouble'][1 +
            bitShiftRight(luck, 15) % 3], ''),
        toUInt16(failed), {"none" if version == 1 else "queued"},
        if(state = 'delivered', done, none), none,
        if({"1" if ended else "0"} AND final != 'queued', done, none),
        if(in_campaign AND state = 'delivered' AND bitShiftRight(luck, 17) % 33 = 0,
            done + toIntervalMinute(5), none),
        {version}
    FROM numbers({count})"""


def _load(clickhouse: ClickHouse, volume: Volume, end: datetime, on_progress: OnProgress) -> None:
    """Fill the tables. Days before the last seven come at their last version only."""
    messages, per_day = volume
    recent = min(messages, RECENT_DAYS * per_day)
    for first in range(0, messages - recent, CHUNK):
        count = min(CHUNK, messages - recent - first)
        clickhouse.command(_rows_sql(first, count, volume, end, 3))
        on_progress(f"{first + count:,} of {messages:,} messages")
    clickhouse.command("SYSTEM STOP MERGES messages")
    for version in (1, 2, 3):
        for first in range(messages - recent, messages, per_day // 4):
            count = min(per_day // 4, messages - first)
            clickhouse.command(_rows_sql(first, count, volume, end, version))
    on_progress(f"{messages:,} messages, those of the last {RECENT_DAYS} days in three versions")
    for sql in _OTHERS:
        clickhouse.command(sql)
    recently = end - timedelta(days=RECENT_DAYS)
    clickhouse.command(_cells_sql(1, end - timedelta(days=messages // per_day + 1), recently))
    clickhouse.command("SYSTEM STOP MERGES status_counters")
    for version in (1, 2, 3):
        for hours in range(0, RECENT_DAYS * 24, 6):
            since = recently + timedelta(hours=hours)
            clickhouse.command(_cells_sql(version, since, since + timedelta(hours=6)))


def _cells_sql(version: int, since: datetime, till: datetime) -> str:
    """Counters by hour of messages of a time, as four workers' partitions would publish them."""
    return f"""
    INSERT INTO status_counters (kind, account, window_start, channel, source, country, provider,
        shard, submitted, queued, delivered, read, undelivered_soft, undelivered_hard, expired,
        rejected, deleted, segments, credits, version)
    SELECT 'hour', account, toStartOfHour(sent_at) AS hour, channel, source, country, provider,
        sipHash64(message_id) % 4 AS shard, countIf(outcome = 'submitted'),
        countIf(outcome = 'queued'), countIf(outcome = 'delivered'), countIf(outcome = 'read'),
        countIf(outcome = 'undelivered_soft'), countIf(outcome = 'undelivered_hard'),
        countIf(outcome = 'expired'), countIf(outcome = 'rejected'), countIf(outcome = 'deleted'),
        sum(segments), sum(credits), {version}
    FROM messages WHERE version = 3 AND sent_at >= '{since:%Y-%m-%d %H:%M:%S}'
        AND sent_at < '{till:%Y-%m-%d %H:%M:%S}'
    GROUP BY account, hour, channel, source, country, provider, shard"""


_OTHERS: Final = (
    """INSERT INTO status_counters (kind, account, window_start, campaign_id, shard, delivered,
        version)
    SELECT 'campaign', account, toStartOfDay(sent_at), campaign_id, 0, count(), 1
    FROM messages WHERE campaign_id != '' AND version = 3 GROUP BY 2, 3, 4""",
    """INSERT INTO campaigns (account, campaign_id, name, message_type, text, creator, method,
        status, target_audience, audience, created_at, started_at, ended_at, last_modified_by,
        updated_at, version)
    SELECT account, campaign_id, concat('Campaign ', campaign_id), 'campaign', 'Sale', 'eva',
        'broadcast', 'finished', 30000, 'opted in', min(sent_at), min(sent_at), max(sent_at),
        'eva', max(sent_at), 1
    FROM messages WHERE campaign_id != '' AND version = 3 GROUP BY 1, 2""",
    """INSERT INTO engagements (account, event_id, type, occurred_at, message_id, recipient,
        campaign_id, link_id, url, version)
    SELECT account, message_id, 'click', clicked_at, message_id, recipient, campaign_id,
        concat('l', toString(sipHash64(message_id) % 3)), 'https://example.com/sale', 1
    FROM messages WHERE version = 3 AND clicked_at > toDateTime64(0, 3, 'UTC')""",
)


def _cases(clickhouse: ClickHouse, end: datetime) -> list[Case]:
    """The targets of the issue, on ordinary examples: a campaign of last week, anybody."""
    day = (end - timedelta(days=3)).strftime("%Y-%m-%d")
    (row,) = clickhouse.rows(
        "SELECT campaign_id, recipient FROM messages "
        f"WHERE account = '{ACCOUNT}' AND sent_at >= '{day}' AND campaign_id != '' LIMIT 1"
    )
    campaign, recipient = row
    week = {"since": [_day(end, 6)], "until": [_day(end, 0)]}
    return [
        Case("overview, 7 days", "overview", week, 100),
        Case("details, newest 25 and their number", "messages", week, 150),
        Case("details, one provider and failed", "messages",
             {**week, "provider": ["sinch"], "carrier_status": ["undelivered"]}, 150),
        Case("campaign report, all of it", "campaign", {"campaign": [campaign]}, 200),
        Case("person, 30 days", "person", {"person": [recipient]}, 150),
    ]  # fmt: skip


def _day(end: datetime, back: int) -> str:
    return (end - timedelta(seconds=1, days=back)).strftime("%Y-%m-%d")


def _ask(database: Database, case: Case, end: datetime) -> int:
    """Everything a report shows at first, all at once as a page asks it; how many rows that was."""
    query = parse_query(
        BY_NAME[case.report], ACCOUNT, "UTC", case.params, end - timedelta(seconds=1)
    )
    sections = query.report.sections
    counted = [one for one in sections if one.shape == "rows"]
    with ThreadPoolExecutor(len(sections) + len(counted)) as pool:
        found = [pool.submit(fetch, database, query, group, 25) for group in group_reads(sections)]
        totals = [pool.submit(count_of, database, one, query) for one in counted]
        total = sum(one.result() for one in totals)
        return total + sum(len(rows.rows) for one in found for rows in one.result())


def _timed(database: Database, case: Case, end: datetime) -> list[float]:
    found = []
    for turn in range(WARM + TIMED):
        began = time.perf_counter()
        if not _ask(database, case, end):
            raise BenchError(f"{case.name}: no rows, so nothing was measured")
        if turn >= WARM:
            found.append(round((time.perf_counter() - began) * 1000, 1))
    return found


@contextmanager
def _arriving(url: str, volume: Volume, end: datetime) -> Iterator[Callable[[], int]]:
    """Rows of recent messages arrive meanwhile, twice a second; gives how many so far."""
    stop, sent = threading.Event(), [0]

    def write() -> None:
        clickhouse, rng = connect(url), random.Random(1)
        due = time.monotonic()
        while not stop.wait(max(0.0, due - time.monotonic())):
            messages, per_day = volume
            first = rng.randrange(max(0, messages - per_day), messages - ARRIVING // 2)
            clickhouse.command(_rows_sql(first, ARRIVING // 2, volume, end, 3))
            clickhouse.command(_cells_sql(3, end - timedelta(hours=2), end - timedelta(hours=1)))
            sent[0] += ARRIVING // 2
            due += 0.5
        clickhouse.close()

    thread = threading.Thread(target=write, daemon=True)
    thread.start()
    try:
        yield lambda: sent[0]
    finally:
        stop.set()
        thread.join(30)


# --- exports and pages -----------------------------------------------------------------------


class Export(msgspec.Struct):
    """What a process of its own found: rows, seconds, and how its memory grew after the start."""

    rows: int
    seconds: float
    grew_bytes: int


def measured_export(url: str, since: str, until: str) -> Export:
    """Write message details of some days as CSV to nowhere, in this process."""
    database = Database(url)
    params = {"since": [since], "until": [until]}
    query = parse_query(BY_NAME["messages"], ACCOUNT, "UTC", params, datetime.now(UTC))
    section = query.report.sections[0]
    rows, before, began, most = -1, 0, time.perf_counter(), 0
    with open(os.devnull, "wb") as nowhere:
        pieces = export(FORMATS["csv"], database, [section], query)
        for number, piece in enumerate(pieces):
            nowhere.write(piece)
            rows += piece.count(b"\r\n")
            most = resident_bytes(os.getpid())
            before = before or (most if number else 0)
    return Export(rows, round(time.perf_counter() - began, 2), most - before)


def _export(url: str, volume: Volume, end: datetime) -> Export:
    """The export of whole days, about a million messages, in a child: its memory is its own."""
    command = [sys.executable, "-m", "tests.bench.reporting", "--export", url]
    whole = min(RECENT_DAYS, max(1, round(EXPORTED / volume.per_day)))
    days = [_day(end, whole - 1), _day(end, 0)]
    done = subprocess.run([*command, *days], capture_output=True, text=True, check=False)
    if done.returncode:
        raise BenchError(f"export: {done.stderr[-2000:]}")
    return msgspec.json.decode(done.stdout, type=Export)


def _page_ms(url: str, end: datetime) -> list[float]:
    """The overview page with its chart, as a browser asks for it; the server is its own process."""
    token, port = "t" * 32, free_port()
    settings = Settings(clickhouse_url=url, pages_port=port, pages_tokens=f"{ACCOUNT}={token}")
    found = []
    with Child("pages", [sys.executable, "-m", "deploy.cli", "pages"], settings.environ(),
               Path(tempfile.mkdtemp()) / "log") as child:  # fmt: skip
        query = f"http://127.0.0.1:{port}/overview?since={_day(end, 6)}&until={_day(end, 0)}"
        request = Request(query, headers={"Authorization": f"Bearer {token}"})
        _wait_for(port, child)
        for turn in range(WARM + TIMED):
            began = time.perf_counter()
            with urlopen(request, timeout=60) as answer:
                body = answer.read()
            if b"<svg" not in body:
                raise BenchError("page: it has no chart")
            if turn >= WARM:
                found.append(round((time.perf_counter() - began) * 1000, 1))
    return found


def _wait_for(port: int, child: Child) -> None:
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        child.check()
        with suppress(OSError), urlopen(f"http://127.0.0.1:{port}/healthz", timeout=2):
            return
        time.sleep(0.1)
    raise BenchError(f"pages: no answer: {child.tail()}")


# --- the whole run ---------------------------------------------------------------------------


def measure(volume: Volume, on_progress: OnProgress) -> Figures:
    """Load, measure unmerged under load, merge, measure merged, export, ask a page."""
    end = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    with tempfile.TemporaryDirectory(prefix="bench-reports-") as folder:
        front = Front(Path(folder)).start()
        try:
            return _measured(front.url("bench"), volume, end, on_progress)
        finally:
            front.stop()


def _measured(url: str, volume: Volume, end: datetime, on_progress: OnProgress) -> Figures:
    clickhouse = connect(url)
    migrate(clickhouse, 90, views=statements())
    began = time.monotonic()
    _load(clickhouse, volume, end, on_progress)
    loaded_s = time.monotonic() - began
    database, cases = Database(url), _cases(clickhouse, end)
    with _arriving(url, volume, end) as arrived:
        began = time.monotonic()
        unmerged = [_timed(database, case, end) for case in cases]
        rate = arrived() / (time.monotonic() - began)
    on_progress(f"unmerged measured, {rate:,.0f} rows/s arriving")
    for table in ("messages", "status_counters"):
        clickhouse.command(f"SYSTEM START MERGES {table}")
    patient = clickhouse_connect.get_client(dsn=url, send_receive_timeout=MERGE_TIMEOUT_S)
    for table in ("messages", "engagements", "status_counters", "campaigns"):
        patient.command(f"OPTIMIZE TABLE {table} FINAL")
    on_progress("merged")
    merged = [_timed(database, case, end) for case in cases]
    page_ms = _page_ms(url, end)
    measured = _export(url, volume, end)
    timings = [
        Timing(case.name, case.target_ms, fast, slow)
        for case, fast, slow in zip(cases, merged, unmerged, strict=True)
    ]
    return Figures(
        messages=volume.messages,
        per_day=volume.per_day,
        load_s=round(loaded_s, 1),
        bytes_per_message=_bytes(clickhouse, volume.messages),
        timings=timings,
        page_ms=page_ms,
        arrived_per_s=round(rate),
        export_rows=measured.rows,
        export_s=measured.seconds,
        export_grew_bytes=measured.grew_bytes,
    )


def _bytes(clickhouse: ClickHouse, messages: int) -> float:
    ((size,),) = clickhouse.rows(
        "SELECT sum(bytes_on_disk) FROM system.parts "
        "WHERE active AND table = 'messages' AND database = currentDatabase()"
    )
    return round(int(size) / messages, 1)


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--messages", default=3_000_000, show_default=True, help="Messages in ClickHouse.")
@click.option("--per-day", default=167_000, show_default=True, help="Messages of a day.")
@click.option("--json", "json_path", type=click.Path(dir_okay=False, path_type=Path),
              default=Path("build/reports.json"), show_default=True, help="Figures.")  # fmt: skip
@click.option("--page/--no-page", default=True, help="Write them into docs/benchmarks.md.")
@click.option("--export", "export_of", nargs=3, hidden=True)
def main(
    messages: int,
    per_day: int,
    json_path: Path,
    page: bool,
    export_of: tuple[str, str, str] | None,
) -> None:
    """Measure the reports over many messages, in the embedded engine behind its HTTP front."""
    if export_of:
        sys.stdout.write(msgspec.json.encode(measured_export(*export_of)).decode())
        return
    if messages < RECENT_DAYS * per_day or per_day < 2 * ARRIVING:
        raise click.UsageError(
            f"give at least {2 * ARRIVING:,} --per-day, and --messages of {RECENT_DAYS} days: "
            f"{RECENT_DAYS * per_day:,}"
        )
    command = " ".join(["python -m tests.bench.reporting", *sys.argv[1:]])
    found: dict[str, Any] = msgspec.to_builtins(measure(Volume(messages, per_day), click.echo))
    found |= {"command": command, "when": datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC")}
    json_path.parent.mkdir(parents=True, exist_ok=True)
    json_path.write_text(json.dumps(found, indent=1), encoding="utf-8")
    click.echo(report.reports_section(found))
    if page:
        report.put_reports(found)
        click.echo(f"page: {report.PAGE}")


if __name__ == "__main__":
    main()
