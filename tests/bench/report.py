"""docs/benchmarks.md out of a run's JSON file; no figure comes from anywhere else."""

from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import median
from typing import Any, Final

from tests.bench import state_report
from tests.bench.tables import Found, Target, spread, table

CALLBACKS: Final = "## Callbacks\n"
PAGE: Final = Path(__file__).parents[2] / "docs" / "benchmarks.md"


def _middle(found: Found, part: str, field: str, **where: object) -> float | None:
    values = _values(found, part, field, **where)
    return median(values) if values else None


def _values(found: Found, part: str, field: str, **where: object) -> list[float]:
    return [
        run[field]
        for run in found.get(part, ())
        if all(run.get(name) == value for name, value in where.items())
    ]


def _job(candidate: str, field: str) -> Callable[[Found], float | None]:
    return lambda found: _middle(
        found, "job", field, candidate=candidate, partitions=_main_partitions(found)
    )


def _main_partitions(found: Found) -> int:
    return int(max(run["partitions"] for run in found["job"])) if found.get("job") else 0


def _ratio(other: str) -> Callable[[Found], float | None]:
    def of(found: Found) -> float | None:
        ours, theirs = (_job(name, "events_per_s")(found) for name in ("ours", other))
        return ours / theirs if ours and theirs else None

    return of


TARGETS: Final = (
    Target("job: ours against the hand-written loop", 0.6, 1, "×", ".2f", _ratio("loop")),
    Target("job: ours against stock Faust, tuned", 20, 1, "×", ".1f", _ratio("stock")),
    Target("job: events/s", 40_000, 1, "events/s", ",.0f", _job("ours", "events_per_s")),
    Target("job: CPU", 25, -1, "µs/event", ".1f", _job("ours", "cpu_us_per_event")),
    Target(
        "restore", 150_000, 1, "states/s", ",.0f", lambda f: _middle(f, "restore", "states_per_s")
    ),
    Target("memory", 700, -1, "B/state", ".0f", lambda f: _middle(f, "restore", "bytes_per_state")),
    Target("sink", 50_000, 1, "rows/s", ",.0f", lambda f: _middle(f, "sink", "rows_per_s")),
    Target("produced → visible, p99", 2, -1, "s", ".2f", lambda f: _middle(f, "latency", "p99_s")),
    *state_report.TARGETS,
)


def joined(several: Sequence[Found]) -> dict[str, Any]:
    """One out of the files of several runs of different parts; of the same part the last counts."""
    whole: dict[str, Any] = {}
    for found in several:
        whole |= found
    whole["command"] = "`, `".join(found["command"] for found in several)
    whole["minutes"] = round(sum(found["minutes"] for found in several), 1)
    whole["failed"] = [line for found in several for line in found["failed"]]
    return whole


def missed(found: Found) -> list[str]:
    """Targets that were measured and not met, in words."""
    lines = []
    for target in TARGETS:
        value = target.of(found)
        if value is not None and not _is_met(target, value):
            lines.append(f"{target.name}: {value:{target.form}} {target.unit}")
    return lines


def _is_met(target: Target, value: float) -> bool:
    return (value - target.wanted) * target.better >= 0


def wrong(found: Found) -> list[str]:
    """Runs whose result was not what it had to be; their figures mean nothing."""
    parts = ("job", "restore", "sink", "latency")
    lines = [f"{part}: {run['wrong']}" for part in parts for run in found.get(part, ())
             if run.get("wrong")]  # fmt: skip
    lines += [
        f"latency: {run['unseen']} of {run['probes']} probes were never seen"
        for run in found.get("latency", ())
        if run["unseen"]
    ]
    return lines + state_report.wrong(found) + list(found.get("failed", ()))


def page(found: Found) -> str:
    """The page, in Markdown."""
    parts = [_head(found), _targets(found), _jobs(found), _restores(found), _sinks(found)]
    parts += [_latencies(found), state_report.section(found), _problems(found), _kept_reports()]
    return "\n".join(part for part in parts if part)


