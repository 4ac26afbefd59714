"""One partition's world: its states, cells and timers, and what a batch of records makes of them.

Pure of I/O and clocks: records and the partition's clock come in, a `Plan` goes out. Whoever
delivers the plan puts its changes into the table.
"""

from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from typing import Final

import msgspec

from models.accounts import Accounts
from models.contract import MAX_EVENT_BYTES
from models.counters import Cells, Contribution, contribution, read_cells
from models.keys import message_key, split_key
from models.refusal import Refusal
from models.retries import close_late_retry, next_attempt, next_timer_at, retry_request
from models.state import (
    MessageState,
    decode,
    encode,
    is_pending,
    provider_of,
    retention_day,
    unknown_values,
)
from models.suppression_requests import number_key
from models.timers import Timers
from models.versions import first_version
from streams.common.plan import CHUNK_SIZE, RETRY_MS, Event, Incoming, Plan, internal, is_misrouted
from streams.lifecycle.handlers import HANDLERS, Apply, Parse, apply_to_recipient, last_retirable
from streams.lifecycle.pending import UNKNOWN, PendingMessage, annotate, emit_recipient_events

encode_json: Final = msgspec.json.Encoder().encode


class Rules(msgspec.Struct, frozen=True):
    """What a shard decides by; all of it configuration."""

    partitions: int
    retention_days: int = 10
    max_event_bytes: int = MAX_EVENT_BYTES


