"""One partition's numbers: what strikes and requests make of them. Pure of I/O and clocks."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Final

from models.accounts import Accounts
from models.keys import split_key
from models.refusal import Refusal
from models.requests import SuppressionRequest, number_key, parse_request
from models.strikes import Strike, parse_strike
from models.suppression import (
    Facts,
    Standing,
    StrikeFact,
    Suppression,
    Word,
    add_delivery,
    add_release,
    add_resubscribe,
    add_strike,
    add_suppress,
    add_unsubscribe,
    decode,
    encode,
    published,
    standing,
)
from models.timers import Timers
from models.versions import first_version
from streams.plan import Incoming, Plan, internal, is_stray

BREATH: Final = 2_000

STRIKES: Final = "strikes"
REQUESTS: Final = "suppression-requests"


class Touched:
    """A number while a batch works on it."""

    __slots__ = ("changed", "records", "suppression")

    def __init__(self, suppression: Suppression) -> None:
        self.suppression = suppression
        self.changed = False
        self.records: list[Incoming] = []


class NumberShard:
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
        self._partitions = partitions

    def restore(self, generation: int) -> Iterator[int]:
        """Find the epoch above all before, and the suppressions that will end by themselves."""
        highest = 0
        for count, (key, value) in enumerate(self.numbers.items(), 1):
            try:
                suppression = decode(value)
                self._set_timer(key, self._stands(suppression, 0))
                highest = max(highest, suppression.version)
            except Exception as error:  # noqa: BLE001  (garbage that somebody wrote to the topic)
                self.unusable[key] = f"{type(error).__name__}: {error}"
            if count % BREATH == 0:
                yield count
        self.version = first_version(highest, generation)
        yield len(self.numbers)

    def plan(self, topic: str, records: Iterable[Incoming], clock_ms: int) -> Plan:
        """Decide one batch of `strikes` or `suppression-requests`."""
        plan = Plan()
        touched: dict[bytes, Touched] = {}
        for record in plan.readable(records):
            try:
                event = _parsed(topic, record)
                if isinstance(event, Refusal):
                    plan.refuse(record, event)
                else:
                    self._join(plan, touched, record, event)
            except Exception as error:  # noqa: BLE001  (a rule that raises refuses its event)
                plan.refuse(record, internal(error))
        for key, number in touched.items():
            if number.changed:
                self._settle(plan, key, number, clock_ms)
        return plan

    def _join(
        self,
        plan: Plan,
        touched: dict[bytes, Touched],
        record: Incoming,
        event: Strike | SuppressionRequest,
    ) -> None:
        key = number_key(event.account, event.recipient)
        if is_stray(plan, record, key, self.partition, self._partitions):
            return
        number = touched.get(key) or touched.setdefault(key, self._touch(key))
        if isinstance(event, Strike):
            plan.words.append(event.kind)
            changed = _hear_message(number.suppression.facts, event)
        else:
            plan.words.append(event.action)
            changed = _hear_request(number.suppression.facts, event)
        number.records.append(record)
        number.changed |= changed

    def _touch(self, key: bytes) -> Touched:
        stored = self.numbers.get(key)
        if stored is not None:
            return Touched(decode(stored))
        account, recipient = split_key(key)
        nothing = published(account, recipient, Facts(), _CLEAR, 0)
        return Touched(nothing)

    def _settle(self, plan: Plan, key: bytes, number: Touched, clock_ms: int) -> None:
        """Judge a number anew by the settings in force, and put its record into the plan."""
        known = number.suppression
        try:
            stands = self._stands(known, clock_ms)
            version = self.version + 1
            record = published(known.account, known.recipient, known.facts, stands, version)
            stored = encode(record)
        except Exception as error:  # noqa: BLE001  (a rule that raises refuses its events)
            plan.give_up(key, number.records, error)
            return
        self.version = version
        plan.changes[key] = stored
        plan.newly_suppressed += stands.suppressed and not known.suppressed
        plan.newly_released += known.suppressed and not stands.suppressed
        self._set_timer(key, stands)

    def _stands(self, suppression: Suppression, clock_ms: int) -> Standing:
        return standing(suppression.facts, self.accounts.of(suppression.account), clock_ms)

    def _set_timer(self, key: bytes, stands: Standing) -> None:
        if stands.lapses_at:
            self.timers.set(key, stands.lapses_at)

    def tick(self, clock_ms: int) -> Iterator[Plan]:
        """End the suppressions that lasted long enough; a plan per at most BREATH numbers."""
        while due := self.timers.take_due(clock_ms, BREATH):
            plan = Plan()
            for key in due:
                self._end(plan, key, clock_ms)
            yield plan

    def _end(self, plan: Plan, key: bytes, clock_ms: int) -> None:
        stored = self.numbers.get(key)
        if stored is None or key in plan.changes:
            return
        suppression = decode(stored)
        stands = self._stands(suppression, clock_ms)
        if suppression.tells(stands):
            self._set_timer(key, stands)
        else:
            self._settle(plan, key, Touched(suppression), clock_ms)


_CLEAR: Final = Standing(suppressed=False, reasons=(), since=0, until=0, strikes=0)


def _parsed(topic: str, record: Incoming) -> Strike | SuppressionRequest | Refusal:
    if topic == STRIKES:
        return parse_strike(record.value)
    return parse_request(record.value, record.timestamp)


def _hear_message(facts: Facts, strike: Strike) -> bool:
    if strike.kind == "delivered":
        return add_delivery(facts, strike.occurred_at)
    struck = strike.kind == "struck"
    fact = StrikeFact(
        strike.sent_at, strike.message_id, strike.version, struck, strike.occurred_at, strike.code
    )
    return add_strike(facts, fact)


def _hear_request(facts: Facts, request: SuppressionRequest) -> bool:
    match request.action:
        case "unsubscribe":
            return add_unsubscribe(facts, request.at)
        case "resubscribe":
            return add_resubscribe(facts, request.at)
        case "suppress":
            return add_suppress(facts, Word(request.at, request.who, request.why))
        case "release":
            return add_release(facts, Word(request.at, request.who, request.why))
