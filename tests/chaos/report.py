"""What came out, for people and for machines."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from deploy.simulator.ledger.compare import Ledger
from tests.chaos.driver import Options, Outcome

HEADINGS = ("fault", "tried", "exits", "lost", "doubled", "wrong", "worker s", "sink s", "verdict")
WIDTH = 110
COUNTED = ("lost", "doubled")
MOST_EXITS, SAMPLES = 6, 2


def rows(outcomes: Sequence[Outcome]) -> Iterable[tuple[str, ...]]:
    """A row a fault: of several tries the sums, and the longest times."""
    for name in dict.fromkeys(outcome.fault.name for outcome in outcomes):
        yield _row(name, [outcome for outcome in outcomes if outcome.fault.name == name])


def _row(name: str, tries: Sequence[Outcome]) -> tuple[str, ...]:
    ledgers = [outcome.ledger for outcome in tries if outcome.ledger is not None]
    wrong = sum(len(outcome.wrong_exits) for outcome in tries)
    exits = str(sum(len(outcome.exits) for outcome in tries)) + (
        f" ({wrong} wrong)" if wrong else ""
    )
    counts = [str(sum(getattr(ledger, field) for ledger in ledgers)) for field in COUNTED]
    counts.append(str(sum(_wrong(ledger.as_dict()) for ledger in ledgers)))
    if len(ledgers) < len(tries):
        counts = ["–"] * len(counts)
    gaps = [_longest(o.worker_gap_s for o in tries), _longest(o.sink_gap_s for o in tries)]
    return name, str(len(tries)), exits, *counts, *gaps, _verdict(tries)


def _wrong(ledger: dict[str, Any]) -> int:
    """Everything else the ledger finds wrong."""
    names = [name for name in ledger if name.startswith(("wrong_", "cells_", "un"))]
    return sum(ledger[name] for name in names)


def _longest(gaps: Iterable[float | None]) -> str:
    known = [gap for gap in gaps if gap is not None]
    return f"{max(known):.1f}" if known else "–"


def _verdict(tries: Sequence[Outcome]) -> str:
    if not all(outcome.finished for outcome in tries):
        return "not finished"
    failed = sum(not outcome.passed for outcome in tries)
    return f"FAILED {failed} of {len(tries)}" if failed else "passed"


def table(outcomes: Sequence[Outcome]) -> Table:
    """For a terminal."""
    shown = Table(*HEADINGS)
    for row in rows(outcomes):
        shown.add_row(*row, style="red" if row[-1].startswith("FAILED") else None)
    return shown


def markdown(outcomes: Sequence[Outcome]) -> str:
    """For docs/reliability.md."""
    lines = [HEADINGS, ["---"] * len(HEADINGS), *rows(outcomes)]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def failures(outcomes: Sequence[Outcome]) -> Iterator[str]:
    """Every reason why an outcome failed, in words. A ledger is of a whole round: once."""
    shown: set[int] = set()
    for outcome in outcomes:
        if outcome.finished and not outcome.passed:
            yield f"{outcome.fault.name}, round {outcome.round}:"
            yield from (f"  {reason}" for reason in _reasons(outcome))
            if outcome.round not in shown and outcome.ledger is not None:
                shown.add(outcome.round)
                yield from _differences(outcome.ledger)


def _reasons(outcome: Outcome) -> Iterator[str]:
    yield from outcome.problems
    exits = Counter((e.name, e.code, e.line) for e in outcome.wrong_exits)
    for (name, code, line), times in exits.most_common(MOST_EXITS):
        yield f"{name} ended with exit code {code}, {times} times: {line}"
    if outcome.ledger is None:
        yield "this round has no ledger"
    elif not outcome.ledger.balances:
        yield "the ledger does not balance"


def _differences(ledger: Ledger) -> Iterator[str]:
    """The first few of each kind."""
    if not ledger.balances:
        yield f"  ledger of {ledger.events:,} events:"
        seen = Counter[str]()
        for sample in ledger.samples:
            heading = sample.partition(":")[0]
            seen[heading] += 1
            if seen[heading] <= SAMPLES:
                yield f"    {sample[:WIDTH]} ({getattr(ledger, heading):,} of these)"


def as_json(outcomes: Sequence[Outcome]) -> list[dict[str, Any]]:
    """Everything, for a file."""
    return [
        {
            "fault": o.fault.name,
            "round": o.round,
            "passed": o.passed,
            "finished": o.finished,
            "done": o.said,
            "problems": o.problems,
            "exits": [asdict(e) for e in o.exits],
            "wrong_exits": len(o.wrong_exits),
            "worker_gap_s": o.worker_gap_s,
            "sink_gap_s": o.sink_gap_s,
            "seconds": round(o.seconds, 1),
            "ledger": o.ledger.as_dict() if o.ledger else None,
        }
        for o in outcomes
    ]


def write(path: Path, options: Options, outcomes: Sequence[Outcome]) -> None:
    """Everything that was found, as JSON."""
    path.parent.mkdir(parents=True, exist_ok=True)
    found = {"options": options._asdict(), "outcomes": as_json(outcomes)}
    path.write_text(json.dumps(found, indent=1, ensure_ascii=False), encoding="utf-8")


def show(outcomes: Sequence[Outcome], as_markdown: bool) -> None:
    """The table on stdout, and the reasons of failures."""
    console = Console() if Console().is_terminal else Console(width=WIDTH)
    if as_markdown:
        print(markdown(outcomes))
    else:
        console.print(table(outcomes))
    for line in failures(outcomes):
        print(line)
