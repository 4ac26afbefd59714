"""What the shards of both agents have in common: stored values, timers, rules that may raise."""

from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Generator, Iterable, Iterator, Mapping, Sequence
from typing import Final, Generic, TypeVar

import msgspec

from models.accounts import Accounts
from models.timers import Timers
from streams.common.plan import Incoming, Plan

#: Values processed between two yields to the event loop, so that heartbeats go on.
CHUNK_SIZE: Final = 2_000

#: A timer whose rule raised is tried again after this time of the partition's clock.
RETRY_MS: Final = 300_000

Value = TypeVar("Value")


class PartitionShard(ABC, Generic[Value]):
    """The values of one partition and their timers, in memory. Pure of I/O and clocks.

    stored: the table's live mapping, key → encoded value; read here and never written
    accounts: the settings of all accounts, kept current by others
    """

    def __init__(self, partition: int, stored: Mapping[bytes, bytes], accounts: Accounts) -> None:
        self.partition = partition
        self.stored = stored
        self.accounts = accounts
        self.timers = Timers()
        self.version = 0
        self.clock_ms = 0
        self.unusable: dict[bytes, str] = {}
        """Keys whose restored value cannot be decoded, and why: to be dropped from the table."""
        self.newer: Counter[str] = Counter()
        """What the restore found that only a newer version knows, and in how many records."""

    # --- restore ------------------------------------------------------------------------------

    def _restore_stored(self) -> Generator[int, None, int]:
        """Fold all stored values; yields how many so far, returns the highest version found."""
        highest = 0
        for count, (key, value) in enumerate(self.stored.items(), 1):
            highest = max(highest, self._restored(key, value))
            if not count % CHUNK_SIZE:
                yield count
        return highest

    def _restored(self, key: bytes, stored: bytes) -> int:
        """Fold one value; its version. If a rule raises, `tick` tries again and reports it."""
        try:
            value = self._decode(stored)
        except msgspec.MsgspecError as error:
            self.unusable[key] = str(error)
            return 0
        try:
            self._fold(key, value)
        except Exception:  # noqa: BLE001  (`tick` raises it again, and reports it)
            self._fold_later(key)
        return self._version_of(value)

    @abstractmethod
    def _decode(self, stored: bytes) -> Value: ...

    @abstractmethod
    def _fold(self, key: bytes, value: Value) -> None:
        """Derive from a restored value what is kept only in memory."""

    def _fold_later(self, key: bytes) -> None:
        """A rule raised on a restored value: the first `tick` handles it."""
        self.timers.set(key, 0)

    @abstractmethod
    def _version_of(self, value: Value) -> int: ...

    # --- deciding -----------------------------------------------------------------------------

    @abstractmethod
    def plan(self, topic: str, records: Iterable[Incoming], clock_ms: int) -> Plan:
        """Decide one batch of a topic, given by its plain name.

        clock_ms: the partition's clock, or the time of its last record when that is later
        """

    def tick(self, clock_ms: int) -> Iterator[Plan]:
        """Decide what is due; one plan for at most CHUNK_SIZE timers.

        A rule that raises stops nothing: its key is tried again after RETRY_MS.
        """
        self.clock_ms = clock_ms
        while due := self.timers.take_due(clock_ms, CHUNK_SIZE):
            plan = Plan()
            for key in due:
                try:
                    self._wake(plan, key)
                except Exception as error:  # noqa: BLE001  (it is in the plan, and is logged)
                    self._give_up(plan, key, (), error)
            yield plan

    @abstractmethod
    def _wake(self, plan: Plan, key: bytes) -> None:
        """Decide what is due for one key; there may be nothing any more."""

    def _give_up(
        self, plan: Plan, key: bytes, records: Sequence[Incoming], error: Exception
    ) -> None:
        """Refuse the records that a rule raised on; without records it was a timer: retry it."""
        plan.reject_events(key, records, error)
        if not records:
            self.timers.set(key, self.clock_ms + RETRY_MS)
