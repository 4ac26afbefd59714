"""Ids of providers and the receipts that wait for them, of one partition; the plan of each batch.

Pure of I/O and clocks, as the shards of messages and recipients are.
"""

from collections.abc import Iterable, Iterator, Sequence
from typing import Final

import msgspec

from models.accounts import Accounts
from models.correlation import (
    MAX_WAITING,
    Correlation,
    Link,
    ReceivedReceipt,
    add_link,
    add_waiting,
    clear_waiting,
    deciding_link,
    decode,
    decode_link,
    decode_receipt,
    distinct,
    encode,
    event_of,
    is_reference,
    problem_of,
    report,
    unreported,
    was_reported,
)
from models.keys import account_of
from models.provider_ids import ProviderId, parse_provider_id
from models.refusal import Reason, Refusal
from models.routes import Routes
from models.time import DAY_MS
from models.unmatched import found_after_all, unmatched
from models.versions import first_version
from streams.batching import StateStore
from streams.common.plan import (
    Incoming,
    Plan,
    internal,
    repaired_counts,
    reroute_if_misrouted,
)
from streams.common.shard import CHUNK_SIZE, PartitionShard
from streams.correlation.translation import translate

CALLBACKS: Final = "callbacks"
PROVIDER_IDS: Final = "provider-ids"
PROVIDER_RECEIPTS: Final = "provider-receipts"
PROVIDER_LINKS: Final = "provider-links"
#: Name of a note.
_RULES: Final = b"rules"


class CorrelationRules(msgspec.Struct, frozen=True):
    """Configuration that the shard decides by. retention_days: from the newest record on"""

    partitions: int
    retention_days: int
    unmatched_days: int


_encode_rules: Final = msgspec.msgpack.Encoder().encode
_decode_rules: Final = msgspec.msgpack.Decoder(CorrelationRules).decode


class _Pending:
    """One key while a batch works on it."""

    __slots__ = ("changed", "records", "state")

    def __init__(self, state: Correlation) -> None:
        self.state = state
        self.changed = False
        self.records: list[Incoming] = []


