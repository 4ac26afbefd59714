"""Differences between actual and expected tables, counted under headings."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

SAMPLES = 5


@dataclass(slots=True)
class Findings:
    """Number of differences by heading, and the first few of each as text."""

    counts: Counter[str] = field(default_factory=Counter)
    samples: list[str] = field(default_factory=list)

    def add(self, heading: str, what: str) -> None:
        """One more difference."""
        self.counts[heading] += 1
        if self.counts[heading] <= SAMPLES:
            self.samples.append(f"{heading}: {what}")
