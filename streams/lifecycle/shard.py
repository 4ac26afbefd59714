"""Messages of one partition: states, counter cells and timers, and the plan of each batch.

Pure of clocks: records and the partition's clock come in, a `Plan` goes out. Its delivery puts the
changes into the table.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from typing import Final

import msgspec

from models.accounts import Accounts
from models.contract import MAX_EVENT_BYTES
from models.counters import (
    COUNT_NAMES,
    OUTCOMES,
    Cells,
    Contribution,
    contribution,
    decode_retired,
    encode_cell,
    encode_retired,
    read_cells,
    retired_key,
)
from models.joining import add_repaired, decide, is_undecided
from models.keys import account_of, event_key, split_key
from models.reasons import annotate
from models.refusal import Refusal
from models.retries import (
    close_late_retry,
    is_announced,
    next_timer_at,
    retry_request,
    wakes_at,
)
from models.routes import Routes
from models.state import (
    MessageState,
    decode,
    delivered_at_of,
    encode,
    is_pending,
    provider_of,
    retention_day,
    unknown_values,
)
from models.time import delay_of, last_retirable_day
from models.versions import first_version
from models.vocabulary import Status
from streams.batching import Days, StateStore
from streams.common.plan import (
    Event,
    Incoming,
    Plan,
    internal,
    repaired_counts,
    reroute_if_misrouted,
)
from streams.common.shard import CHUNK_SIZE, PartitionShard
from streams.followers.suppression_index import SuppressionIndex
from streams.lifecycle.handlers import HANDLERS, Apply, BatchContext, Parse, apply_to_recipient
from streams.lifecycle.pending import UNKNOWN, PendingMessage, emit_recipient_events

encode_json: Final = msgspec.json.Encoder().encode

#: Names of notes: the last retired day, the states in no cell, and a cell, followed by its key.
_RETIRED: Final = b"retired"
_UNCOUNTED: Final = b"uncounted"
_CELL: Final = b"cell:"
_encode: Final = msgspec.msgpack.Encoder().encode
_decode_keys: Final = msgspec.msgpack.Decoder(list[bytes]).decode
_decode_counts: Final = msgspec.msgpack.Decoder(list[int]).decode


#: Of an encoded state: Kafka's brokers take records of a little more.
MAX_STATE_BYTES: Final = 1_000_000
_DELIVERED: Final = Status.DELIVERED.word
_CHANGED_TO: Final = tuple(("receipts_state_changes_total", name) for name in COUNT_NAMES)


class Rules(msgspec.Struct, frozen=True):
    """Configuration that a shard decides by."""

    partitions: int
    retention_days: int = 10
    max_event_bytes: int = MAX_EVENT_BYTES


class _Batch(msgspec.Struct, frozen=True):
    """A batch in work: its plan, the messages it touched by key, and its topic's handler."""

    plan: Plan
    pending: dict[bytes, PendingMessage]
    parse: Parse
    apply: Apply
    context: BatchContext