def _head(found: Found) -> str:
    machine = "; ".join(f"{name} {value}" for name, value in found["machine"].items())
    return (
        "# Benchmarks\n\n"
        "Made by `make bench` from one run's figures (`tests/bench/report.py`); not written by "
        "hand.\nWhat each part measures exactly stands at the top of its module in "
        "`tests/bench/`.\n\n"
        f"- command: `{found['command']}`\n- when: {found['when']}, {found['minutes']} minutes\n"
        f"- machine: {machine}\n- everything ran on this one machine: Kafka, the engine, the "
        "publisher and the process measured\n"
    )


def _targets(found: Found) -> str:
    rows = []
    for target in TARGETS:
        value, sign = target.of(found), "≥" if target.better > 0 else "≤"
        said = "not measured" if value is None else f"{value:{target.form}}"
        verdict = "–" if value is None else "met" if _is_met(target, value) else "**missed**"
        wanted = f"{sign} {target.wanted:{target.form}} {target.unit}"
        rows.append((target.name, wanted, said, verdict))
    return "## Targets\n\n" + table(("figure (median)", "target", "measured", ""), rows)


def _jobs(found: Found) -> str:
    runs = found.get("job", ())
    if not runs:
        return ""
    rows = []
    for partitions in sorted({run["partitions"] for run in runs}):
        for name in dict.fromkeys(run["candidate"] for run in runs):
            where = {"candidate": name, "partitions": partitions}
            rates = _values(found, "job", "events_per_s", **where)
            if rates:
                rows.append(_job_row(found, name, partitions, rates))
    head = ("candidate", "partitions", "events", "runs", "events/s min / median / max",
            "to the last state", "CPU µs/event", "Kafka's CPU µs/event", "states written per event",
            "ours is")  # fmt: skip
    shortest = min(run["seconds"] for run in runs)
    note = (
        f"\nThe shortest run took {shortest:.1f} s. A run ends with a commit, made once a second: "
        "events/s of runs of few seconds say little.\n"
    )
    return "## Whole lifecycle job\n\n" + _CANDIDATES + "\n" + table(head, rows) + note


def _job_row(found: Found, name: str, partitions: int, rates: list[float]) -> tuple[str, ...]:
    where = {"candidate": name, "partitions": partitions}
    ours = _middle(found, "job", "events_per_s", candidate="ours", partitions=partitions)
    events = _values(found, "job", "events", **where)[0]
    states = _values(found, "job", "states_written", **where)
    brokers = _values(found, "job", "broker_cpu_us_per_event", **where)
    return (
        name, str(partitions), f"{events:,}", str(len(rates)), spread(rates, ",.0f"),
        f"{median(_values(found, 'job', 'events_per_s_to_last_state', **where)):,.0f}",
        spread(_values(found, "job", "cpu_us_per_event", **where), ".1f"),
        f"{median(brokers):.1f}", f"{median(states) / events:.2f}",
        f"{ours / median(rates):.2f} ×" if ours else "–",
    )  # fmt: skip


_CANDIDATES: Final = """\
- `ours`: `receipts worker`, as shipped, with its default settings
- `loop`: a hand-written aiokafka batch loop with the same pure functions and no safety
- `stock`: an ordinary Faust app, every setting tuned, counters written once a second
- `naive`: the same with Faust's default settings, counters written as they change
"""


def _restores(found: Found) -> str:
    runs = found.get("restore", ())
    if not runs:
        return ""
    first = runs[0]
    fields = (
        ("states/s, counters folded", "states_per_s", ",.0f"),
        ("seconds from assignment to ready", "seconds", ".2f"),
        ("of it, folding", "fold_seconds", ".2f"),
        ("CPU µs/state", "cpu_us_per_state", ".2f"),
        ("memory, B/state", "bytes_per_state", ".0f"),
        ("most memory while restoring, B/state", "peak_bytes_per_state", ".0f"),
    )
    rows = [(name, spread(_values(found, "restore", field), form)) for name, field, form in fields]
    return (
        f"## Restore and memory\n\n{first['states']:,} states of "
        f"{first['bytes_per_stored_state']} B, {first['cells']:,} cells, {first['partitions']} "
        f"partitions, {len(runs)} runs.\n\n"
    ) + table(("figure", "min / median / max"), rows)


