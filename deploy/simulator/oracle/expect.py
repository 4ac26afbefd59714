"""The expected tables, computed from the truth file by the rules of docs/semantics.md.

Simple and slow on purpose; independent of the order of events.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from hashlib import md5
from typing import Any, NamedTuple

from deploy.simulator.event import (
    ACCOUNTS,
    CALLBACKS,
    CAMPAIGNS,
    ENGAGEMENTS,
    FORGED,
    PROVIDER_IDS,
    RECEIPTS,
    REQUESTS,
    Published,
)
from deploy.simulator.oracle.callbacks import Callbacks, Unmatched, unmatched_of
from deploy.simulator.oracle.facts import (
    BYTE_ORDER_MARK,
    WHOLE,
    Facts,
    Wish,
    moment,
    parse,
    receipt_of,
    send_of,
    wish_of,
)
from deploy.simulator.oracle.mending import mended
from deploy.simulator.oracle.messages import (
    Cell,
    CellKey,
    Message,
    Orphan,
    Story,
    add_to_cell,
    cells_of,
    message_of,
    orphan_of,
    story_of,
)
from deploy.simulator.oracle.numbers import is_person, person_of
from deploy.simulator.oracle.readings import Reading, may_be_strike, possible_readings
from deploy.simulator.oracle.retries import (
    RequestKey,
    RetryExpectation,
    allowed_retries,
    may_be_too_late,
    required_retry,
)
from deploy.simulator.oracle.rules import DEFAULTS, Rules, rules_of
from deploy.simulator.oracle.suppression import (
    CHANNELS,
    Decision,
    RecipientHistory,
    RecipientStatus,
    Request,
    Strike,
    first_suppressed,
    on_any_channel,
    possible_statuses,
    request_of,
    status_at,
)

MessageKey = tuple[str, str]  # account, message_id
RecipientKey = tuple[str, str]  # account, person
ChannelKey = tuple[str, str, str]  # account, person, channel
Origin = tuple[str, int, int]  # topic, partition, offset
RECIPIENT = "recipient"
WISHES = ("unsubscribe", "resubscribe")


class DeadLetter(NamedTuple):
    """A refused record: its reason and bytes (hex MD5; "" for none)."""

    reason: str
    key_md5: str
    value_md5: str


class Engagement(NamedTuple):
    """A row of engagements_current without its keys. occurred_at: epoch ms; "": not given."""

    occurred_at: int
    type: str
    message_id: str
    person: str
    link_id: str
    channel: str
    user_agent: str
    automated: bool


@dataclass(slots=True)
class Expected:
    """The expected content of the tables.

    `events` = `in_messages` + `in_orphans` + dead letters + `in_campaigns` + `in_accounts` +
    `in_requests` + `in_links` (ids of providers) + `in_unmatched` + `in_nothing` (engagements of
    recipients or of unknown messages; callbacks that are forged or have no receipt). A callback
    counts once for each receipt in it.

    undetermined: fields of messages that depend on the order of reading; not compared.
    campaigns: (account, campaign_id) -> (updated_at ms, name, status) of the newest record.
    engagements: by (account, event_id). texts: number of attempts with a text. receipts: valid
    receipts, each a row of receipt_events.
    strikes: by message. may_strike: messages that may have struck and withdrawn it, or withdrawn
    one to be sure.
    channels: status of each recipient on each channel; no other one is suppressed.
    recipients: the same without regard to the channel.
    undetermined_channels, undetermined_recipients: not compared.
    decisions: published requests, and those that follow from messages, with why "" then.
    possible_decisions: those that depend on the order of reading. choices: of each at least one.
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
    channels: dict[ChannelKey, RecipientStatus] = field(default_factory=dict)
    recipients: dict[RecipientKey, RecipientStatus] = field(default_factory=dict)
    undetermined_channels: set[ChannelKey] = field(default_factory=set)
    undetermined_recipients: set[RecipientKey] = field(default_factory=set)
    decisions: set[Decision] = field(default_factory=set)
    possible_decisions: set[Decision] = field(default_factory=set)
    choices: set[tuple[Decision, Decision]] = field(default_factory=set)
    allowed_retries: dict[RequestKey, RetryExpectation] = field(default_factory=dict)
    required_retries: set[RequestKey] = field(default_factory=set)
    engagements: dict[MessageKey, Engagement] = field(default_factory=dict)
    refused_callbacks: Counter[tuple[str, str]] = field(default_factory=Counter)
    unmatched: set[Unmatched] = field(default_factory=set)
    callback_receipts: set[tuple[str, ...]] = field(default_factory=set)
    texts: int = 0
    receipts: int = 0
    events: int = 0
    in_messages: int = 0
    in_orphans: int = 0
    in_campaigns: int = 0
    in_accounts: int = 0
    in_requests: int = 0
    in_links: int = 0
    in_unmatched: int = 0
    in_nothing: int = 0


