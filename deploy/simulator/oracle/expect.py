"""The expected tables, computed from the truth file by the rules of docs/semantics.md.

Simple and slow on purpose; independent of the order of events.
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
from deploy.simulator.oracle.retries import (
    RequestKey,
    RetryExpectation,
    allowed_retries,
    may_be_too_late,
    required_retry,
)
from deploy.simulator.oracle.rules import DEFAULTS, Rules, rules_of
from deploy.simulator.oracle.suppression import (
    RecipientHistory,
    RecipientStatus,
    Strike,
    first_suppressed,
    possible_statuses,
    request_of,
    status_at,
)

MessageKey = tuple[str, str]  # account, message_id
RecipientKey = tuple[str, str]  # account, recipient
Decision = tuple[str, str, int, str, str, str]  # account, recipient, at, action, who, why
Origin = tuple[str, int, int]  # topic, partition, offset
RECIPIENT = "recipient"


class DeadLetter(NamedTuple):
    """A refused record: its reason and bytes (hex MD5; "" for none)."""

    reason: str
    key_md5: str
    value_md5: str


@dataclass(slots=True)
class Expected:
    """The expected content of the tables.

    `events` = `in_messages` + `in_orphans` + dead letters + `in_campaigns` + `in_accounts` +
    `in_requests` + `in_nothing` (engagements of recipients or of unknown messages).

    undetermined: fields of messages that depend on the order of reading; not compared.
    campaigns: (account, campaign_id) -> (updated_at ms, name, status) of the newest record.
    engagements: (account, event_id). texts: number of attempts with a text.
    strikes: by message. may_strike: messages that may have struck and withdrawn it.
    recipients: status of each recipient; no other one is suppressed.
    undetermined_recipients: not compared.
    decisions: published requests, and unsubscribes with who "recipient" and why "".
    allowed_retries, required_retries: rows that retry_requests may have, must have.
    """

    messages: dict[MessageKey, Message] = field(default_factory=dict)
    undetermined: dict[MessageKey, set[str]] = field(default_factory=dict)
    orphans: dict[MessageKey, Orphan] = field(default_factory=dict)
    dead_letters: dict[Origin, DeadLetter] = field(default_factory=dict)
    cells: dict[CellKey, Cell] = field(default_factory=dict)
    campaigns: dict[MessageKey, tuple[int, str, str]] = field(default_factory=dict)
    accounts: dict[str, Rules] = field(default_factory=dict)
    strikes: dict[MessageKey, Strike] = field(default_factory=dict)
    may_strike: set[MessageKey] = field(default_factory=set)
    recipients: dict[RecipientKey, RecipientStatus] = field(default_factory=dict)
    undetermined_recipients: set[RecipientKey] = field(default_factory=set)
    decisions: set[Decision] = field(default_factory=set)
    allowed_retries: dict[RequestKey, RetryExpectation] = field(default_factory=dict)
    required_retries: set[RequestKey] = field(default_factory=set)
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
    """The expected tables at `as_of_ms`, for records in any order.

    A record with `expect` is a dead letter; all others must be valid, whatever their key and
    partition. Raises ValueError with the place of an invalid record.
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
                oracle.add(record, parse(record.value or b""))
            except (ValueError, KeyError, TypeError, ArithmeticError) as error:
                where = f"{record.topic}/{record.partition}/{record.offset}"
                raise ValueError(f"{where}: no `expect`, and not valid: {error!r}") from error
    return oracle.conclude()


def digest(value: bytes | None) -> str:
    """Hex MD5 of bytes; "" for None. Only for comparison."""
    return "" if value is None else md5(value, usedforsecurity=False).hexdigest()