def _sinks(found: Found) -> str:
    runs = found.get("sink", ())
    if not runs:
        return ""
    rows = [
        ("rows/s", spread(_values(found, "sink", "rows_per_s"), ",.0f")),
        ("CPU µs/row, engine included", spread(_values(found, "sink", "cpu_us_per_row"), ".1f")),
    ]
    head = f"## Sink\n\nInto the embedded engine, {runs[0]['rows']:,} rows, {len(runs)} runs.\n\n"
    return head + table(("figure", "min / median / max"), rows)


def _latencies(found: Found) -> str:
    rows = [
        (
            f"{run['events_per_s']:,.0f}", f"{run['seconds']:.0f}", f"{run['probes']:,}",
            f"{run['p50_s']:.2f}", f"{run['p99_s']:.2f}", f"{run['max_s']:.2f}",
            f"{run['new_p99_s']:.2f} / {run['delivered_p99_s']:.2f}",
            ", ".join(f"{name} {share:.2f}" for name, share in run["cpu"].items()),
        )
        for run in found.get("latency", ())
    ]  # fmt: skip
    if not rows:
        return ""
    head = ("events/s", "seconds", "probes", "p50 s", "p99 s", "max s", "p99 s new / delivered",
            "cores used")  # fmt: skip
    return "## Produced → visible in ClickHouse\n\n" + table(head, rows)


REPORTS: Final = "## Reports"


def reports_section(found: Found) -> str:
    """The section on reports, from the file of `tests.bench.reporting`."""
    rows = []
    for timing in found["timings"]:
        merged, unmerged = median(timing["merged_ms"]), median(timing["unmerged_ms"])
        target = timing["target_ms"]
        rows.append((
            timing["name"], f"< {target:.0f}", spread(timing["merged_ms"], ".0f"),
            _verdict(merged < target), f"< {5 * target:.0f}", spread(timing["unmerged_ms"], ".0f"),
            _verdict(unmerged < 5 * target),
        ))  # fmt: skip
    page, size = median(found["page_ms"]), found["bytes_per_message"]
    export_s = 30 * found["export_rows"] / 1_000_000
    others = [
        ("overview page with its chart, ms", "< 300", spread(found["page_ms"], ".0f"),
         _verdict(page < 300)),
        ("bytes a message, without its text, indexes included", "≤ 75", f"{size:.1f}",
         _verdict(size <= 75)),
        (f"{found['export_rows']:,} rows as CSV, s", f"< {export_s:.0f}",
         f"{found['export_s']:.1f}", _verdict(found["export_s"] < export_s)),
        ("memory it grew by from the first to the last block, MiB", "–",
         f"{found['export_grew_bytes'] / 2**20:.0f}", "–"),
    ]  # fmt: skip
    head = ("report", "target ms", "merged ms, min / median / max", "", "target ms",
            f"unmerged, {found['arrived_per_s']:,.0f} rows/s arriving", "")  # fmt: skip
    return (
        f"{REPORTS}\n\n{found['messages']:,} messages of one account, {found['per_day']:,} a day; "
        "what is measured is described at the top of `tests/bench/reporting.py`. Unmerged, the "
        "last seven days hold every row three times and merges are stopped.\n\n"
        f"- command: `{found['command']}`\n- when: {found['when']}\n\n"
        + table(head, rows) + "\n" + table(("figure", "target", "measured", ""), others)
    )  # fmt: skip


def put_reports(found: Found) -> None:
    """Write the section on reports into the page, in place of the one before."""
    before = PAGE.read_text(encoding="utf-8").partition(REPORTS)[0].rstrip()
    PAGE.write_text(f"{before}\n\n{reports_section(found)}", encoding="utf-8")


def _kept_reports() -> str:
    """The sections of other commands as they are: a run of these parts leaves them alone."""
    written = PAGE.read_text(encoding="utf-8") if PAGE.exists() else ""
    mark = next((mark for mark in (CALLBACKS, REPORTS) if mark in written), "")
    return mark + written.partition(mark)[2].rstrip("\n") + "\n" if mark else ""


def _verdict(good: bool) -> str:
    return "met" if good else "**missed**"


def _problems(found: Found) -> str:
    lines = wrong(found)
    if not lines:
        return ""
    return "## Not valid\n\n" + "".join(f"- {line}\n" for line in lines)
