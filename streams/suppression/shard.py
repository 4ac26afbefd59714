"""One partition's numbers: what strikes and requests make of them. Pure of I/O and clocks."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Final

import msgspec

from models.accounts import Accounts
from models.keys import recipient_key, split_key
from models.refusal import Refusal
from models.strikes import Strike, parse_strike
from models.suppression import (
    Facts,
    ManualDecision,
    StrikeFact,
    Suppression,
    SuppressionStatus,
    add_delivery,
    add_release,
    add_resubscribe,
    add_strike,
    add_suppress,
    add_unsubscribe,
    decode,
    encode,
    keep_unknown,
    published,
    status_of,
    unknown_reasons,
)
from models.suppression_requests import SuppressionRequest, parse_request
from models.timers import Timers
from models.versions import first_version
from streams.common.plan import CHUNK_SIZE, RETRY_MS, Incoming, Plan, internal, is_misrouted

STRIKES: Final = "strikes"
REQUESTS: Final = "suppression-requests"


class PendingRecipient:
    """A number while a batch works on it.

    words: as in `Plan`; they reach it only together with the encoded record
    """

    __slots__ = ("accepted_kinds", "changed", "records", "suppression")

    def __init__(self, suppression: Suppression) -> None:
        self.suppression = suppression
        self.changed = False
        self.records: list[Incoming] = []
        self.accepted_kinds: list[str] = []


class RecipientShard:
    """The numbers of one partition.

    numbers: the table's live mapping, number key → stored suppression; read and never written
    """

    def __init__(
        self, partition: int, numbers: Mapping[bytes, bytes], partitions: int, accounts: Accounts
    ) -> None:
        self.partition = partition
        self.numbers = numbers
        self.accounts = accounts
        self.timers = Timers()
        self.version = 0
        self.unusable: dict[bytes, str] = {}
        """Keys whose restored record is not one of ours, and why: to be dropped from the table."""
        self.newer: Counter[str] = Counter()
        """What the restore found that only a newer version knows, and in how many records."""
        self._partitions = partitions

    def restore(self, generation: int) -> Iterator[int]:
        """Find the epoch above all before, and the suppressions that will end by themselves."""
        highest = 0
        for count, (key, value) in enumerate(self.numbers.items(), 1):
            highest = max(highest, self._restored(key, value))
            if count % CHUNK_SIZE == 0:
                yield count
        self.version = first_version(highest, generation)
        yield len(self.numbers)

    def _restored(self, key: bytes, value: bytes) -> int:
        """Set one number's timer; its version. One that a rule raises on waits for `tick`."""
        try:
            suppression = decode(value)
        except msgspec.MsgspecError as error:
            self.unusable[key] = str(error)
            return 0
        try:
            self.newer.update(f"reason {reason!r}" for reason in unknown_reasons(suppression))
            self._set_timer(key, self._status_of(suppression, 0))
        except Exception:  # noqa: BLE001  (`tick` raises it again, and reports it)
            self.timers.set(key, 0)
        return suppression.version

    def plan(self, topic: str, records: Iterable[Incoming], clock_ms: int) -> Plan:
        """Decide one batch of `strikes` or `suppression-requests`."""
        plan = Plan()
        pending: dict[bytes, PendingRecipient] = {}
        for record in plan.readable(records):
            try:
                event = _parsed(topic, record)
                if isinstance(event, Refusal):
                    plan.refuse(record, event)
                else:
                    self._join(plan, pending, record, event)
            except Exception as error:  # noqa: BLE001  (a rule that raises refuses its event)
                plan.refuse(record, internal(error))
        for key, number in pending.items():
            if not number.changed or self._settle(plan, key, number, clock_ms):
                plan.accepted_kinds += number.accepted_kinds
        return plan

    def _join(
        self,
        plan: Plan,
        pending: dict[bytes, PendingRecipient],
        record: Incoming,
        event: Strike | SuppressionRequest,
    ) -> None:
        key = recipient_key(event.account, event.recipient)
        if is_misrouted(plan, record, key, self.partition, self._partitions):
            return
        number = pending.get(key) or pending.setdefault(key, self._touch(key))
        if isinstance(event, Strike):
            changed = _apply_strike(number.suppression.facts, event)
        else:
            changed = _apply_request(number.suppression.facts, event)
        number.accepted_kinds.append(event.kind if isinstance(event, Strike) else event.action)
        number.records.append(record)
        number.changed |= changed

    def _touch(self, key: bytes) -> PendingRecipient:
        stored = self.numbers.get(key)
        if stored is not None:
            return PendingRecipient(decode(stored))
        account, recipient = split_key(key)
        nothing = published(account, recipient, Facts(), _CLEAR, 0)
        return PendingRecipient(nothing)

    def _settle(self, plan: Plan, key: bytes, number: PendingRecipient, clock_ms: int) -> bool:
        """Judge a number anew by the settings in force, and put its record into the plan.

        False when a rule raised: then nothing of the number is in the plan, the records that led
        to it are refused, and a timer that did is set again.
        """
        known = number.suppression
        try:
            status = self._status_of(known, clock_ms)
            version = self.version + 1
            record = published(known.account, known.recipient, known.facts, status, version)
            stored = encode(record)
        except Exception as error:  # noqa: BLE001  (a rule that raises refuses its events)
            self._give_up(plan, key, number.records, error, clock_ms)
            return False
        self.version = version
        plan.changes[key] = stored
        plan.newly_suppressed += status.suppressed and not known.suppressed
        plan.newly_released += known.suppressed and not status.suppressed
        self._set_timer(key, status)
        return True

    def _give_up(
        self,
        plan: Plan,
        key: bytes,
        records: Sequence[Incoming],
        error: Exception,
        clock_ms: int,
    ) -> None:
        """Refuse the records that a rule raised on; without any it was a timer: try it again."""
        plan.reject_events(key, records, error)
        if not records:
            self.timers.set(key, clock_ms + RETRY_MS)

    def _status_of(self, suppression: Suppression, clock_ms: int) -> SuppressionStatus:
        settings = self.accounts.of(suppression.account)
        return keep_unknown(status_of(suppression.facts, settings, clock_ms), suppression)

    def _set_timer(self, key: bytes, status: SuppressionStatus) -> None:
        if status.lapses_at:
            self.timers.set(key, status.lapses_at)

    def tick(self, clock_ms: int) -> Iterator[Plan]:
        """End the suppressions that lasted long enough; a plan per at most CHUNK_SIZE numbers.

        A rule that raises stops nothing: its number is tried again after RETRY_MS.
        """
        while due := self.timers.take_due(clock_ms, CHUNK_SIZE):
            plan = Plan()
            for key in due:
                try:
                    self._end(plan, key, clock_ms)
                except Exception as error:  # noqa: BLE001  (it is in the plan, and is logged)
                    self._give_up(plan, key, (), error, clock_ms)
            yield plan

    def _end(self, plan: Plan, key: bytes, clock_ms: int) -> None:
        stored = self.numbers.get(key)
        if stored is None or key in plan.changes:
            return
        suppression = decode(stored)
        status = self._status_of(suppression, clock_ms)
        if suppression.matches(status):
            self._set_timer(key, status)
        else:
            self._settle(plan, key, PendingRecipient(suppression), clock_ms)


_CLEAR: Final = SuppressionStatus(suppressed=False, reasons=(), since=0, until=0, strikes=0)


def _parsed(topic: str, record: Incoming) -> Strike | SuppressionRequest | Refusal:
    if topic == STRIKES:
        return parse_strike(record.value)
    return parse_request(record.value, record.timestamp)


def _apply_strike(facts: Facts, strike: Strike) -> bool:
    if strike.kind == "delivered":
        return add_delivery(facts, strike.occurred_at)
    struck = strike.kind == "struck"
    fact = StrikeFact(
        strike.sent_at, strike.message_id, strike.version, struck, strike.occurred_at, strike.code
    )
    return add_strike(facts, fact)


def _apply_request(facts: Facts, request: SuppressionRequest) -> bool:
    match request.action:
        case "unsubscribe":
            return add_unsubscribe(facts, request.at)
        case "resubscribe":
            return add_resubscribe(facts, request.at)
        case "suppress":
            return add_suppress(facts, ManualDecision(request.at, request.who, request.why))
        case "release":
            return add_release(facts, ManualDecision(request.at, request.who, request.why))
