"""The section of docs/benchmarks.md on states on disk, and its targets."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from statistics import median
from typing import Any, Final

from tests.bench.tables import Found, Target, spread, table

MIB: Final = 1 << 20
#: After kill -9 the group waits for the session timeout; this may come on top.
AFTER_TIMEOUT_S: Final = 4.0


def _of(found: Found, kind: str, **where: object) -> list[Mapping[str, Any]]:
    return [
        run
        for run in found.get("state", {}).get(kind, ())
        if all(run[name] == value for name, value in where.items())
    ]


def _middle(kind: str, field: str, per: str = "", **where: object) -> Callable[[Found], Any]:
    """The median of a field; per: divided by another."""

    def of(found: Found) -> float | None:
        values = [run[field] / (run[per] if per else 1) for run in _of(found, kind, **where)]
        return median(values) if values else None

    return of


def _first_turns(found: Found, store: str) -> list[Mapping[str, Any]]:
    """Without the last turn, which has twice as many states."""
    return [run for run in _of(found, "jobs", store=store) if not _is_double(found, run)]


def _is_double(found: Found, run: Mapping[str, Any]) -> bool:
    return bool(run["states"] >= 2 * found["state"]["size"]["states"])


def _ratio(found: Found) -> float | None:
    disk, memory = (_first_turns(found, store) for store in ("disk", "memory"))
    if not disk or not memory:
        return None
    ours, theirs = (median(run["events_per_s"] for run in runs) for runs in (disk, memory))
    return float(ours / theirs)


def _memory(double: bool) -> Callable[[Found], float | None]:
    def of(found: Found) -> float | None:
        runs = [run for run in _of(found, "jobs", store="disk") if _is_double(found, run) == double]
        return median(run["resident_bytes"] for run in runs) / MIB if runs else None

    return of


def _bytes_a_state(found: Found) -> float | None:
    runs = _first_turns(found, "disk")
    return median(run["disk_bytes"] / run["states"] for run in runs) if runs else None


def _over_timeout(found: Found) -> float | None:
    seconds = _middle("restarts", "ready_s", after="killed")(found)
    return None if seconds is None else seconds - found["state"]["session_timeout_s"]


TARGETS: Final = (
    Target("state: job on disk against memory", 0.8, 1, "×", ".2f", _ratio),
    Target("state: memory of a worker, N states", 1536, -1, "MiB", ",.0f", _memory(False)),
    Target("state: memory of a worker, 2 N states", 1536, -1, "MiB", ",.0f", _memory(True)),
    Target("state: disk", 150, -1, "B/state", ".0f", _bytes_a_state),
    Target("state: ready after a clean stop", 3, -1, "s", ".1f",
           _middle("restarts", "ready_s", after="clean")),
    Target("state: ready after kill -9, beyond the session timeout", AFTER_TIMEOUT_S, -1, "s",
           ".1f", _over_timeout),
    Target("state: restore of a lost disk", 100_000, 1, "states/s", ",.0f",
           _middle("restores", "states_per_s")),
    Target("state: a day retires, produced → visible, p99", 3, -1, "s", ".2f",
           _middle("retirements", "p99_s", store="disk")),
)  # fmt: skip


def wrong(found: Found) -> list[str]:
    """Runs whose result was not what it had to be."""
    runs = [*_of(found, "jobs"), *_of(found, "retirements")]
    lines = [f"state, {run['store']}: {run['wrong']}" for run in runs if run["wrong"]]
    return lines + [f"state, {line}" for line in found.get("state", {}).get("failed", ())]


def section(found: Found) -> str:
    """In Markdown; empty when it was not measured."""
    state = found.get("state")
    if not state:
        return ""
    size = state["size"]
    head = (
        f"## States on disk\n\nN = {size['states']:,} states of {size['hours']} hours, "
        f"{size['partitions']} partitions, {size['events']:,} events a run, session timeout "
        f"{state['session_timeout_s']:g} s. What is measured is described at the top of "
        "`tests/bench/state.py`.\n\n"
    )
    return head + "\n".join((_jobs(found), _others(found), _retirements(found)))


def _jobs(found: Found) -> str:
    rows = []
    for store in ("memory", "disk"):
        for double in (False, True):
            runs = [r for r in _of(found, "jobs", store=store) if _is_double(found, r) == double]
            if runs:
                rows.append(_job_row(store, runs))
    head = ("states", "present", "runs", "events/s min / median / max", "CPU µs/event",
            "memory MiB", "most memory MiB", "disk B/state")  # fmt: skip
    return table(head, rows)


def _job_row(store: str, runs: Sequence[Mapping[str, Any]]) -> tuple[str, ...]:
    present = max(run["states"] for run in runs)
    return (
        f"on {store}" if store == "disk" else "in memory",
        f"{present:,}" if present else "only its own",
        str(len(runs)),
        spread([run["events_per_s"] for run in runs], ",.0f"),
        spread([run["cpu_us_per_event"] for run in runs], ".1f"),
        spread([run["resident_bytes"] / MIB for run in runs], ",.0f"),
        f"{max(run['peak_bytes'] for run in runs) / MIB:,.0f}",
        spread([r["disk_bytes"] / r["states"] for r in runs], ".0f") if present else "–",
    )


def _others(found: Found) -> str:
    rows = list(_restore_rows(_of(found, "restores")))
    for after, text in (
        ("clean", "restart after a clean stop: process started → ready, s"),
        ("cold", "the same, files not in the kernel's cache, s"),
        ("killed", "restart after kill -9: process started → ready, s"),
    ):
        if runs := _of(found, "restarts", after=after):
            rows.append((text, spread([run["ready_s"] for run in runs], ".1f")))
            assigned = spread([run["assigned_s"] for run in runs], ".1f")
            rows.append(("of it, until partitions are assigned, s", assigned))
    return table(("figure", "min / median / max"), rows)


def _restore_rows(runs: Sequence[Mapping[str, Any]]) -> Iterator[tuple[str, str]]:
    if runs:
        rates, cpu = (
            [run[field] for run in runs] for field in ("states_per_s", "cpu_us_per_state")
        )
        yield "restore of a lost disk, states/s", spread(rates, ",.0f")
        yield "CPU µs/state", spread(cpu, ".1f")
        disk = [run["disk_bytes"] / run["states"] for run in runs]
        yield "disk right after it, B/state", spread(disk, ".0f")
        yield "most memory, MiB", spread([run["peak_bytes"] / MIB for run in runs], ",.0f")


def _retirements(found: Found) -> str:
    rows = [
        (
            "on disk" if run["store"] == "disk" else "in memory", f"{run['states']:,}",
            f"{run['retired']:,} in {run['seconds']:.0f} s", f"{run['events_per_s']:,.0f}",
            f"{run['probes']:,}", f"{run['p50_s']:.2f}", f"{run['p99_s']:.2f}",
            f"{run['max_s']:.2f}", f"{run['calm_p99_s']:.2f}",
        )
        for run in _of(found, "retirements")
    ]  # fmt: skip
    head = ("a day retires, states", "present", "retired", "events/s", "probes", "p50 s", "p99 s",
            "max s", "p99 s afterwards")  # fmt: skip
    return table(head, rows) if rows else ""
