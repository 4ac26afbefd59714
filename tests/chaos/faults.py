"""What a fault is: a function with a name. Whatever it breaks is healed after it.

What a fault does is drawn from the seed; `stage.say` notes it while it happens.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass, field
from random import Random

from tests.chaos.cluster import Brokers
from tests.chaos.installation import Installation


@dataclass(slots=True)
class Stage:
    """What a fault works with. short: do everything once, and briefly. said: what was done."""

    system: Installation
    rng: Random
    short: bool
    said: list[str] = field(default_factory=list)

    @property
    def brokers(self) -> Brokers:
        return self.system.brokers

    def say(self, what: str) -> None:
        """Note what happens now."""
        self.said.append(what)
        self.system.say(f"    {what}")

    def times(self, number: int) -> range:
        """So often; once when short."""
        return range(1 if self.short else number)

    def seconds(self, least: float, most: float) -> float:
        """A time between the two; the least when short."""
        return least if self.short else round(self.rng.uniform(least, most), 1)


Work = Callable[[Stage], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Fault:
    """may_end: kinds of processes (worker, sink) that may end by themselves because of it.

    brokers: for which numbers of brokers. deadline_s: it must be over by then. short: whether it
    belongs to the short set.
    """

    name: str
    meaning: str
    work: Work
    may_end: frozenset[str]
    brokers: tuple[int, ...]
    deadline_s: float
    short: bool


FAULTS: dict[str, Fault] = {}


def fault(
    name: str, meaning: str, *, may_end: Iterable[str] = (), brokers: tuple[int, ...] = (1, 3),
    deadline_s: float = 90.0, short: bool = False,
) -> Callable[[Work], Work]:  # fmt: skip
    """Registers a function under a name."""

    def register(work: Work) -> Work:
        FAULTS[name] = Fault(name, meaning, work, frozenset(may_end), brokers, deadline_s, short)
        return work

    return register
