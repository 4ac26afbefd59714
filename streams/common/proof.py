"""Whether timers, days and rows of a table on disk are what its values lead to. Pure.

The rows come from `WrittenTable`; what follows from a value is computed again from the models, not
by the code that wrote the rows.
"""

from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Sequence
from typing import Final, NamedTuple

import msgspec

from streams.batching import SECOND_MS, Row

#: Examples of faults that are kept.
MAX_EXAMPLES: Final = 20


class Follows(NamedTuple):
    """What follows from one value.

    seconds: at one of them it is due, 0: never; None: whenever
    day: the UTC day (since 1970) it has a row of; None: it needs none
    """

    seconds: frozenset[int] | None
    day: int | None


#: Of a value that the rules do not cover for now: nothing is expected of it.
ANYTHING: Final = Follows(None, None)


class Findings(msgspec.Struct):
    """What was compared, and what is wrong.

    faults: how often, by what is wrong; examples: the first of them, in words
    unproved: how many values are not proved, by the reason
    """

    values: int = 0
    timers: int = 0
    days: int = 0
    cells: int = 0
    faults: dict[str, int] = {}
    examples: list[str] = []
    unproved: dict[str, int] = {}

    @property
    def is_exact(self) -> bool:
        """Whether nothing is wrong."""
        return not self.faults

    def fault(self, what: str, example: str) -> None:
        """Something is wrong."""
        self.faults[what] = self.faults.get(what, 0) + 1
        if len(self.examples) < MAX_EXAMPLES:
            self.examples.append(f"{what}: {example}")

    def leave(self, why: str) -> None:
        """A value is not proved."""
        self.unproved[why] = self.unproved.get(why, 0) + 1


class TableProof(ABC):
    """Compares the rows of one table: first each value, then what no value confirmed."""

    def __init__(self, findings: Findings) -> None:
        self.findings = findings
        self._timed = 0
        self._days_found = 0

    @abstractmethod
    def follow(self, key: bytes, value: bytes) -> Follows:
        """What follows from a value, once for each; it may raise what a rule raises."""

    @abstractmethod
    def confirms_day(self, row: Row, day: int) -> bool:
        """Whether a value may have a row of this day."""

    @abstractmethod
    def shown(self, key: bytes) -> str:
        """A key as people may see it."""

    def expect(self, row: Row) -> Follows:
        """What follows from a value; a rule that raises is counted, not passed on."""
        try:
            return self.follow(row.key, row.value)
        except msgspec.MsgspecError as error:
            self.findings.fault("unreadable value", f"{self.shown(row.key)}: {error}")
            return ANYTHING
        except Exception as error:  # noqa: BLE001  (whatever a rule raises; it is counted)
            self.findings.leave(f"a rule raises {type(error).__name__}")
            return ANYTHING

    def take(self, row: Row, expected: Follows, *, has_timer_row: bool, has_day_row: bool) -> None:
        """Compare one value. has_timer_row: at the second of its row; has_day_row: of the expected
        day."""
        found = self.findings
        found.values += 1
        if row.second:
            self._timed += 1
            if not has_timer_row:
                found.fault("timer row missing", f"{self.shown(row.key)} at {row.second}")
        if expected.seconds is not None and row.second not in expected.seconds:
            self._wrong_second(row, expected.seconds)
        if has_day_row:
            self._days_found += 1
        elif expected.day is not None:
            found.fault("day row missing", f"{self.shown(row.key)} of day {expected.day}")

    def _wrong_second(self, row: Row, expected: frozenset[int]) -> None:
        due = max(expected)
        if due and row.second > due:  # a rule raised when it was due: it is tried again later
            self.findings.leave("its timer was put off")
            return
        times = " or ".join(map(str, sorted(expected)))
        self.findings.fault("wrong timer", f"{self.shown(row.key)} at {row.second}, not {times}")

    def count(self, values: int, timers: int, days: int) -> bool:
        """Compare the numbers of rows. values: as the table notes it for itself.

        False: there are rows of timers or days that no value confirmed.
        """
        found = self.findings
        found.timers, found.days = timers, days
        if values != found.values:
            found.fault("wrong number of values", f"{values} noted, {found.values} found")
        return timers == self._timed and days == self._days_found

    def take_timer(self, second: int, key: bytes, row: Row | None) -> None:
        """Compare one row of a timer with the value of its key."""
        if row is None or row.second != second:
            self.findings.fault("timer row without its value", f"{self.shown(key)} at {second}")

    def take_day(self, day: int, key: bytes, row: Row | None) -> None:
        """Compare one row of a day with the value of its key."""
        if row is None or not self._confirms_day(row, day):
            self.findings.fault("day row without its value", f"{self.shown(key)} of day {day}")

    def _confirms_day(self, row: Row, day: int) -> bool:
        try:
            return self.confirms_day(row, day)
        except msgspec.MsgspecError:
            return True  # the value is a fault already


def second_of(at_ms: int) -> int:
    """The second at which a timer of this time is due; 0: never."""
    return -(-at_ms // SECOND_MS)


def total(findings: Sequence[Findings]) -> Findings:
    """All findings as one."""
    faults: Counter[str] = Counter()
    unproved: Counter[str] = Counter()
    examples: list[str] = []
    for each in findings:
        faults.update(each.faults)
        unproved.update(each.unproved)
        examples += each.examples[: MAX_EXAMPLES - len(examples)]
    return Findings(
        sum(each.values for each in findings),
        sum(each.timers for each in findings),
        sum(each.days for each in findings),
        sum(each.cells for each in findings),
        dict(faults),
        examples,
        dict(unproved),
    )
