"""Recipients of one partition: the plan of each batch of strikes or suppression requests.

Pure of I/O and clocks, as the shard of messages is.
"""

from collections.abc import Iterable
from typing import Final

from models.accounts import Accounts
from models.keys import is_of_person, recipient_key, split_key
from models.refusal import Refusal
from models.strikes import Strike, parse_strike
from models.suppression import (
    Suppression,
    SuppressionStatus,
    decode,
    encode,
    keep_unknown,
    published,
    status_of,
    unknown_reasons,
)
from models.suppression_facts import (
    Facts,
    ManualDecision,
    StrikeFact,
    add_delivery,
    add_release,
    add_resubscribe,
    add_strike,
    add_suppress,
    add_unsubscribe,
)
from models.suppression_requests import SuppressionRequest, parse_request
from models.versions import first_version
from streams.batching import StateStore
from streams.common.plan import (
    Count,
    Incoming,
    Plan,
    internal,
    repaired_counts,
    reroute_if_misrouted,
)
from streams.common.shard import AT_ONCE, PartitionShard
from streams.suppression.moving import requests_again, strikes_again

STRIKES: Final = "strikes"
REQUESTS: Final = "suppression-requests"

#: From publishing facts under their person's key until the old record is cleared: by then the owner
#: of that key has joined them, so one of both records suppresses at any time.
MOVING_MS: Final = 600_000


class PendingRecipient:
    """A recipient while a batch works on it.

    counted: as in `Plan`; they reach it only together with the encoded suppression
    """

    __slots__ = ("changed", "counted", "records", "suppression")

    def __init__(self, suppression: Suppression) -> None:
        self.suppression = suppression
        self.changed = False
        self.records: list[Incoming] = []
        self.counted: list[Count] = []