class _Oracle:
    """Facts about messages, accounts and recipients while the records are read."""

    def __init__(self, as_of_ms: int) -> None:
        self.expected = Expected()
        self._as_of_ms = as_of_ms
        self._facts: dict[MessageKey, Facts] = {}
        self._settings: dict[str, tuple[tuple[int, int], Rules]] = {}
        self._recipients: dict[RecipientKey, RecipientHistory] = {}
        self._soft: list[tuple[RequestKey, RecipientKey]] = []

    def add(self, record: Published, fields: dict[str, Any]) -> None:
        """Adds one valid event to its message, campaign, account or recipient."""
        account: str = fields["account"]
        if record.kind == CAMPAIGNS:
            self._add_campaign(account, fields)
        elif record.kind == ACCOUNTS:
            self.expected.in_accounts += 1
            newest = ((record.partition, record.offset), rules_of(fields))
            self._settings[account] = max(self._settings.get(account, newest), newest)
        elif record.kind == REQUESTS:
            self.expected.in_requests += 1
            self._add_decision(request_of(fields, moment(fields["at"])))
        else:
            self._add_message(account, record.kind, fields)

    def _add_campaign(self, account: str, fields: dict[str, Any]) -> None:
        self.expected.in_campaigns += 1
        key = (account, fields["campaign_id"])
        newest = (moment(fields["updated_at"]), fields["name"], fields.get("status") or "")
        campaigns = self.expected.campaigns
        campaigns[key] = max(campaigns.get(key, newest), newest)

    def _add_message(self, account: str, kind: str, fields: dict[str, Any]) -> None:
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

    def _add_decision(self, decision: Decision) -> None:
        self.expected.decisions.add(decision)
        account, recipient, at, action, _, _ = decision
        self._recipient((account, recipient)).add_request(action, at)

    def _unsubscribe(self, account: str, recipient: str, at: int) -> None:
        self._add_decision((account, recipient, at, "unsubscribe", RECIPIENT, ""))

    def _recipient(self, key: RecipientKey) -> RecipientHistory:
        return self._recipients.setdefault(key, RecipientHistory())

    def _rules(self, account: str) -> Rules:
        return self.expected.accounts.get(account, DEFAULTS)

    def conclude(self) -> Expected:
        """The tables that follow from all facts."""
        expected = self.expected
        expected.accounts = {account: rules for account, (_, rules) in self._settings.items()}
        while self._facts:  # rows replace facts, to save memory
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
        self._conclude_recipients()
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
            self._mark_undetermined(key, known, message)
        for attempt, retry in allowed_retries(known, rules, self._as_of_ms).items():
            expected.allowed_retries[*key, attempt] = retry
        if attempt := required_retry(known, rules, self._as_of_ms):
            self._soft.append(((*key, attempt), (key[0], message.recipient)))

    def _conclude_strike(self, key: MessageKey, known: Facts, message: Message) -> None:
        """Adds a strike, a possible strike or a delivery to the recipient of the message."""
        account, recipient = key[0], message.recipient
        hard_bounces = [r.occurred_at for r in known.receipts if r.strikes]
        if hard_bounces:
            self.expected.may_strike.add(key)
            history = self._recipient((account, recipient))
            history.hard_bounces.append(min(hard_bounces))
            winner = winning_receipt(known.receipts, winning_sends(known.sends))
            if winner.strikes:
                strike = Strike(recipient, message.sent_at, winner.occurred_at, winner.error_code)
                self.expected.strikes[key] = strike
                history.strikes.append(strike)
        if message.delivered_at and self._rules(account).strikes_reset_on_delivery:
            history = self._recipient((account, recipient))
            deliveries = [r.occurred_at for r in known.receipts if r.rank >= 4]
            history.delivered_at = max(history.delivered_at, *deliveries)

    def _mark_undetermined(self, key: MessageKey, known: Facts, message: Message) -> None:
        """Finds fields of a failed message that depend on the order of reading."""
        rules, undetermined = self._rules(key[0]), set[str]()
        too_late = may_be_too_late(known.sends, rules, self._as_of_ms)
        if too_late and message.no_retry_reason != "expired":
            undetermined |= {"no_retry_reason", "next_attempt_at"}
        retry = allowed_retries(known, rules, self._as_of_ms).get(message.failed_attempt + 1)
        if retry and len(retry.due_at) > 1:
            undetermined.add("next_attempt_at")
        winner = winning_receipt(known.receipts, winning_sends(known.sends))
        if message.error_code and winner.provider != message.provider:
            undetermined.add("fail_reason")  # the code may be looked up for another provider
        if undetermined:
            self.expected.undetermined[key] = undetermined

    def _conclude_recipients(self) -> None:
        expected, from_when = self.expected, dict[RecipientKey, int]()
        for key, history in self._recipients.items():
            rules = self._rules(key[0])
            expected.recipients[key] = status_at(history, rules, self._as_of_ms)
            if len(possible_statuses(history, rules, self._as_of_ms)) != 1:
                expected.undetermined_recipients.add(key)
            first = first_suppressed(history, rules)
            if first is not None:
                from_when[key] = first
        expected.required_retries = {
            request for request, recipient in self._soft if recipient not in from_when
        }
        for message_key, message in expected.messages.items():
            first = from_when.get((message_key[0], message.recipient))
            if first is not None:
                undetermined = expected.undetermined.setdefault(message_key, set())
                undetermined |= _undetermined_by_suppression(message, first)


def _undetermined_by_suppression(message: Message, first_ms: int) -> set[str]:
    """Fields that depend on whether the worker knew a suppression when it decided."""
    late = message.attempts > 1 or message.sent_at > first_ms
    soft = message.status == "undelivered" and message.bounce == "soft"
    return ({"sent_to_suppressed"} if late else set()) | ({"no_retry_reason"} if soft else set())
