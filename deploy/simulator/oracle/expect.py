"""What the tables must say, computed from the truth by the written rules and by nothing else.

Deliberately simple and slow; independent of the order of events. Rules: docs/semantics.md.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from hashlib import md5
from typing import Any, NamedTuple

from deploy.simulator.event import ACCOUNTS, CAMPAIGNS, ENGAGEMENTS, RECEIPTS, REQUESTS, Published
from deploy.simulator.oracle.facts import Facts, moment, parse, receipt_of, send_of
from deploy.simulator.oracle.messages import (
    Cell,
    CellKey,
    Message,
    Orphan,
    add_to_cell,
    cells_of,
    message_of,
    orphan_of,
    winning_receipt,
    winning_sends,
)
from deploy.simulator.oracle.retries import Ask, RequestKey, may_ask, may_be_over, must_ask
from deploy.simulator.oracle.rules import DEFAULTS, Rules, rules_of
from deploy.simulator.oracle.suppression import (
    Number,
    Standing,
    Strike,
    first_suppressed,
    possible,
    request_of,
    standing,
)

MessageKey = tuple[str, str]  # account, message_id
NumberKey = tuple[str, str]  # account, recipient
Decision = tuple[str, str, int, str, str, str]  # account, recipient, at, action, who, why
Origin = tuple[str, int, int]  # topic, partition, offset
RECIPIENT = "recipient"


class DeadLetter(NamedTuple):
    """A refused record: the reason, and what its bytes must still be (hex MD5; "" for none)."""

    reason: str
    key_md5: str
    value_md5: str


@dataclass(slots=True)
class Expected:
    """What the tables must hold.

    `events` = `in_messages` + `in_orphans` + dead letters + `in_campaigns` + `in_accounts` +
    `in_requests` + `in_nothing` (engagements of people or of messages nobody knows).
    unsettled: fields of messages that depend on when the worker learned what: not compared.
    campaigns: (account, campaign_id) -> (updated_at ms, name, status) of the newest.
    engagements: (account, event_id). texts: how many attempts came with a text.
    strikes: what struck, by message. may_strike: messages that may also have struck for a while.
    numbers: where each number stands; all others are clear. unsettled_numbers: not compared.
    decisions: published ones; those the worker makes of unsubscribes have who "recipient", and
    why "" whatever it writes. may_ask / must_ask: retry requests.
    """

    messages: dict[MessageKey, Message] = field(default_factory=dict)
    unsettled: dict[MessageKey, set[str]] = field(default_factory=dict)
    orphans: dict[MessageKey, Orphan] = field(default_factory=dict)
    dead_letters: dict[Origin, DeadLetter] = field(default_factory=dict)
    cells: dict[CellKey, Cell] = field(default_factory=dict)
    campaigns: dict[MessageKey, tuple[int, str, str]] = field(default_factory=dict)
    accounts: dict[str, Rules] = field(default_factory=dict)
    strikes: dict[MessageKey, Strike] = field(default_factory=dict)
    may_strike: set[MessageKey] = field(default_factory=set)
    numbers: dict[NumberKey, Standing] = field(default_factory=dict)
    unsettled_numbers: set[NumberKey] = field(default_factory=set)
    decisions: set[Decision] = field(default_factory=set)
    may_ask: dict[RequestKey, Ask] = field(default_factory=dict)
    must_ask: set[RequestKey] = field(default_factory=set)
    engagements: set[MessageKey] = field(default_factory=set)
    texts: int = 0
    events: int = 0
    in_messages: int = 0
    in_orphans: int = 0
    in_campaigns: int = 0
    in_accounts: int = 0
    in_requests: int = 0
    in_nothing: int = 0


def expect(truth: Iterable[Published], as_of_ms: int) -> Expected:
    """What the tables must say at `as_of_ms`, in whatever order the truth is given.

    A record with `expect` is a dead letter; all others must be valid, whatever their key and
    partition. Raises ValueError naming the record that is not.
    """
    oracle = _Oracle(as_of_ms)
    for record in truth:
        oracle.expected.events += 1
        if record.expect:
            origin = (record.topic, record.partition, record.offset)
            oracle.expected.dead_letters[origin] = DeadLetter(
                record.expect, digest(record.key), digest(record.value)
            )
        else:
            try:
                oracle.learn(record, parse(record.value or b""))
            except (ValueError, KeyError, TypeError, ArithmeticError) as error:
                where = f"{record.topic}/{record.partition}/{record.offset}"
                raise ValueError(f"{where}: no `expect`, and not valid: {error!r}") from error
    return oracle.conclude()


def digest(value: bytes | None) -> str:
    """Hex MD5 of bytes; "" for None. Only compares contents."""
    return "" if value is None else md5(value, usedforsecurity=False).hexdigest()


class _Oracle:
    """What is known of messages, accounts and numbers while the truth is read."""

    def __init__(self, as_of_ms: int) -> None:
        self.expected = Expected()
        self._as_of_ms = as_of_ms
        self._facts: dict[MessageKey, Facts] = {}
        self._settings: dict[str, tuple[tuple[int, int], Rules]] = {}
        self._numbers: dict[NumberKey, Number] = {}
        self._soft: list[tuple[RequestKey, NumberKey]] = []

    def learn(self, record: Published, fields: dict[str, Any]) -> None:
        """Adds one valid event to what is known of its message, campaign, account or number."""
        account: str = fields["account"]
        if record.kind == CAMPAIGNS:
            self._learn_campaign(account, fields)
        elif record.kind == ACCOUNTS:
            self.expected.in_accounts += 1
            newest = ((record.partition, record.offset), rules_of(fields))
            self._settings[account] = max(self._settings.get(account, newest), newest)
        elif record.kind == REQUESTS:
            self.expected.in_requests += 1
            self._decide(request_of(fields, moment(fields["at"])))
        else:
            self._learn_message(account, record.kind, fields)

    def _learn_campaign(self, account: str, fields: dict[str, Any]) -> None:
        self.expected.in_campaigns += 1
        key = (account, fields["campaign_id"])
        newest = (moment(fields["updated_at"]), fields["name"], fields.get("status") or "")
        campaigns = self.expected.campaigns
        campaigns[key] = max(campaigns.get(key, newest), newest)

    def _learn_message(self, account: str, kind: str, fields: dict[str, Any]) -> None:
        if kind == ENGAGEMENTS:
            self.expected.engagements.add((account, fields["event_id"]))
            if not fields.get("message_id"):
                self.expected.in_nothing += 1
                if fields["type"] == "unsubscribe":
                    self._unsubscribe(account, fields["recipient"], moment(fields["occurred_at"]))
                return
        known = self._facts.setdefault((account, fields["message_id"]), Facts())
        known.events += 1
        if kind == RECEIPTS:
            known.receipts.append(receipt_of(fields))
        elif kind == ENGAGEMENTS:
            known.engage(fields["type"], moment(fields["occurred_at"]))
        else:
            send = send_of(fields)
            known.sends.append(send)
            known.texts |= bool(fields.get("text")) << send.attempt

    def _decide(self, decision: Decision) -> None:
        self.expected.decisions.add(decision)
        account, recipient, at, action, _, _ = decision
        self._number((account, recipient)).decide(action, at)

    def _unsubscribe(self, account: str, recipient: str, at: int) -> None:
        self._decide((account, recipient, at, "unsubscribe", RECIPIENT, ""))

    def _number(self, key: NumberKey) -> Number:
        return self._numbers.setdefault(key, Number())

    def _rules(self, account: str) -> Rules:
        return self.expected.accounts.get(account, DEFAULTS)

    def conclude(self) -> Expected:
        """What follows from all that was learned."""
        expected = self.expected
        expected.accounts = {account: rules for account, (_, rules) in self._settings.items()}
        while self._facts:  # rows replace facts, so that memory holds one of both
            key, known = self._facts.popitem()
            expected.texts += known.texts.bit_count()
            if known.sends:
                expected.in_messages += known.events
                self._conclude_message(key, known)
            elif known.receipts:
                expected.in_orphans += known.events
                expected.orphans[key] = orphan_of(known, self._rules(key[0]))
            else:
                expected.in_nothing += known.events
        self._conclude_numbers()
        return expected

    def _conclude_message(self, key: MessageKey, known: Facts) -> None:
        expected, rules = self.expected, self._rules(key[0])
        message, counted = message_of(known, rules, self._as_of_ms)
        expected.messages[key] = message
        if not counted:
            return
        for at in known.unsubscribes:
            self._unsubscribe(key[0], message.recipient, at)
        for cell_key in cells_of(key[0], message):
            cell = expected.cells.get(cell_key, Cell())
            expected.cells[cell_key] = add_to_cell(cell, counted, message)
        self._conclude_strike(key, known, message)
        if message.failed_attempt:
            self._leave_open(key, known, message)
        for attempt, ask in may_ask(known, rules, self._as_of_ms).items():
            expected.may_ask[*key, attempt] = ask
        if attempt := must_ask(known, rules, self._as_of_ms):
            self._soft.append(((*key, attempt), (key[0], message.recipient)))

    def _conclude_strike(self, key: MessageKey, known: Facts, message: Message) -> None:
        """What the message says of its number: that it struck, or may have; or was delivered."""
        account, recipient = key[0], message.recipient
        hits = [r.occurred_at for r in known.receipts if r.strikes]
        if hits:
            self.expected.may_strike.add(key)
            number = self._number((account, recipient))
            number.hits.append(min(hits))
            winner = winning_receipt(known.receipts, winning_sends(known.sends))
            if winner.strikes:
                strike = Strike(recipient, message.sent_at, winner.occurred_at, winner.error_code)
                self.expected.strikes[key] = strike
                number.strikes.append(strike)
        if message.delivered_at and self._rules(account).strikes_reset_on_delivery:
            number = self._number((account, recipient))
            told = [r.occurred_at for r in known.receipts if r.rank >= 4]
            number.delivered_at = max(number.delivered_at, *told)

    def _leave_open(self, key: MessageKey, known: Facts, message: Message) -> None:
        """Fields of a failed message that depend on when the worker learned what."""
        rules, unsettled = self._rules(key[0]), set[str]()
        if may_be_over(known.sends, rules, self._as_of_ms) and message.no_retry_reason != "expired":
            unsettled |= {"no_retry_reason", "next_attempt_at"}
        ask = may_ask(known, rules, self._as_of_ms).get(message.failed_attempt + 1)
        if ask and len(ask.due_at) > 1:
            unsettled.add("next_attempt_at")
        winner = winning_receipt(known.receipts, winning_sends(known.sends))
        if message.error_code and winner.provider != message.provider:
            unsettled.add("fail_reason")  # the code is read by a provider who did not give it
        if unsettled:
            self.expected.unsettled[key] = unsettled

    def _conclude_numbers(self) -> None:
        expected, from_when = self.expected, dict[NumberKey, int]()
        for key, number in self._numbers.items():
            rules = self._rules(key[0])
            expected.numbers[key] = standing(number, rules, self._as_of_ms)
            if len(possible(number, rules, self._as_of_ms)) != 1:
                expected.unsettled_numbers.add(key)
            first = first_suppressed(number, rules)
            if first is not None:
                from_when[key] = first
        expected.must_ask = {ask for ask, number in self._soft if number not in from_when}
        for message_key, message in expected.messages.items():
            first = from_when.get((message_key[0], message.recipient))
            if first is not None:
                unsettled = expected.unsettled.setdefault(message_key, set())
                unsettled |= _unsettled_by_suppression(message, first)


def _unsettled_by_suppression(message: Message, first_ms: int) -> set[str]:
    """Fields that depend on whether the worker knew of a suppression when it decided."""
    late = message.attempts > 1 or message.sent_at > first_ms
    soft = message.status == "undelivered" and message.bounce == "soft"
    return ({"sent_to_suppressed"} if late else set()) | ({"no_retry_reason"} if soft else set())