class RecipientShard(PartitionShard[Suppression]):
    """Recipients of one partition: what is known of each, and when its suppression ends."""

    def __init__(
        self,
        partition: int,
        suppressions: StateStore,
        partitions: int,
        accounts: Accounts,
    ) -> None:
        super().__init__(partition, suppressions, accounts)
        self._partitions = partitions
        self._moving: dict[bytes, int] = {}
        """Keys of other spellings whose facts are published again, and when they are cleared."""

    def finish_restore(self, generation: int) -> None:
        """All is folded. generation: of the consumer group; with the highest epoch found it makes a
        higher one."""
        self.version = first_version(self.highest, generation)

    def _decode(self, stored: bytes) -> Suppression:
        return decode(stored)

    def _version_of(self, value: Suppression) -> int:
        return value.version

    def _fold(self, key: bytes, value: Suppression) -> None:
        self.newer.update(f"reason {reason!r}" for reason in unknown_reasons(value))
        self._set_timer_of(key, value)

    def _set_timer_of(self, key: bytes, value: Suppression) -> None:
        if is_to_move(key, value):
            self.timers.set(key, AT_ONCE)
        else:
            self._set_timer(key, self._status_of(value))

    def plan(self, topic: str, records: Iterable[Incoming], clock_ms: int) -> Plan:
        """Decide one batch of `strikes` or `suppression-requests`."""
        self.clock_ms = clock_ms
        plan = Plan(topic)
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
        for key, recipient in pending.items():
            if not recipient.changed or self._settle(plan, key, recipient):
                plan.counted += recipient.counted
        return plan

    def _join(
        self,
        plan: Plan,
        pending: dict[bytes, PendingRecipient],
        record: Incoming,
        event: Strike | SuppressionRequest,
    ) -> None:
        key = recipient_key(event.account, event.recipient)
        if reroute_if_misrouted(plan, record, key, self.partition, self._partitions):
            return
        recipient = pending.get(key) or pending.setdefault(key, self._touch(key))
        if isinstance(event, Strike):
            changed = _apply_strike(recipient.suppression.facts, event)
        else:
            changed = _apply_request(recipient.suppression.facts, event)
        kind = event.kind if isinstance(event, Strike) else event.action
        recipient.counted.append(("receipts_events_total", plan.topic, kind))
        if isinstance(event, SuppressionRequest):
            recipient.counted += repaired_counts(plan.topic, event.repaired)
            if changed and event.action == "unsubscribe":
                recipient.counted.append(("receipts_opt_outs_total", event.channel or ""))
        recipient.records.append(record)
        recipient.changed |= changed

    def _touch(self, key: bytes) -> PendingRecipient:
        stored = self.stored.get(key)
        if stored is not None:
            return PendingRecipient(decode(stored))
        account, recipient = split_key(key)
        nothing = published(account, recipient, Facts(), _CLEAR, 0)
        return PendingRecipient(nothing)

    def _settle(self, plan: Plan, key: bytes, recipient: PendingRecipient) -> bool:
        """Decide a recipient's status by the settings in force, and put its record into the plan.

        False when a rule raised: then nothing of the recipient is in the plan, its records are
        refused, and without records its timer is set again.
        """
        known = recipient.suppression
        try:
            status = self._status_of(known)
            version = self.version + 1
            record = published(known.account, known.recipient, known.facts, status, version)
            stored = encode(record)
        except Exception as error:  # noqa: BLE001  (a rule that raises refuses its events)
            self._give_up(plan, key, recipient.records, error)
            return False
        self.version = version
        plan.changes[key] = stored
        if status.suppressed != known.suppressed:
            change = "suppressed" if status.suppressed else "released"
            plan.count("receipts_suppressions_total", change)
        self._set_timer(key, status)
        return True

    def _status_of(self, suppression: Suppression) -> SuppressionStatus:
        settings = self.accounts.of(suppression.account)
        return keep_unknown(status_of(suppression.facts, settings, self.clock_ms), suppression)

    def _set_timer(self, key: bytes, status: SuppressionStatus) -> None:
        if status.lapses_at:
            self.timers.set(key, status.lapses_at)
        else:
            self.timers.clear(key)

    def _wake(self, plan: Plan, key: bytes) -> None:
        """End a suppression that lasted long enough, or move facts to the key of their person."""
        stored = self.stored.get(key)
        if stored is None or key in plan.changes:
            return
        suppression = decode(stored)
        if is_to_move(key, suppression):
            self._move(plan, key, suppression)
            return
        status = self._status_of(suppression)
        if suppression.matches(status):
            self._set_timer(key, status)
        else:
            self._settle(plan, key, PendingRecipient(suppression))

    def _move(self, plan: Plan, key: bytes, suppression: Suppression) -> None:
        """Publish the facts under the key of their person; clear this record when that is done."""
        if key not in self._moving:
            plan.strikes += strikes_again(suppression)
            plan.requests += requests_again(suppression)
            self._moving[key] = self.clock_ms + MOVING_MS
        if self._moving[key] > self.clock_ms:
            self.timers.set(key, self._moving[key])
            return
        suppression.facts = Facts()
        if self._settle(plan, key, PendingRecipient(suppression)):
            del self._moving[key]


def is_to_move(key: bytes, suppression: Suppression) -> bool:
    """Whether 0.1.0 stored facts under another spelling of the number."""
    return not is_of_person(key) and suppression.facts != Facts()


_CLEAR: Final = SuppressionStatus(suppressed=False, reasons=(), since=0, until=0, strikes=0)


def _parsed(topic: str, record: Incoming) -> Strike | SuppressionRequest | Refusal:
    if topic == STRIKES:
        return parse_strike(record.value)
    return parse_request(record.value, record.timestamp)


def _apply_strike(facts: Facts, strike: Strike) -> bool:
    of_channel = facts.of(strike.channel)
    if strike.kind == "delivered":
        return add_delivery(of_channel, strike.occurred_at)
    struck = strike.kind == "struck"
    fact = StrikeFact(
        strike.sent_at, strike.message_id, strike.version, struck, strike.occurred_at, strike.code
    )
    return add_strike(of_channel, fact)


def _apply_request(facts: Facts, request: SuppressionRequest) -> bool:
    of_channel = facts.of(request.channel or "")
    match request.action:
        case "unsubscribe":
            return add_unsubscribe(of_channel, request.at)
        case "resubscribe":
            return add_resubscribe(of_channel, request.at)
        case "suppress":
            return add_suppress(of_channel, ManualDecision(request.at, request.who, request.why))
        case "release":
            return add_release(of_channel, ManualDecision(request.at, request.who, request.why))
