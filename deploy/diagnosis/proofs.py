"""The result of `receipts state check` as it is in the JSON, and as it is shown."""

from collections.abc import Iterable, Iterator
from typing import Annotated, Literal

import msgspec
from rich.console import Group as Lines
from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from deploy.diagnosis.findings import about

Source = Literal["disk", "changelog"]


class PartitionCheck(msgspec.Struct, frozen=True):
    """One partition."""

    partition: Annotated[int, about("number of the partition")]
    exact: Annotated[bool, about("whether it was read and no fault was found")]
    problem: Annotated[str, about("why it cannot be read, with the fix; empty: it was read")] = ""
    states: Annotated[int, about("states of messages and recipients that were compared")] = 0
    timers: Annotated[int, about("rows of timers; 0 for the changelog, which has none")] = 0
    days: Annotated[int, about("rows of retention days; 0 for the changelog")] = 0
    cells: Annotated[int, about("cells of counters that were compared")] = 0
    faults: Annotated[dict[str, int], about("how often something is wrong, by what it is")] = {}
    examples: Annotated[tuple[str, ...], about("the first faults, in words")] = ()
    unproved: Annotated[dict[str, int], about("what is not proved, by the reason")] = {}


class StateCheck(msgspec.Struct, frozen=True):
    """The whole document."""

    taken_at: Annotated[int, about("when it was checked, epoch ms")]
    version: Annotated[str, about("version of receipts")]
    source: Annotated[Source, about("what was checked")]
    where: Annotated[str, about("folder of the states, or brokers")]
    exact: Annotated[bool, about("whether every partition is exact; the exit code follows it")]
    partitions: Annotated[tuple[PartitionCheck, ...], about("all partitions")]


def state_screen(found: StateCheck) -> RenderableType:
    """A line for each partition, then what is wrong and what is not proved."""
    table = Table("partition", "states", "timers", "days", "cells", "", box=None)
    for each in found.partitions:
        verdict = Text("exact", "green") if each.exact else Text("not exact", "bold red")
        numbers = (each.partition, each.states, each.timers, each.days, each.cells)
        table.add_row(*(f"{number:,}" for number in numbers), verdict)
    lines = (line for each in found.partitions for line in _lines(each))
    return Lines(Text(f"{found.source} {found.where}", "bold"), table, *map(Text, lines))


def _lines(each: PartitionCheck) -> Iterator[str]:
    if each.problem:
        yield f"partition {each.partition}: {each.problem}"
    yield from _counted(each.partition, each.faults.items(), "")
    yield from (f"  {example}" for example in each.examples)
    yield from _counted(each.partition, each.unproved.items(), "not proved: ")


def _counted(partition: int, counts: Iterable[tuple[str, int]], before: str) -> Iterator[str]:
    yield from (f"partition {partition}: {before}{what}: {count:,}" for what, count in counts)
