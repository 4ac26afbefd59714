"""What the shards of both agents have in common: stored values, timers, rules that may raise."""

from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from typing import Final, Generic, TypeVar

import msgspec

from models.accounts import Accounts
from streams.batching import StateStore, Timers
from streams.common.plan import Incoming, Plan

#: Values processed between two yields to the event loop, so that heartbeats go on.
CHUNK_SIZE: Final = 2_000

#: A timer whose rule raised is tried again after this time of the partition's clock.
RETRY_MS: Final = 300_000

#: Due at once, whatever the clock.
AT_ONCE: Final = 1

#: Names of notes: the highest version, and the settings of accounts that timers were set by.
_VERSION: Final = b"version"
_SETTINGS: Final = b"settings"
_encode: Final = msgspec.msgpack.Encoder().encode
_decode_settings: Final = msgspec.msgpack.Decoder(dict[str, bytes]).decode

Value = TypeVar("Value")


class PartitionShard(ABC, Generic[Value]):
    """The values of one partition and their timers. Pure of clocks.

    stored: the table's store, key → encoded value; read here. What follows from the values is
        written here: timers, days, notes
    accounts: the settings of all accounts, kept current by others
    """

    def __init__(self, partition: int, stored: StateStore, accounts: Accounts) -> None:
        self.partition = partition
        self.stored = stored
        self.accounts = accounts
        self._notes = stored.notes
        self.highest = int(stored.notes.get(_VERSION, b"0"))
        """The highest version found in what was folded."""
        self._armed = _decode_settings(stored.notes.get(_SETTINGS, b"\x80"))
        """Fingerprints of the settings that the timers of a durable store were set by, by account;
        those without a record have the defaults."""
        self._settings_changed = False
        """They changed since `save`."""
        self.version = 0
        self.clock_ms = 0
        self.unusable: dict[bytes, str] = {}
        """Keys whose restored value cannot be decoded, and why: to be dropped from the table."""
        self.newer: Counter[str] = Counter()
        """What the restore found that only a newer version knows, and in how many records."""

    @property
    def timers(self) -> Timers:
        """When values are due."""
        return self.stored.timers

    # --- restore ------------------------------------------------------------------------------

    @property
    def is_current(self) -> bool:
        """Whether the store was not reverted since this was made of its notes."""
        return self._notes is self.stored.notes

    def fold(self) -> Iterator[int]:
        """Make timers, days and notes follow from what was read into the store; yields the values
        folded so far."""
        count = 0
        for count, (key, before, value) in enumerate(self.stored.unfolded(), 1):
            if before is not None:
                self._unfold(key, self._decode(before))
            if value is not None:
                self._restored(key, value)
            if not count % CHUNK_SIZE:
                yield count
        yield count

    def _restored(self, key: bytes, stored: bytes) -> None:
        """Fold one value. If a rule raises, `tick` tries again and reports it."""
        try:
            value = self._decode(stored)
        except msgspec.MsgspecError as error:
            self.unusable[key] = str(error)
            return
        try:
            self._fold(key, value)
        except Exception:  # noqa: BLE001  (`tick` raises it again, and reports it)
            self._fold_later(key)
        version = self._version_of(value)
        if version > self.highest:
            self.highest = version

    def save(self) -> None:
        """Note in the store what else a restart needs to know."""
        notes = self.stored.notes
        if (version := b"%d" % max(self.highest, self.version)) != notes.get(_VERSION):
            notes[_VERSION] = version
        if self._settings_changed:
            notes[_SETTINGS], self._settings_changed = _encode(self._armed), False

    def accounts_to_rearm(self) -> set[str]:
        """Accounts whose settings changed since the timers of a durable store were set."""
        known, fingerprint = self._armed, self.accounts.fingerprint
        accounts = known.keys() | set(self.accounts.published())
        return {account for account in accounts if fingerprint(account) != known.get(account)}

    def rearm(self, accounts: Iterable[str]) -> Iterator[int]:
        """Set the timers of accounts again that changed their settings; yields between chunks."""
        looked_at = 0
        for account in accounts:
            self._note_settings(account)
            for key, stored in self.stored.items_of(f"{account}/".encode()):
                self._rearm(key, stored)
                looked_at += 1
                if looked_at % CHUNK_SIZE == 0:
                    yield looked_at

    def _note_settings(self, account: str) -> None:
        self._settings_changed = True
        fingerprint = self.accounts.fingerprint(account)
        if fingerprint is None:
            self._armed.pop(account, None)
        else:
            self._armed[account] = fingerprint

    def _rearm(self, key: bytes, stored: bytes) -> None:
        try:
            self._set_timer_of(key, self._decode(stored))
        except Exception:  # noqa: BLE001  (`tick` raises it again, and reports it)
            self.timers.set(key, max(AT_ONCE, self.clock_ms))

    @abstractmethod
    def _set_timer_of(self, key: bytes, value: Value) -> None:
        """Set the timer that follows from a value and the settings of its account, or clear it."""

    @abstractmethod
    def _decode(self, stored: bytes) -> Value: ...

    @abstractmethod
    def _fold(self, key: bytes, value: Value) -> None:
        """Derive from a value what follows from it."""

    def _unfold(self, key: bytes, value: Value) -> None:
        """Take back what was derived from a value. No rule raises that did not when it was
        folded: a store that other rules wrote is folded from the beginning."""
        self.timers.clear(key)

    def _fold_later(self, key: bytes) -> None:
        """A rule raised on a restored value: the first `tick` handles it."""
        self.timers.set(key, AT_ONCE)

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