def expect(truth: Iterable[Published], as_of_ms: int) -> Expected:
    """The expected tables at `as_of_ms`, for records in any order.

    A record with `expect` is a dead letter; all others must be valid, whatever their key and
    partition. Raises ValueError with the place of an invalid record.
    """
    oracle = _Oracle(as_of_ms)
    for record in truth:
        oracle.expected.events += 1
        if record.kind == CALLBACKS:
            oracle.add_callback(record)
        elif record.expect:
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
        self._soft: list[RequestKey] = []
        self._callbacks = Callbacks()

    def add_callback(self, record: Published) -> None:
        """Adds the receipts of one callback."""
        expected = self.expected
        if record.expect:
            expected.refused_callbacks[record.expect, digest(record.value)] += 1
            return
        reports = [] if record.note == FORGED else json.loads(record.value or b"")
        self._callbacks.reports += reports
        expected.events += max(0, len(reports) - 1)
        expected.in_nothing += not reports

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
            mended(record.kind, fields)
            self._decide(request_of(fields, moment(fields["at"])))
        elif record.kind == PROVIDER_IDS:
            self.expected.in_links += 1
            self._callbacks.add_link(fields)
        else:
            marked = (record.value or b"").startswith(BYTE_ORDER_MARK)
            repaired = [*mended(record.kind, fields), *([WHOLE] if marked else [])]
            self._add_message(account, record.kind, fields, repaired)

    def _add_campaign(self, account: str, fields: dict[str, Any]) -> None:
        self.expected.in_campaigns += 1
        key = (account, fields["campaign_id"])
        newest = (moment(fields["updated_at"]), fields["name"], fields.get("status") or "")
        campaigns = self.expected.campaigns
        campaigns[key] = max(campaigns.get(key, newest), newest)

    def _add_message(
        self, account: str, kind: str, fields: dict[str, Any], repaired: Collection[str]
    ) -> None:
        if kind == ENGAGEMENTS:
            self._add_engagement(account, fields)
            if not fields.get("message_id"):
                self.expected.in_nothing += 1
                if fields["type"] in WISHES:
                    self._wish_of_number(account, wish_of(fields))
                return
        known = self._facts.setdefault((account, fields["message_id"]), Facts())
        known.events += 1
        if repaired:
            known.repair(repaired)
        if kind == RECEIPTS:
            self.expected.receipts += 1
            receipt = receipt_of(fields)
            if receipt.status != "unknown":
                known.receipts.append(receipt)
        elif kind == ENGAGEMENTS:
            known.engage(fields["type"], fields)
        else:
            send = send_of(fields)
            known.sends.append(send)
            known.texts |= bool(fields.get("text")) << send.attempt
            if send.provider_message_id:
                self._callbacks.add_link(fields)

    def _add_engagement(self, account: str, fields: dict[str, Any]) -> None:
        key, engagement = (account, fields["event_id"]), engagement_of(fields)
        first = self.expected.engagements.get(key, engagement)
        self.expected.engagements[key] = min(first, engagement)

    def _decide(self, decision: Decision) -> None:
        """A decision that must be there; only of a person does it suppress."""
        if is_person(decision.person):
            self.expected.decisions.add(decision)
            self._recipient(decision[:2]).request(_request(decision))

    def _decide_perhaps(self, decision: Decision) -> None:
        if is_person(decision.person):
            self.expected.possible_decisions.add(decision)
            self._recipient(decision[:2]).possible += (_request(decision),)

    def _wish_of_number(self, account: str, wish: Wish) -> None:
        """A wish about a number alone binds all channels, unless it names one."""
        self._decide(_wished(account, wish.recipient, wish, wish.channel))

    def _recipient(self, key: RecipientKey) -> RecipientHistory:
        return self._recipients.setdefault(key, RecipientHistory())

    def _rules(self, account: str) -> Rules:
        return self.expected.accounts.get(account, DEFAULTS)

    def conclude(self) -> Expected:
        """The tables that follow from all facts."""
        expected = self.expected
        self._conclude_callbacks()
        expected.accounts = {account: rules for account, (_, rules) in self._settings.items()}
        while self._facts:  # rows replace facts, to save memory
            key, known = self._facts.popitem()
            expected.texts += known.texts.bit_count()
            if known.sends:
                expected.in_messages += known.events
                self._conclude_message(key, known)
                continue
            for wish in known.wishes:
                if wish.recipient:
                    self._wish_of_number(key[0], wish)
            if known.receipts:
                expected.in_orphans += known.events
                rules = self._rules(key[0])
                expected.orphans[key] = orphan_of(story_of(known, rules), rules)
            else:
                expected.in_nothing += known.events
        self._conclude_recipients()
        return expected

    def _conclude_callbacks(self) -> None:
        """Receipts of callbacks are receipts of their messages, or unmatched."""
        expected = self.expected
        plain = expected.receipts
        for report in self._callbacks.reports:
            fields = self._callbacks.resolved(report)
            if fields is None:
                expected.in_unmatched += 1
                expected.unmatched.add(unmatched_of(report))
                continue
            expected.callback_receipts.add(tuple(map(str, fields.values())))
            self._add_message(fields["account"], RECEIPTS, fields, mended(RECEIPTS, fields))
        expected.receipts = plain

    def _conclude_message(self, key: MessageKey, known: Facts) -> None:
        expected, rules = self.expected, self._rules(key[0])
        story = story_of(known, rules)
        message, counted = message_of(known, story, rules, self._as_of_ms)
        expected.messages[key] = message
        self._conclude_wishes(key[0], known, message)
        if not counted:
            return
        for cell_key in cells_of(key[0], message):
            cell = expected.cells.get(cell_key, Cell())
            expected.cells[cell_key] = add_to_cell(cell, counted, message)
        possible = list(possible_readings(known.receipts, known.sends, rules))
        if any(may_be_strike(receipt) for receipt in known.receipts):
            expected.may_strike.add(key)
        self._conclude_strike(key, story, possible, message)
        self._conclude_opt_outs(key[0], story, possible, message)
        retries = allowed_retries(known, story, possible, rules, self._as_of_ms)
        for attempt, retry in retries.items():
            expected.allowed_retries[*key, attempt] = retry
        if message.failed_attempt:
            self._mark_undetermined(key, known, retries.get(message.failed_attempt + 1))
        if attempt := required_retry(known, story, rules, self._as_of_ms):
            self._soft.append((*key, attempt))

    def _conclude_wishes(self, account: str, known: Facts, message: Message) -> None:
        """Unsubscribes and resubscribes through a message bind its own number, and another one
        that they name.

        Of several of one message for one channel the latest counts; a worker may publish the
        earlier ones.
        """
        latest: dict[tuple[str, str], int] = {}
        for wish in known.wishes:
            kind = (wish.action, wish.channel)
            latest[kind] = max(latest.get(kind, 0), wish.at)
        for wish in known.wishes:
            channel = wish.channel or message.channel
            own = _wished(account, message.recipient, wish, channel)
            (
                self._decide
                if wish.at == latest[wish.action, wish.channel]
                else self._decide_perhaps
            )(own)
            if wish.recipient:
                named = _wished(account, wish.recipient, wish, channel)
                early = named._replace(channel=wish.channel)  # read before the message
                if early == named:
                    self._decide(named)
                    continue
                self._decide_perhaps(early)
                if named != own:
                    self._choose(named, early)

    def _choose(self, named: Decision, early: Decision) -> None:
        """One of both is published; the channel of the first is bound in any case."""
        if is_person(named.person):
            self.expected.choices.add((named, early))
            self.expected.possible_decisions.add(named)
            self._recipient(named[:2]).request(_request(named))

    def _conclude_strike(
        self, key: MessageKey, story: Story, possible: list[Reading], message: Message
    ) -> None:
        """Adds a strike, a possible strike or a delivery to the recipient of the message."""
        account, person, channel = key[0], message.person, message.channel
        hard_bounces = [r.occurred_at for r in possible if r.strikes]
        if hard_bounces:
            self.expected.may_strike.add(key)
            history = self._recipient((account, person))
            history.hard_bounces.setdefault(channel, []).append(min(hard_bounces))
            winner = story.winner
            if winner.strikes:
                code = winner.error_code
                strike = Strike(person, message.sent_at, winner.occurred_at, code, channel)
                self.expected.strikes[key] = strike
                history.strikes.setdefault(channel, []).append(strike)
        if message.delivered_at and self._rules(account).strikes_reset_on_delivery:
            history = self._recipient((account, person))
            deliveries = [r.occurred_at for r in story.wholes if r.rank >= 4]
            known = history.delivered_at.get(channel, 0)
            history.delivered_at[channel] = max(known, *deliveries)

    def _conclude_opt_outs(
        self, account: str, story: Story, possible: list[Reading], message: Message
    ) -> None:
        """Receipts whose code means that the recipient unsubscribed from the channel.

        Of several of one message the latest counts; a worker may publish the earlier ones.
        """
        opt_outs = [r for r in story.readings if r.opted_out]
        if opt_outs:
            latest = max(opt_outs, key=lambda r: (r.occurred_at, r.sender))
            self._decide(_opted_out(account, message, latest))
        for reading in possible:
            if reading.opted_out:
                decision = _opted_out(account, message, reading)
                if decision not in self.expected.decisions:
                    self._decide_perhaps(decision)

    def _mark_undetermined(
        self, key: MessageKey, known: Facts, retry: RetryExpectation | None
    ) -> None:
        """Finds fields of a failed message that depend on the order of reading."""
        rules, undetermined = self._rules(key[0]), set[str]()
        too_late = may_be_too_late(known.sends, rules, self._as_of_ms)
        if too_late and self.expected.messages[key].no_retry_reason != "expired":
            undetermined |= {"no_retry_reason", "next_attempt_at"}
        if retry and len(retry.due_at) > 1:
            undetermined.add("next_attempt_at")
        if undetermined:
            self.expected.undetermined[key] = undetermined

    def _conclude_recipients(self) -> None:
        expected = self.expected
        for key, history in self._recipients.items():
            rules = self._rules(key[0])
            statuses = []
            for channel in CHANNELS:
                status = status_at(history, channel, rules, self._as_of_ms)
                expected.channels[*key, channel] = status
                statuses.append(status)
                if len(possible_statuses(history, channel, rules, self._as_of_ms)) != 1:
                    expected.undetermined_channels.add((*key, channel))
                    expected.undetermined_recipients.add(key)
            expected.recipients[key] = on_any_channel(statuses)
        expected.required_retries = {
            request for request in self._soft
            if self._first_suppressed(request[0], expected.messages[request[:2]]) is None
        }  # fmt: skip
        for message_key, message in expected.messages.items():
            first = self._first_suppressed(message_key[0], message)
            if first is not None:
                undetermined = expected.undetermined.setdefault(message_key, set())
                undetermined |= _undetermined_by_suppression(message, first)

    def _first_suppressed(self, account: str, message: Message) -> int | None:
        """When such a message may have been held back first; None: never."""
        history = self._recipients.get((account, message.person))
        if history is None or message.direction == "inbound":
            return None
        return first_suppressed(history, message.channel, self._rules(account), message.source)


