"""One partition's world: its states, cells and timers, and what a batch of records makes of them.

Pure of I/O and clocks: records and the partition's clock come in, a `Plan` goes out. Whoever
delivers the plan puts its changes into the table.
"""

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import Final

import msgspec

from models.accounts import Accounts
from models.contract import MAX_EVENT_BYTES
from models.counters import Cells, Contribution, contribution, decode_cell, decode_retired
from models.counters import retired_key as retired_key_of
from models.keys import message_key, split_key
from models.reading import provider_of
from models.refusal import Refusal
from models.requests import number_key
from models.retries import close_late_retry, next_attempt, retry_request, wake_at
from models.state import MessageState, anchor_day, decode, encode, is_pending
from models.timers import Timers
from models.versions import first_version
from streams.lifecycle.hearing import HEARING, Hear, Parse, hear_recipient, last_retirable
from streams.lifecycle.touched import UNKNOWN, Touched, annotate, tell_number
from streams.plan import Event, Incoming, Plan, internal, is_stray

encode_json: Final = msgspec.json.Encoder().encode

#: States looked at between two breaths, so that heartbeats go on during long work.
BREATH: Final = 2_000


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

    # --- restore ------------------------------------------------------------------------------

    def restore(self, published: dict[bytes, bytes], generation: int) -> Iterator[int]:
        """Fold the restored states into cells and timers; yields the states folded so far.

        published: the restored records of `status-counters` of this partition
        generation: of the consumer group. With the highest epoch found it makes an epoch above
            that of every owner before, also of one that has written nothing yet (DESIGN §4).
        """
        mark = published.get(retired_key_of(self.partition))
        highest = 0
        if mark is not None:
            highest, self.retired_day = decode_retired(mark)
        for count, (key, value) in enumerate(self.states.items(), 1):
            try:
                highest = max(highest, self._fold(key, decode(value)))
            except Exception as error:  # noqa: BLE001  (garbage that somebody wrote to the topic)
                self.unusable[key] = f"{type(error).__name__}: {error}"
            if not count % BREATH:
                yield count
        for key, value in published.items():
            row = decode_cell(key, value)
            highest = max(highest, row.version) if row is not None else highest
        self.cells.compare(published, self.retired_day)
        self.version = first_version(highest, generation)
        yield len(self.states)

    def _fold(self, key: bytes, state: MessageState) -> int:
        day, account = anchor_day(state), account_of(key)
        counted = contribution(account, state)
        wake = wake_at(state, self.accounts.of(account))
        self.days[day].append(key)
        if day > self.retired_day:
            if counted is not None:
                self.cells.add(counted)
            if wake:
                self.timers.set(key, wake)
        return state.version

    # --- a batch ------------------------------------------------------------------------------

    def plan(self, topic: str, records: Iterable[Incoming], clock_ms: int) -> Plan:
        """Decide one batch of `sends`, `receipts` or `engagements`.

        clock_ms: the partition's clock, or the time of its last record when that is later
        """
        self.clock_ms = clock_ms
        plan = Plan()
        touched: dict[bytes, Touched] = {}
        parse, hear = HEARING[topic]
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
                self._join(plan, touched, record, event, hear)
            except Exception as error:  # noqa: BLE001  (a rule that raises refuses its event)
                plan.refuse(record, internal(error))
                self._undo(touched, key_of(event), parse, hear)
        for key, message in touched.items():
            if message.changed:
                self._settle(plan, key, message)
        return plan

    def _join(
        self,
        plan: Plan,
        touched: dict[bytes, Touched],
        record: Incoming,
        event: Event,
        hear: Hear,
    ) -> None:
        key = key_of(event)
        message = touched.get(key)
        if message is None or record.key != key:
            stored = self.states.get(key)
            if (stored is None or record.key != key) and is_stray(
                plan, record, key, self.partition, self.rules.partitions
            ):
                return  # only keys of this partition ever enter its table
            if event.message_id is None:
                hear_recipient(plan, event)
                return
            message = touched[key] = message or self._touch(event.account, stored)
        changed = hear(self, plan, record, message, event)
        if changed is None:
            return
        message.records.append(record)
        if changed:
            message.changed = True

    def _undo(self, touched: dict[bytes, Touched], key: bytes, parse: Parse, hear: Hear) -> None:
        """After a rule raised: work the message's other events in again, without what it left."""
        message = touched.pop(key, None)
        told = Plan()  # what these events lead to is in the batch's plan already
        for record in message.records if message is not None else ():
            event = parse(record.value, record.timestamp, self.rules.max_event_bytes)
            if not isinstance(event, Refusal):
                self._join(told, touched, record, event, hear)

    def _touch(self, account: str, stored: bytes | None) -> Touched:
        if stored is None:
            return Touched(account, MessageState(), self.accounts.of(account), UNKNOWN)
        state = decode(stored)
        day = anchor_day(state)
        if day <= self.retired_day:  # about to leave: its day is final
            return Touched(account, MessageState(), self.accounts.of(account), UNKNOWN)
        return Touched(account, state, self.accounts.of(account), day)

    # --- from a changed state to what it leads to ----------------------------------------------

    def _settle(self, plan: Plan, key: bytes, message: Touched) -> bool:
        """Count a changed message anew, set its timer, and put its state into the plan.

        False when a rule raised: then the records that led to it are refused.
        """
        state = message.state
        try:
            close_late_retry(state, message.settings, self.clock_ms)
            after = contribution(message.account, state)
            wake, day = wake_at(state, message.settings), anchor_day(state)
            state.orphaned = state.orphaned or (not state.sends and state.outcome is not None)
            state.version = self.version + 1
            annotate(state, message.settings)
            tell_number(plan, key, message)
            stored = encode(state)
        except Exception as error:  # noqa: BLE001  (a rule that raises refuses its events)
            plan.give_up(key, message.records, error)
            return False
        self.version += 1
        self._recount(message.before, after)
        if wake and wake != message.wake_at:
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

    def _recount(self, before: Contribution | None, after: Contribution | None) -> None:
        if before == after:
            return
        if before is not None:
            self.cells.remove(before)
        if after is not None:
            self.cells.add(after)

    # --- the clock ----------------------------------------------------------------------------

    def tick(self, clock_ms: int) -> Iterator[Plan]:
        """Decide what is due: expiries and retries; a plan per at most BREATH messages."""
        self.clock_ms = clock_ms
        while due := self.timers.take_due(clock_ms, BREATH):
            plan = Plan()
            for key in due:
                self._wake(plan, key, clock_ms)
            yield plan

    def _wake(self, plan: Plan, key: bytes, clock_ms: int) -> None:
        stored = self.states.get(key)
        if stored is None or key in plan.changes:  # it left, or a timer was set for it twice
            return
        state, account = decode(stored), account_of(key)
        message = Touched(account, state, self.accounts.of(account), anchor_day(state))
        due_at = message.wake_at
        if due_at > clock_ms:
            self.timers.set(key, due_at)
        elif due_at:
            if is_pending(state):
                state.expired_at = due_at
                plan.expired += self._settle(plan, key, message)
            else:
                self._decide_retry(plan, key, message, due_at)
        elif state.next_attempt_at and state.retry_decided < next_attempt(state):
            self._settle(plan, key, message)  # its account has switched retries off

    def _decide_retry(self, plan: Plan, key: bytes, message: Touched, due_at: int) -> None:
        """Ask for the next attempt now that it is due, unless its number is suppressed."""
        account, message_id = split_key(key)
        state = message.state
        request = retry_request(account, message_id, state, due_at)
        suppressed = number_key(account, state.sends[0].recipient) in self.suppressed
        state.no_retry = "suppressed" if suppressed else ""
        state.retry_decided, state.next_attempt_at = request.attempt, due_at
        if self._settle(plan, key, message) and not suppressed:
            plan.retries.append((key, encode_json(request)))
            plan.told.add(key)

    def rearm(self, accounts: Collection[str]) -> Iterator[int]:
        """Set the timers of messages anew whose accounts changed their settings."""
        for looked_at, (key, stored) in enumerate(list(self.states.items()), 1):
            account = account_of(key)
            if account in accounts:
                wake = wake_at(decode(stored), self.accounts.of(account))
                if wake:
                    self.timers.set(key, wake)
            if looked_at % BREATH == 0:
                yield looked_at

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

        Yields keys of states, BREATH at a time at most, all to be tombstoned, as those of
        `cells.retire` are. The cells' last values must have been published, and the mark of the
        retired day written, before.
        """
        self.retired_day = max(self.retired_day, last_day)
        for day in sorted(day for day in self.days if day <= self.retired_day):
            keys = self.days.pop(day)
            for start in range(0, len(keys), BREATH):
                yield [key for key in keys[start : start + BREATH] if self._leaves(key)]

    def _leaves(self, key: bytes) -> bool:
        stored = self.states.get(key)
        return stored is not None and anchor_day(decode(stored)) <= self.retired_day

    def amend(self, keys: Iterable[bytes]) -> Iterator[Plan]:
        """Publish states that a restore joined from several: nobody has written them yet."""
        plan = Plan()
        for key in keys:
            if key in self.states and not self._leaves(key):
                state = decode(self.states[key])
                account = account_of(key)
                settings = self.accounts.of(account)
                self._settle(plan, key, Touched(account, state, settings, anchor_day(state)))
            if len(plan.changes) >= BREATH:
                yield plan
                plan = Plan()
        if plan.changes:
            yield plan


def key_of(event: Event) -> bytes:
    """The record key of an event; an engagement without a message is keyed by its recipient."""
    return message_key(event.account, event.message_id or event.recipient or "")


def account_of(key: bytes) -> str:
    """The account of a message key."""
    return key.partition(b"/")[0].decode()


def _note_delay(plan: Plan, state: MessageState) -> None:
    first = state.sends[0]
    seconds = max(0, state.delivered_at - first.first_sent_at) / 1000
    plan.delays[first.channel, provider_of(state)].append(seconds)