class Shard(PartitionShard[MessageState]):
    """Messages of one partition: their states, the counter cells and the timers.

    suppressed: who must not be sent to now, kept current by others
    routes: of the endpoints that providers call; None: there are none
    """

    def __init__(
        self,
        partition: int,
        states: StateStore,
        rules: Rules,
        accounts: Accounts,
        suppressed: SuppressionIndex,
        routes: Routes | None = None,
    ) -> None:
        super().__init__(partition, states, accounts)
        self.rules = rules
        self.routes = routes
        self.suppressed = suppressed
        self.cells = Cells(partition, saved=states.durable)
        self.retired_day = int(states.notes.get(_RETIRED, b"-1"))
        self.touched_days: set[int] = set()
        """Retention days of messages touched since the last commit began."""
        self._committing_days: set[int] = set()
        """The same, up to the commit that runs or failed."""
        self._trailing_days: set[int] = set()
        """The same, of the last commit: a batch in work at its begin is committed by the next."""
        self.uncounted = set(_decode_keys(states.notes.get(_UNCOUNTED, b"\x90")))
        """States whose rules raised at the restore: in no cell until they are settled."""
        self.unbound = 0
        """Messages that retired with an unsubscribe and without a send: it has bound no number,
        unless it named one."""
        self.newer_cells: Counter[str] = Counter()
        """As `newer`, of the counter cells."""
        self.cells.load(
            (name[len(_CELL) :], _decode_counts(counts))
            for name, counts in states.notes.items()
            if name.startswith(_CELL)
        )

    @property
    def days(self) -> Days:
        """Messages by the day whose retention applies."""
        return self.stored.days

    # --- restore ------------------------------------------------------------------------------

    def know_retired(self, mark: bytes | None) -> None:
        """Take the last retired day from the restored mark of `status-counters`, if there is one,
        before values are folded."""
        if mark is not None:
            version, day = decode_retired(mark)
            self.highest = max(self.highest, version)
            if day > self.retired_day:
                self.retired_day = day
                self.cells.forget(day)

    def finish_restore(self, published: Mapping[bytes, bytes], generation: int) -> None:
        """Compare the folded cells with those that were published last.

        published: the restored records of `status-counters` of this partition
        generation: of the consumer group. With the highest epoch found it makes an epoch above
            that of every former owner, even of one that has written nothing yet (docs/design.md).
        """
        cells = read_cells(published, self.partition)
        self.newer_cells = cells.newer
        versions = (row.version for row in cells.rows.values())
        self.highest = max(self.highest, max(versions, default=0))
        self.cells.compare(cells.rows, self.retired_day)
        self.version = first_version(self.highest, generation)

    def save(self) -> None:
        """Note in the store what else a restart needs to know: cells above all."""
        super().save()
        notes = self.stored.notes
        for cell in self.cells.take_unsaved():
            notes[_CELL + cell.key] = _encode(cell.counts)
        for key in self.cells.take_forgotten():
            notes.pop(_CELL + key, None)
        for name, note in (
            (_RETIRED, b"%d" % self.retired_day),
            (_UNCOUNTED, _encode(sorted(self.uncounted))),
        ):
            if notes.get(name) != note:
                notes[name] = note

    def _decode(self, stored: bytes) -> MessageState:
        return decode(stored)

    def _version_of(self, value: MessageState) -> int:
        return value.version

    def _fold_later(self, key: bytes) -> None:
        super()._fold_later(key)
        self.uncounted.add(key)

    def _fold(self, key: bytes, value: MessageState) -> None:
        day = retention_day(value)
        self.days.add(day, key)
        if unknown := unknown_values(value):
            self.newer.update(unknown)
        if day > self.retired_day:
            account = account_of(key)
            wake = wakes_at(value, self.accounts.of(account))
            counted = contribution(account, value)
            if counted is not None:
                self.cells.add(counted)
            if wake:
                self.timers.set(key, wake)

    def _unfold(self, key: bytes, value: MessageState) -> None:
        super()._unfold(key, value)
        day = retention_day(value)
        self.days.remove(day, key)
        if key in self.uncounted:
            self.uncounted.discard(key)
        elif day > self.retired_day:
            counted = contribution(account_of(key), value)
            if counted is not None:
                self.cells.remove(counted)

    def _set_timer_of(self, key: bytes, value: MessageState) -> None:
        wake = wakes_at(value, self.accounts.of(account_of(key)))
        if wake:
            self.timers.set(key, wake)
        else:
            self.timers.clear(key)

    # --- a batch ------------------------------------------------------------------------------

    def plan(self, topic: str, records: Iterable[Incoming], clock_ms: int) -> Plan:
        """Decide one batch of `sends`, `receipts` or `engagements`."""
        self.clock_ms = clock_ms
        rules = self.rules
        context = BatchContext(
            clock_ms, self.retired_day, rules.retention_days, self.suppressed, self.routes
        )
        batch = _Batch(Plan(topic), {}, *HANDLERS[topic], context)
        plan, parse, limit = batch.plan, batch.parse, rules.max_event_bytes
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
                self._join(batch, record, event)
            except Exception as error:  # noqa: BLE001  (a rule that raises refuses its event)
                plan.refuse(record, internal(error))
                self._rejoin_without(batch, event_key(event))
        for key, message in batch.pending.items():
            if message.day != UNKNOWN:
                self.touched_days.add(message.day)
            if not message.changed or self._settle(plan, key, message):
                message.emit(plan, key)
        return plan

    def _join(self, batch: _Batch, record: Incoming, event: Event) -> None:
        key, pending = event_key(event), batch.pending
        message = pending.get(key)
        if message is None or record.key != key:
            stored = self.stored.get(key)
            if (stored is None or record.key != key) and reroute_if_misrouted(
                batch.plan, record, key, self.partition, self.rules.partitions
            ):
                return  # only keys of this partition ever enter its table
            if event.message_id is None:
                apply_to_recipient(batch.plan, event)
                batch.plan.counted += repaired_counts(batch.plan.topic, event.repaired)
                return
            message = pending[key] = message or self._touch(key, event.account, stored)
        changed = batch.apply(batch.context, record, message, event)
        if changed is True:
            message.changed = True
        elif changed is not False:
            batch.plan.refuse(record, changed)
            return
        message.records.append(record)
        if event.repaired:
            message.changed = add_repaired(message.state, event.repaired) or message.changed
            message.counted += repaired_counts(batch.plan.topic, event.repaired)

    def _rejoin_without(self, batch: _Batch, key: bytes) -> None:
        """After a rule raised: join the message's other events again, without what it left.

        Where a rule raises again, all of them are refused.
        """
        message = batch.pending.pop(key, None)
        records = message.records if message is not None else []
        # None of these records is misrouted or refused: that was decided the first time.
        again = msgspec.structs.replace(batch, plan=Plan())
        try:
            for record in records:
                event = batch.parse(record.value, record.timestamp, self.rules.max_event_bytes)
                if not isinstance(event, Refusal):
                    self._join(again, record, event)
        except Exception as error:  # noqa: BLE001  (a rule that raises refuses its events)
            batch.pending.pop(key, None)
            batch.plan.reject_events(key, records, error)

    def _touch(self, key: bytes, account: str, stored: bytes | None) -> PendingMessage:
        state = decode(stored) if stored is not None else None
        if state is None or retention_day(state) <= self.retired_day:  # its day is final
            return PendingMessage(account, MessageState(), self.accounts.of(account), UNKNOWN)
        return self._known(key, account, state)

    def _known(self, key: bytes, account: str, state: MessageState) -> PendingMessage:
        """A message with a stored state, which is in the cells unless its restore failed."""
        message = PendingMessage(account, state, self.accounts.of(account), retention_day(state))
        if self.uncounted and key in self.uncounted:
            message.before = None
        return message

    # --- from a changed state to what it leads to ----------------------------------------------

    def _settle(self, plan: Plan, key: bytes, message: PendingMessage) -> bool:
        """Move a changed message to its new cells, set its timer, put its state into the plan.

        All that can raise comes first. False when a rule raised: then nothing of the message is in
        the plan, its records are refused, and without records its timer is set again.
        """
        state = message.state
        try:
            if is_undecided(state):
                decide(state, message.settings)
            close_late_retry(state, message.settings, self.clock_ms)
            after = contribution(message.account, state)
            wake, day = next_timer_at(state, message.settings), retention_day(state)
            state.orphaned = state.orphaned or (not state.sends and state.outcome is not None)
            state.version = self.version + 1
            annotate(state, message.settings)
            emit_recipient_events(key, message)
            stored = encode(state)
            if len(stored) > MAX_STATE_BYTES:
                raise ValueError(f"the state of the message has {len(stored)} bytes")
        except Exception as error:  # noqa: BLE001  (a rule that raises refuses its events)
            self._give_up(plan, key, message.records, error)
            return False
        self.version += 1
        self.uncounted.discard(key)
        self._recount(message.before, after)
        if wake:
            if wake != message.next_timer_at or self.stored.durable:
                self.timers.set(key, wake)
        else:
            self.timers.clear(key)
        if day != message.day:
            if message.day != UNKNOWN:
                self.days.remove(message.day, key)
            self.days.add(day, key)
        plan.changes[key] = stored
        self.touched_days.add(day)
        if after is not None:
            _note_outcome(plan, message, after)
        return True

    def _recount(self, before: Contribution | None, after: Contribution | None) -> None:
        if before == after:
            return
        if before is not None:
            self.cells.remove(before)
        if after is not None:
            self.cells.add(after)

    # --- commits ------------------------------------------------------------------------------

    def start_commit(self) -> None:
        """All that was planned so far is produced. Its offsets are committed with this commit, or
        with the next: those of a batch that was in work when the offsets were taken."""
        self._committing_days |= self.touched_days
        self.touched_days.clear()

    def finish_commit(self) -> None:
        """The commit succeeded: what was planned before the one before it is not read again."""
        self._trailing_days, self._committing_days = self._committing_days, set()

    def take_cell_changes(self) -> dict[bytes, bytes | None]:
        """Records of `status-counters` for the cells that changed since the last call."""
        changes: dict[bytes, bytes | None] = {}
        for cell in self.cells.take_dirty():
            self.version += 1
            changes[cell.key] = encode_cell(self.version, cell.counts)
        return changes

    # --- the clock ----------------------------------------------------------------------------

    def _wake(self, plan: Plan, key: bytes) -> None:
        """A message expires, its next attempt is due, or there is nothing to do any more."""
        stored = self.stored.get(key)
        if stored is None or key in plan.changes:  # it was retired, or had two timers
            return
        state = decode(stored)
        if retention_day(state) <= self.retired_day:  # its day is final
            return
        message = self._known(key, account_of(key), state)
        due_at, known = message.next_timer_at, state.outcome
        if is_undecided(state):
            decide(state, message.settings)  # the account may have given codes another meaning
            due_at = next_timer_at(state, message.settings)
        if 0 < due_at <= self.clock_ms:
            self._decide(plan, key, message, due_at)
            return
        if due_at:
            self.timers.set(key, due_at)
        changed = state.outcome != known or (not due_at and is_announced(state))
        if changed or key in self.uncounted:
            self._change(plan, key, message)

    def _decide(self, plan: Plan, key: bytes, message: PendingMessage, due_at: int) -> None:
        """A message expires, or its next attempt is due."""
        if is_pending(message.state):
            message.state.expired_at = due_at
            if self._change(plan, key, message):
                plan.count("receipts_expired_total")
        else:
            self._decide_retry(plan, key, message, due_at)

    def _change(self, plan: Plan, key: bytes, message: PendingMessage) -> bool:
        """Settle a message that a timer changed; False when a rule raised."""
        settled = self._settle(plan, key, message)
        if settled:
            message.emit(plan, key)
        return settled

    def _decide_retry(self, plan: Plan, key: bytes, message: PendingMessage, due_at: int) -> None:
        """Request the next attempt, which is due now, unless the recipient is suppressed for it."""
        account, message_id = split_key(key)
        state, first = message.state, message.state.sends[0]
        request = retry_request(account, message_id, state, due_at)
        suppressed = self.suppressed.binds(account, first.recipient, first.channel, first.source)
        state.no_retry = "suppressed" if suppressed else ""
        state.retry_decided, state.next_attempt_at = request.attempt, due_at
        encoded = encode_json(request)
        if self._change(plan, key, message) and not suppressed:
            plan.retries.append((key, encoded))
            plan.deferred_keys.add(key)

    def day_to_retire(self, clock_ms: int) -> int | None:
        """The last day (since 1970) to retire now; None: no day retires.

        No day retires while timers are due: what expires must be counted first. Nor while offsets
        are not committed of records that touched its messages: a replay would not find them.
        """
        last = last_retirable_day(clock_ms, self.rules.retention_days)
        first = self.days.first()
        if first is None or first > last or last <= self.retired_day:
            return None
        if self.timers.any_due(clock_ms):
            return None
        touched = self.touched_days | self._committing_days | self._trailing_days
        return None if any(day <= last for day in touched) else last

    def retirement_mark(self, last_day: int) -> dict[bytes, bytes | None]:
        """The record of `status-counters` that makes the cells up to and including a day final."""
        self.version += 1
        return {retired_key(self.partition): encode_retired(self.version, last_day)}

    def retire(self, last_day: int) -> None:
        """Make all days up to and including a day final. Before, the last values of their cells and
        the mark of the retired day must have been acknowledged."""
        self.retired_day = max(self.retired_day, last_day)

    def take_retired(self, most: int) -> list[bytes] | None:
        """Keys of at most `most` states of retired days, to be tombstoned; None: none is left."""
        first = self.days.first()
        if first is None or first > self.retired_day:
            return None
        keys = self.days.take(self.retired_day, most)
        self.stored.prefetch(keys)
        leaving = []
        for key in keys:
            if (stored := self.stored.get(key)) is None:
                continue
            state = decode(stored)
            if retention_day(state) <= self.retired_day:
                leaving.append(key)
                # An unsubscribe that has waited for its send in vain.
                self.unbound += not state.sends and bool(state.last_unsubscribed_at)
        return leaving

    def retire_cells(self, last_day: int) -> Iterator[list[bytes]]:
        """Forget the cells of retired days: yields their keys, all to be tombstoned."""
        yield from _chunks(self.cells.retire(last_day))

    def _leaves(self, key: bytes) -> bool:
        stored = self.stored.get(key)
        return stored is not None and retention_day(decode(stored)) <= self.retired_day

    def amend(self, keys: Iterable[bytes]) -> Iterator[Plan]:
        """Plan the states that a restore merged from several records: none is logged yet."""
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
        if key in self.stored and not self._leaves(key):
            state = decode(self.stored[key])
            self._change(plan, key, self._known(key, account_of(key), state))


