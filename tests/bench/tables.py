"""What the sections of docs/benchmarks.md are made of: targets, spreads, tables."""

from collections.abc import Callable, Mapping, Sequence
from statistics import median
from typing import Any, NamedTuple

Found = Mapping[str, Any]
"""A run's JSON file."""


class Target(NamedTuple):
    """One target figure: `better` is 1 when more is better, -1 when less is."""

    name: str
    wanted: float
    better: int
    unit: str
    form: str
    of: Callable[[Found], float | None]


def spread(values: Sequence[float], form: str) -> str:
    """min / median / max."""
    return " / ".join(f"{value:{form}}" for value in (min(values), median(values), max(values)))


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A Markdown table."""
    lines = [head, ["---"] * len(head), *rows]
    return "".join("| " + " | ".join(line) + " |\n" for line in lines)
