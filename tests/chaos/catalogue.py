"""All faults, and which of them a run does in which order."""

from __future__ import annotations

from collections.abc import Sequence
from random import Random

from tests.chaos import process_faults, record_faults
from tests.chaos.faults import FAULTS, Fault

__all__ = ["FAULTS", "Unknown", "chosen", "plan", "process_faults", "record_faults"]


class Unknown(ValueError):
    """A name that no fault has, or a choice that leaves none."""


def chosen(only: Sequence[str], skip: Sequence[str], brokers: int, short: bool) -> list[Fault]:
    """The faults to run, in the order of their definition. Raises Unknown."""
    if unknown := sorted({*only, *skip} - FAULTS.keys()):
        raise Unknown(f"no such fault: {', '.join(unknown)}. --list shows them all")
    wanted = [one for one in FAULTS.values() if brokers in one.brokers and one.name not in skip]
    if only:
        wanted = [one for one in wanted if one.name in only]
    elif short:
        wanted = [one for one in wanted if one.short]
    if not wanted:
        raise Unknown(f"no fault is left for {brokers} broker(s)")
    return wanted


def plan(faults: Sequence[Fault], seed: int, short: bool) -> list[list[Fault]]:
    """Rounds, in an order drawn from the seed: a fault a round; when short all in one."""
    shuffled = list(faults)
    Random(seed).shuffle(shuffled)
    return [shuffled] if short else [[one] for one in shuffled]