class CorrelationShard(PartitionShard[Correlation]):
    """Keys of one partition: what is known of each, and when it is reported or forgotten."""

    def __init__(
        self,
        partition: int,
        stored: StateStore,
        rules: CorrelationRules,
        routes: Routes,
    ) -> None:
        super().__init__(partition, stored, Accounts())
        self._rules = rules
        self._routes = routes
        self._rearmed = stored.notes.get(_RULES) == _encode_rules(rules)

    @property
    def armed_by(self) -> CorrelationRules | None:
        """The settings that the timers of a durable store were set by; None: not known."""
        noted = self.stored.notes.get(_RULES)
        return None if noted is None else _decode_rules(noted)

    def save(self) -> None:
        """See PartitionShard. While timers are set by two settings, none of them is noted."""
        super().save()
        if self._rearmed:
            if self.stored.notes.get(_RULES) != (rules := _encode_rules(self._rules)):
                self.stored.notes[_RULES] = rules
        else:
            self.stored.notes.pop(_RULES, None)

    def rearm(self, accounts: Iterable[str]) -> Iterator[int]:
        """Set all timers again where the settings of the installation have changed; yields between
        chunks."""
        if not self._rearmed and self.stored.durable:
            for looked_at, (key, stored) in enumerate(self.stored.items_of(b""), 1):
                self._rearm(key, stored)
                if looked_at % CHUNK_SIZE == 0:
                    yield looked_at
        self._rearmed = True
        yield from super().rearm(accounts)

    def finish_restore(self, generation: int) -> None:
        """All is folded. generation: of the consumer group"""
        self.version = first_version(self.highest, generation)

    def _decode(self, stored: bytes) -> Correlation:
        return decode(stored)

    def _version_of(self, value: Correlation) -> int:
        return value.version

    def _fold(self, key: bytes, value: Correlation) -> None:
        self._set_timer_of(key, value)

    def _set_timer_of(self, key: bytes, value: Correlation) -> None:
        self.timers.set(key, self._due_at(value))

    def _due_at(self, state: Correlation) -> int:
        """When the next is due: to report a receipt as unmatched, or to forget the key."""
        expires_at = state.latest + self._rules.retention_days * DAY_MS
        reports = (
            receipt.received_at + self._rules.unmatched_days * DAY_MS
            for receipt in unreported(state)
        )
        return max(1, min(expires_at, *reports, expires_at))

    # --- a batch ------------------------------------------------------------------------------

    def plan(self, topic: str, records: Iterable[Incoming], clock_ms: int) -> Plan:
        """Decide one batch of `callbacks`, `provider-ids`, `provider-receipts` or
        `provider-links`."""
        self.clock_ms = clock_ms
        plan = Plan(topic)
        pending: dict[bytes, _Pending] = {}
        for record in plan.readable(records):
            try:
                self._take(plan, pending, record)
            except Exception as error:  # noqa: BLE001  (a rule that raises refuses its event)
                plan.refuse(record, internal(error))
        for key, each in pending.items():
            self._settle(plan, key, each)
        return plan

    def _take(self, plan: Plan, pending: dict[bytes, _Pending], record: Incoming) -> None:
        if plan.topic == CALLBACKS:
            translate(plan, record, self._routes, self.clock_ms)
        elif plan.topic == PROVIDER_IDS:
            self._take_provider_id(plan, record)
        else:
            self._join(plan, pending, record)

    def _take_provider_id(self, plan: Plan, record: Incoming) -> None:
        """Put the link where the receipts of the id wait."""
        event = parse_provider_id(record.value)
        if isinstance(event, Refusal):
            plan.refuse(record, event)
            return
        plan.counted += repaired_counts(plan.topic, event.repaired)
        plan.count("receipts_events_total", plan.topic, "id")
        keys = list(
            self._routes.link_keys(
                event.account, event.provider, event.provider_message_id, event.recipient or ""
            )
        )
        if not keys:
            plan.refuse(record, _without_route(event))
            return
        at = record.timestamp if record.timestamp >= 0 else self.clock_ms
        link = encode(Link(at, event.message_id, event.attempt or 0))
        plan.outputs[PROVIDER_LINKS] += [(key, link) for key in keys]

    def _join(self, plan: Plan, pending: dict[bytes, _Pending], record: Incoming) -> None:
        """A link or a receipt under its key."""
        fact = _decoded(plan.topic, record)
        if isinstance(fact, Refusal):
            plan.refuse(record, fact)
            return
        key = record.key or b""
        if reroute_if_misrouted(plan, record, key, self.partition, self._rules.partitions):
            return
        each = pending.get(key)
        if each is None:
            stored = self.stored.get(key)
            each = pending[key] = _Pending(decode(stored) if stored else Correlation())
        state = each.state
        if isinstance(fact, Link):
            each.changed |= add_link(state, msgspec.structs.replace(fact, at=self._past(fact.at)))
        else:
            fact = msgspec.structs.replace(fact, received_at=self._past(fact.received_at))
            link = deciding_link(key, state)
            if link is not None and not state.waiting:
                self._resolve(plan, key, state, link, (fact,))
            elif link is not None or _may_wait(key, state, fact):
                each.changed |= add_waiting(state, fact)
            elif fact.keys == 1:
                detail = f"{MAX_WAITING} receipts wait for the id already"
                plan.refuse(record, Refusal(Reason.BAD_VALUE, detail))
        each.records.append(record)

    def _past(self, at: int) -> int:
        """The time; now, where it is not known, or far ahead: a key would be kept for longer."""
        return at if 0 < at <= self.clock_ms + DAY_MS else self.clock_ms

    def _settle(self, plan: Plan, key: bytes, each: _Pending) -> None:
        """Publish what is resolved, and put the state into the plan."""
        if not each.changed:
            return
        state = each.state
        try:
            if (link := deciding_link(key, state)) is not None:
                self._resolve(plan, key, state, link, state.waiting)
                clear_waiting(state)
            self._put(plan, key, state)
        except Exception as error:  # noqa: BLE001  (a rule that raises refuses its events)
            self._give_up(plan, key, each.records, error)

    def _put(self, plan: Plan, key: bytes, state: Correlation) -> None:
        """Put a changed state into the plan, under a version of its own."""
        state.version = self.version + 1
        stored, due_at = encode(state), self._due_at(state)
        self.version += 1
        self.timers.set(key, due_at)
        plan.changes[key] = stored

    def amend(self, keys: Iterable[bytes]) -> Plan:
        """Put values again that a restore has merged, and publish what they resolve."""
        plan = Plan()
        for key in keys:
            if (stored := self.stored.get(key)) is not None:
                each = _Pending(decode(stored))
                each.changed = True
                self._settle(plan, key, each)
        return plan

    def _resolve(
        self,
        plan: Plan,
        key: bytes,
        state: Correlation,
        link: Link,
        receipts: Iterable[ReceivedReceipt],
    ) -> None:
        """The receipts are about the message of the link."""
        account, receipts = account_of(key), list(receipts)
        for receipt in distinct(receipts):
            event = event_of(receipt, account, link.message_id, link.attempt)
            plan.outputs["receipts"].append(event)
            plan.deferred_keys.add(key)
            plan.count("receipts_correlated_total", "resolved")
        for receipt in receipts:
            reported = was_reported(state, receipt)
            # Elsewhere, where it waits too or was read otherwise, it may be reported as well.
            if reported or receipt.keys > 1 or receipt.reading:
                found = found_after_all(
                    account, receipt, self.clock_ms, link.message_id, reported=reported
                )
                plan.outputs["unmatched-receipts"].append(found)

    # --- the clock ----------------------------------------------------------------------------

    def _wake(self, plan: Plan, key: bytes) -> None:
        """Report receipts that have waited for too long, or forget the key."""
        stored = self.stored.get(key)
        if stored is None or key in plan.changes:
            return
        state = decode(stored)
        due_at = self._due_at(state)
        if due_at > self.clock_ms:
            self.timers.set(key, due_at)
            return
        before = self._rules.unmatched_days * DAY_MS
        late = [
            receipt
            for receipt in unreported(state)
            if receipt.received_at + before <= self.clock_ms
        ]
        if late:
            self._report(plan, key, state, late)
        else:
            plan.changes[key] = None

    def _report(
        self, plan: Plan, key: bytes, state: Correlation, late: Sequence[ReceivedReceipt]
    ) -> None:
        account = account_of(key)
        plan.outputs["unmatched-receipts"] += [
            unmatched(account, receipt, self.clock_ms) for receipt in late
        ]
        plan.deferred_keys.add(key)
        for _ in late:
            plan.count("receipts_correlated_total", "unmatched")
        report(state, late)
        self._put(plan, key, state)


def _decoded(topic: str, record: Incoming) -> Link | ReceivedReceipt | Refusal:
    """What another worker has produced; anyone may have written something else."""
    decoder = decode_link if topic == PROVIDER_LINKS else decode_receipt
    try:
        fact = decoder(record.value or b"")
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        return Refusal(Reason.BAD_VALUE, f"value: not one of ours: {error}")
    problem = problem_of(record.key, fact)
    return Refusal(Reason.BAD_VALUE, problem) if problem else fact


def _may_wait(key: bytes, state: Correlation, receipt: ReceivedReceipt) -> bool:
    """Whether a receipt without its message is kept under this key. One that waits under its id too
    is not needed here: many share the reference of a campaign."""
    if any(each.origin == receipt.origin for each in state.waiting):
        return True  # in the place of that one
    if receipt.keys > 1 and is_reference(key):
        return not state.links and len(state.waiting) < MAX_WAITING
    return len(state.waiting) < MAX_WAITING


def _without_route(event: ProviderId) -> Refusal:
    if event.recipient is None:
        fix = "; where the id is that of a batch, the recipient is required"
    else:
        fix = ""
    detail = f"provider: no endpoint of the account has {event.provider!r}{fix}"
    return Refusal(Reason.BAD_VALUE, detail)