def _note_outcome(plan: Plan, message: PendingMessage, after: Contribution) -> None:
    """Count what a message is now; whether it became final or was delivered for the first time."""
    state, before, outcome = message.state, message.before, OUTCOMES[after[1]]
    plan.counted.append(_CHANGED_TO[after[1]])
    if outcome and not (before and OUTCOMES[before[1]]) and not message.was_final:
        plan.finished.append(after)
        if outcome != _DELIVERED:
            _note_failure(plan, state)
    delivered_at = delivered_at_of(state) if state.part_receipts else state.delivered_at
    if delivered_at and not (message.delivered_at and message.known_sends):
        _note_delay(plan, state, delivered_at)


def _note_failure(plan: Plan, state: MessageState) -> None:
    outcome = state.outcome
    code = outcome.error_code if outcome is not None and not is_pending(state) else ""
    plan.count("receipts_failure_codes_total", provider_of(state), code)


def _note_delay(plan: Plan, state: MessageState, delivered_at: int) -> None:
    first = state.sends[0]
    delay_ms, provider = delay_of(first.first_sent_at, delivered_at), provider_of(state)
    if delay_ms is None:
        plan.count("receipts_wrong_delivery_times_total", provider)
    else:
        plan.delays[first.channel, provider].append(delay_ms / 1000)


def _chunks(keys: list[bytes]) -> Iterator[list[bytes]]:
    for start in range(0, len(keys), CHUNK_SIZE):
        yield keys[start : start + CHUNK_SIZE]