class Shard:
    """States, cells and timers of one partition.

    states: the table's live mapping, message key → stored state; read here and never written
    accounts: the settings of all accounts, kept current by others
    suppressed: number key → since when it is suppressed (epoch ms), kept current by others
    """

    def __init__(
        self,
        partition: int,
        states: Mapping[bytes, bytes],
        rules: Rules,
        accounts: Accounts,
        suppressed: Mapping[bytes, int],
    ) -> None:
        self.partition = partition
        self.rules = rules
        self.states = states
        self.accounts = accounts
        self.suppressed = suppressed
        self.cells = Cells(partition)
        self.timers = Timers()
        self.days: defaultdict[int, list[bytes]] = defaultdict(list)
        self.retired_day = -1
        self.version = 0
        self.clock_ms = 0
        self.touched_days: set[int] = set()
        """Days of messages touched since the last commit began."""
        self.unusable: dict[bytes, str] = {}
        """Keys whose restored state is not one of ours, and why: to be dropped from the table."""
        self.uncounted: set[bytes] = set()
        """States whose rules raised at the restore: in no cell until they are settled."""
        self.newer: Counter[str] = Counter()
        self.newer_cells: Counter[str] = Counter()
        """What the restore found that only a newer version knows, and in how many records."""

    # --- restore ------------------------------------------------------------------------------

    def restore(self, published: dict[bytes, bytes], generation: int) -> Iterator[int]:
        """Fold the restored states into cells and timers; yields the states folded so far.

        published: the restored records of `status-counters` of this partition
        generation: of the consumer group. With the highest epoch found it makes an epoch above
            that of every owner before, also of one that has written nothing yet (docs/design.md).
        """
        cells = read_cells(published, self.partition)
        self.newer_cells = cells.newer
        highest, self.retired_day = cells.retired
        for count, (key, value) in enumerate(self.states.items(), 1):
            highest = max(highest, self._restored(key, value))
            if not count % CHUNK_SIZE:
                yield count
        for row in cells.rows.values():
            highest = max(highest, row.version)
        self.cells.compare(cells.rows, self.retired_day)
        self.version = first_version(highest, generation)
        yield len(self.states)

    def _restored(self, key: bytes, value: bytes) -> int:
        """Fold one state; its version. One that a rule raises on waits for `tick`, uncounted."""
        try:
            state = decode(value)
        except msgspec.MsgspecError as error:
            self.unusable[key] = str(error)
            return 0
        try:
            self._fold(key, state)
        except Exception:  # noqa: BLE001  (`tick` raises it again, and reports it)
            self.uncounted.add(key)
            self.timers.set(key, 0)
        return state.version

    def _fold(self, key: bytes, state: MessageState) -> None:
        day = retention_day(state)
        self.days[day].append(key)
        if unknown := unknown_values(state):
            self.newer.update(unknown)
        if day > self.retired_day:
            account = account_of(key)
            wake = next_timer_at(state, self.accounts.of(account))
            counted = contribution(account, state)
            if counted is not None:
                self.cells.add(counted)
            if wake:
                self.timers.set(key, wake)

    # --- a batch ------------------------------------------------------------------------------

    def plan(self, topic: str, records: Iterable[Incoming], clock_ms: int) -> Plan:
        """Decide one batch of `sends`, `receipts` or `engagements`.

        clock_ms: the partition's clock, or the time of its last record when that is later
        """
        self.clock_ms = clock_ms
        plan = Plan()
        pending: dict[bytes, PendingMessage] = {}
        parse, apply = HANDLERS[topic]
        limit = self.rules.max_event_bytes
        for record in plan.readable(records):
            try:
                event = parse(record.value, record.timestamp, limit)
                if isinstance(event, Refusal):
                    plan.refuse(record, event)
                    continue
            except Exception as error:  # noqa: BLE001  (a rule that raises refuses its event)
                plan.refuse(record, internal(error))
                continue
            try:
                self._join(plan, pending, record, event, apply)
            except Exception as error:  # noqa: BLE001  (a rule that raises refuses its event)
                plan.refuse(record, internal(error))
                self._undo(plan, pending, key_of(event), parse, apply)
        for key, message in pending.items():
            if not message.changed or self._settle(plan, key, message):
                message.emit(plan, key)
        return plan

    def _join(
        self,
        plan: Plan,
        pending: dict[bytes, PendingMessage],
        record: Incoming,
        event: Event,
        apply: Apply,
    ) -> None:
        key = key_of(event)
        message = pending.get(key)
        if message is None or record.key != key:
            stored = self.states.get(key)
            if (stored is None or record.key != key) and is_misrouted(
                plan, record, key, self.partition, self.rules.partitions
            ):
                return  # only keys of this partition ever enter its table
            if event.message_id is None:
                apply_to_recipient(plan, event)
                return
            message = pending[key] = message or self._touch(key, event.account, stored)
        changed = apply(self, plan, record, message, event)
        if changed is None:
            return
        message.records.append(record)
        if changed:
            message.changed = True

    def _undo(
        self,
        plan: Plan,
        pending: dict[bytes, PendingMessage],
        key: bytes,
        parse: Parse,
        apply: Apply,
    ) -> None:
        """After a rule raised: work the message's other events in again, without what it left.

        Where a rule raises again, all of them are refused.
        """
        message = pending.pop(key, None)
        records = message.records if message is not None else []
        done = Plan()  # they are neither strays nor refused: that was found out before
        try:
            for record in records:
                event = parse(record.value, record.timestamp, self.rules.max_event_bytes)
                if not isinstance(event, Refusal):
                    self._join(done, pending, record, event, apply)
        except Exception as error:  # noqa: BLE001  (a rule that raises refuses its events)
            pending.pop(key, None)
            plan.reject_events(key, records, error)

    def _touch(self, key: bytes, account: str, stored: bytes | None) -> PendingMessage:
        state = decode(stored) if stored is not None else None
        if state is None or retention_day(state) <= self.retired_day:  # its day is final: it leaves
            return PendingMessage(account, MessageState(), self.accounts.of(account), UNKNOWN)
        return self._known(key, account, state)

    def _known(self, key: bytes, account: str, state: MessageState) -> PendingMessage:
        """A message with a stored state, which counts as what it was restored or written as."""
        message = PendingMessage(account, state, self.accounts.of(account), retention_day(state))
        if self.uncounted and key in self.uncounted:
            message.before = None
        return message

    # --- from a changed state to what it leads to ----------------------------------------------

    def _settle(self, plan: Plan, key: bytes, message: PendingMessage) -> bool:
        """Count a changed message anew, set its timer, and put its state into the plan.

        All that can raise comes first. False when a rule raised: then nothing of the message is in
        the plan, the records that led to it are refused, and a timer that did is set again.
        """
        state = message.state
        try:
            close_late_retry(state, message.settings, self.clock_ms)
            after = contribution(message.account, state)
            wake, day = next_timer_at(state, message.settings), retention_day(state)
            state.orphaned = state.orphaned or (not state.sends and state.outcome is not None)
            state.version = self.version + 1
            annotate(state, message.settings)
            emit_recipient_events(key, message)
            stored = encode(state)
        except Exception as error:  # noqa: BLE001  (a rule that raises refuses its events)
            self._give_up(plan, key, message.records, error)
            return False
        self.version += 1
        self.uncounted.discard(key)
        self._recount(message.before, after)
        if wake and wake != message.next_timer_at:
            self.timers.set(key, wake)
        if day != message.day:
            self.days[day].append(key)
        plan.changes[key] = stored
        self.touched_days.add(day)
        if after is not None:
            plan.statuses[after[1]] += 1
            if state.delivered_at and not (message.delivered_at and message.known_sends):
                _note_delay(plan, state)
        return True

    def _give_up(
        self, plan: Plan, key: bytes, records: Sequence[Incoming], error: Exception
    ) -> None:
        """Refuse the records that a rule raised on; without any it was a timer: try it again."""
        plan.reject_events(key, records, error)
        if not records:
            self.timers.set(key, self.clock_ms + RETRY_MS)

    def _recount(self, before: Contribution | None, after: Contribution | None) -> None:
        if before == after:
            return
        if before is not None:
            self.cells.remove(before)
        if after is not None:
            self.cells.add(after)

    # --- the clock ----------------------------------------------------------------------------

    def tick(self, clock_ms: int) -> Iterator[Plan]:
        """Decide what is due: expiries and retries; a plan per at most CHUNK_SIZE messages.

        A rule that raises stops nothing: its message is tried again after RETRY_MS.
        """
        self.clock_ms = clock_ms
        while due := self.timers.take_due(clock_ms, CHUNK_SIZE):
            plan = Plan()
            for key in due:
                try:
                    self._wake(plan, key, clock_ms)
                except Exception as error:  # noqa: BLE001  (it is in the plan, and is logged)
                    self._give_up(plan, key, (), error)
            yield plan

    def _wake(self, plan: Plan, key: bytes, clock_ms: int) -> None:
        stored = self.states.get(key)
        if stored is None or key in plan.changes:  # it left, or a timer was set for it twice
            return
        state = decode(stored)
        if retention_day(state) <= self.retired_day:  # its day is final: it leaves
            return
        message = self._known(key, account_of(key), state)
        due_at = message.next_timer_at
        if 0 < due_at <= clock_ms:
            self._decide(plan, key, message, due_at)
            return
        if due_at:
            self.timers.set(key, due_at)
        if key in self.uncounted or (not due_at and _is_announced(state)):
            self._change(plan, key, message)

    def _decide(self, plan: Plan, key: bytes, message: PendingMessage, due_at: int) -> None:
        """A message expires, or its next attempt is due."""
        if is_pending(message.state):
            message.state.expired_at = due_at
            plan.expired += self._change(plan, key, message)
        else:
            self._decide_retry(plan, key, message, due_at)

    def _change(self, plan: Plan, key: bytes, message: PendingMessage) -> bool:
        """Settle a message that no record changed; False when a rule raised."""
        settled = self._settle(plan, key, message)
        if settled:
            message.emit(plan, key)
        return settled

    def _decide_retry(self, plan: Plan, key: bytes, message: PendingMessage, due_at: int) -> None:
        """Ask for the next attempt now that it is due, unless its number is suppressed."""
        account, message_id = split_key(key)
        state = message.state
        request = retry_request(account, message_id, state, due_at)
        suppressed = number_key(account, state.sends[0].recipient) in self.suppressed
        state.no_retry = "suppressed" if suppressed else ""
        state.retry_decided, state.next_attempt_at = request.attempt, due_at
        encoded = encode_json(request)
        if self._change(plan, key, message) and not suppressed:
            plan.retries.append((key, encoded))
            plan.deferred_keys.add(key)

    def rearm(self, accounts: Collection[str]) -> Iterator[int]:
        """Set the timers of messages anew whose accounts changed their settings."""
        names = {account.encode() for account in accounts}
        for looked_at, (key, stored) in enumerate(list(self.states.items()), 1):
            if key.partition(b"/")[0] in names:
                self._rearm(key, stored)
            if looked_at % CHUNK_SIZE == 0:
                yield looked_at

    def _rearm(self, key: bytes, stored: bytes) -> None:
        try:
            wake = next_timer_at(decode(stored), self.accounts.of(account_of(key)))
        except Exception:  # noqa: BLE001  (`tick` raises it again, and reports it)
            self.timers.set(key, self.clock_ms)
            return
        if wake:
            self.timers.set(key, wake)

    def day_to_retire(self, clock_ms: int) -> int | None:
        """The last day (since 1970) to retire now, None when there is none.

        Not while timers are due: what expires in that day must be counted first. Not while
        messages of it were touched since the last commit: a replay of their records would find
        them gone.
        """
        last = last_retirable(clock_ms, self.rules.retention_days)
        leaving = any(day <= last for day in self.days)
        if not leaving or last <= self.retired_day or self.timers.any_due(clock_ms):
            return None
        return None if any(day <= last for day in self.touched_days) else last

    def retire(self, last_day: int) -> Iterator[list[bytes]]:
        """Let all states up to and including a day leave together, their cells being final.

        Yields keys of states, CHUNK_SIZE at a time at most, all to be tombstoned, as those of
        `cells.retire` are. The cells' last values must have been published, and the mark of the
        retired day written, before.
        """
        self.retired_day = max(self.retired_day, last_day)
        for day in sorted(day for day in self.days if day <= self.retired_day):
            keys = self.days.pop(day)
            for start in range(0, len(keys), CHUNK_SIZE):
                yield [key for key in keys[start : start + CHUNK_SIZE] if self._leaves(key)]

    def _leaves(self, key: bytes) -> bool:
        stored = self.states.get(key)
        return stored is not None and retention_day(decode(stored)) <= self.retired_day

    def amend(self, keys: Iterable[bytes]) -> Iterator[Plan]:
        """Publish states that a restore joined from several: nobody has written them yet."""
        plan = Plan()
        for key in keys:
            try:
                self._amend(plan, key)
            except Exception as error:  # noqa: BLE001  (it is in the plan, and is logged)
                self._give_up(plan, key, (), error)
            if len(plan.changes) >= CHUNK_SIZE:
                yield plan
                plan = Plan()
        if plan.changes or plan.failures:
            yield plan

    def _amend(self, plan: Plan, key: bytes) -> None:
        if key in self.states and not self._leaves(key):
            state = decode(self.states[key])
            self._change(plan, key, self._known(key, account_of(key), state))


def key_of(event: Event) -> bytes:
    """The record key of an event; an engagement without a message is keyed by its recipient."""
    return message_key(event.account, event.message_id or event.recipient or "")


def account_of(key: bytes) -> str:
    """The account of a message key."""
    return key.partition(b"/")[0].decode()


def _is_announced(state: MessageState) -> bool:
    """Whether a retry was announced and not decided; where none is due, retries are off now."""
    return bool(state.next_attempt_at) and state.retry_decided < next_attempt(state)


def _note_delay(plan: Plan, state: MessageState) -> None:
    first = state.sends[0]
    seconds = max(0, state.delivered_at - first.first_sent_at) / 1000
    plan.delays[first.channel, provider_of(state)].append(seconds)