def engagement_of(fields: Mapping[str, Any]) -> Engagement:
    """The row of an engagement."""
    return Engagement(
        moment(fields["occurred_at"]),
        fields["type"],
        fields.get("message_id") or "",
        person_of(fields.get("recipient") or ""),
        fields.get("link_id") or "",
        fields.get("channel") or "",
        fields.get("user_agent") or "",
        bool(fields.get("automated")),
    )


def _wished(account: str, recipient: str, wish: Wish, channel: str) -> Decision:
    return Decision(account, person_of(recipient), wish.at, wish.action, RECIPIENT, "", channel)


def _opted_out(account: str, message: Message, reading: Reading) -> Decision:
    return Decision(account, message.person, reading.occurred_at, "unsubscribe", reading.sender, "",
                    message.channel)  # fmt: skip


def _request(decision: Decision) -> Request:
    return Request(decision.action, decision.at, decision.channel)


def _undetermined_by_suppression(message: Message, first_ms: int) -> set[str]:
    """Fields that depend on whether the worker knew a suppression when it decided."""
    late = message.attempts > 1 or message.sent_at > first_ms
    soft = message.status == "undelivered" and message.bounce == "soft"
    soft = soft and message.no_retry_reason != "final"  # its code forbids a retry in any case
    return ({"sent_to_suppressed"} if late else set()) | ({"no_retry_reason"} if soft else set())
