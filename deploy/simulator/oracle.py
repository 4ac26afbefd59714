"""What the tables must say, computed from the truth by the written rules and by nothing else.

Deliberately simple and slow; independent of the order of events. Rules: DESIGN §4.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from hashlib import md5
from typing import Any, NamedTuple

from deploy.simulator.event import CAMPAIGNS, ENGAGEMENTS, RECEIPTS, SENDS, Published
from deploy.simulator.facts import Facts, Receipt, Send, moment, parse, receipt_of, send_of

HOUR_MS, DAY_MS = 3_600_000, 86_400_000
MessageKey = tuple[str, str]  # account, message_id
Origin = tuple[str, int, int]  # topic, partition, offset
CellKey = tuple[object, ...]  # ("hour", start_ms, account, channel, ...), ("campaign", account, id)
COUNTED = ("submitted", "queued", "delivered", "read", "undelivered_soft", "undelivered_hard",
           "expired", "rejected", "deleted")  # fmt: skip


class Message(NamedTuple):
    """A row of messages_current without its keys and version. Times epoch ms, 0: not yet;
    credits in micro-credits."""

    channel: str
    direction: str
    source: str
    sender_id: str
    sent_by: str
    campaign_id: str
    message_type: str
    recipient: str
    country: str
    external_id: str
    email: str
    platform: str
    provider: str
    segments: int
    credits: int
    attempts: int
    sent_at: int
    status: str
    platform_status: str
    carrier_status: str
    bounce: str
    scope: str
    error_code: str
    fail_reason: str
    queued_at: int
    delivered_at: int
    read_at: int
    finalized_at: int
    clicked_at: int
    unsubscribed_at: int


class Orphan(NamedTuple):
    """A row of orphans_current without its keys and version. Times as in `Message`."""

    status: str
    bounce: str
    scope: str
    error_code: str
    fail_reason: str
    provider: str
    provider_message_id: str
    recipient: str
    occurred_at: int
    queued_at: int
    delivered_at: int
    read_at: int


class DeadLetter(NamedTuple):
    """A refused record: the reason, and what its bytes must still be (hex MD5; "" for none)."""

    reason: str
    key_md5: str
    value_md5: str


class Cell(NamedTuple):
    """Messages by current status (in the order of `COUNTED`), segments, micro-credits."""

    submitted: int = 0
    queued: int = 0
    delivered: int = 0
    read: int = 0
    undelivered_soft: int = 0
    undelivered_hard: int = 0
    expired: int = 0
    rejected: int = 0
    deleted: int = 0
    segments: int = 0
    credits: int = 0


@dataclass(slots=True)
class Expected:
    """What the tables must hold.

    `events` = `in_messages` + `in_orphans` + dead letters + `in_campaigns` + `in_nothing`
    (engagements of people or of messages nobody knows). campaigns: (account, campaign_id) ->
    (updated_at ms, name, status) of the newest. engagements: (account, event_id).
    texts: how many attempts came with a text.
    """

    messages: dict[MessageKey, Message] = field(default_factory=dict)
    orphans: dict[MessageKey, Orphan] = field(default_factory=dict)
    dead_letters: dict[Origin, DeadLetter] = field(default_factory=dict)
    cells: dict[CellKey, Cell] = field(default_factory=dict)
    campaigns: dict[MessageKey, tuple[int, str, str]] = field(default_factory=dict)
    engagements: set[MessageKey] = field(default_factory=set)
    texts: int = 0
    events: int = 0
    in_messages: int = 0
    in_orphans: int = 0
    in_campaigns: int = 0
    in_nothing: int = 0


def expect(truth: Iterable[Published], as_of_ms: int) -> Expected:
    """What the tables must say at `as_of_ms`, in whatever order the truth is given.

    A record with `expect` is a dead letter; all others must be valid, whatever their key and
    partition. Raises ValueError naming the record that is not.
    """
    expected = Expected()
    facts: dict[MessageKey, Facts] = {}
    for record in truth:
        expected.events += 1
        if record.expect:
            origin = (record.topic, record.partition, record.offset)
            expected.dead_letters[origin] = DeadLetter(
                record.expect, digest(record.key), digest(record.value)
            )
        else:
            try:
                _learn(facts, expected, record, parse(record.value or b""))
            except (ValueError, KeyError, TypeError, ArithmeticError) as error:
                where = f"{record.topic}/{record.partition}/{record.offset}"
                raise ValueError(f"{where}: no `expect`, and not valid: {error!r}") from error
    while facts:  # rows replace facts, so that memory holds one of both
        _conclude(expected, *facts.popitem(), as_of_ms)
    return expected


def digest(value: bytes | None) -> str:
    """Hex MD5 of bytes; "" for None. Only compares contents."""
    return "" if value is None else md5(value, usedforsecurity=False).hexdigest()


def _learn(
    facts: dict[MessageKey, Facts], expected: Expected, record: Published, fields: dict[str, Any]
) -> None:
    """Adds one valid event to what is known of its message or campaign."""
    account: str = fields["account"]
    if record.kind == CAMPAIGNS:
        expected.in_campaigns += 1
        key = (account, fields["campaign_id"])
        newest = (moment(fields["updated_at"]), fields["name"], fields.get("status") or "")
        expected.campaigns[key] = max(expected.campaigns.get(key, newest), newest)
        return
    if record.kind == ENGAGEMENTS:
        expected.engagements.add((account, fields["event_id"]))
        if not fields.get("message_id"):
            expected.in_nothing += 1
            return
    known = facts.setdefault((account, fields["message_id"]), Facts())
    known.events += 1
    if record.kind == SENDS:
        send = send_of(fields)
        known.sends.append(send)
        if fields.get("text"):
            known.texts |= 1 << send.attempt
    elif record.kind == RECEIPTS:
        known.receipts.append(receipt_of(fields))
    else:
        _engaged(known, fields["type"], moment(fields["occurred_at"]))


def _engaged(known: Facts, kind: str, at: int) -> None:
    if kind == "click":
        known.clicked_at = min(known.clicked_at or at, at)
    else:
        known.unsubscribed_at = min(known.unsubscribed_at or at, at)


def _conclude(expected: Expected, key: MessageKey, known: Facts, as_of_ms: int) -> None:
    expected.texts += known.texts.bit_count()
    if known.sends:
        expected.in_messages += known.events
        message, counted = message_of(known, as_of_ms)
        expected.messages[key] = message
        if counted:
            for cell_key in cells_of(key[0], message):
                cell = expected.cells.get(cell_key, Cell())
                expected.cells[cell_key] = add_to_cell(cell, counted, message)
    elif known.receipts:
        expected.in_orphans += known.events
        expected.orphans[key] = orphan_of(known)
    else:
        expected.in_nothing += known.events


def winning_sends(sends: list[Send]) -> list[Send]:
    """One send for each attempt, the lowest attempt first; the smallest `sent_at` wins."""
    winners: dict[int, Send] = {}
    for send in sorted(sends):
        winners.setdefault(send.attempt, send)
    return [winners[attempt] for attempt in sorted(winners)]


def winning_receipt(receipts: list[Receipt], sends: list[Send]) -> Receipt:
    """The receipt that decides. A known send counts as a submitted receipt of its attempt."""
    implied = [
        Receipt(0, s.attempt, s.sent_at, "submitted", "", "", "", "", "", "", "") for s in sends
    ]
    candidates = receipts + implied
    good = [r for r in candidates if r.rank >= 4]
    if good:
        return max(good, key=lambda r: (r.rank, r.attempt, r.occurred_at, r))
    return max(candidates, key=lambda r: (r.attempt, r.rank, r.occurred_at, r))


def message_of(known: Facts, as_of_ms: int) -> tuple[Message, str]:
    """The row of a message with at least one send, and the status it is counted under."""
    sends = winning_sends(known.sends)
    first, latest = sends[0], sends[-1]
    sent_at = first.sent_at if first.attempt == 1 else first.first_sent_at
    winner = winning_receipt(known.receipts, sends)
    deadline = sent_at + first.validity_s * 1000
    inbound = first.direction == "inbound"
    expired = not inbound and winner.rank <= 1 and deadline <= as_of_ms
    status, bounce, scope, reason = winner.status, winner.bounce, winner.scope, winner.fail_reason
    if inbound:
        status = "received"
    if expired:
        status, bounce, scope, reason = "undelivered", "soft", "time", "expired"
    delivered_at = _first(known.receipts, "delivered", "read")
    finalized_at = {2: winner.occurred_at, 3: winner.occurred_at, 4: delivered_at,
                    5: delivered_at}.get(winner.rank, deadline if expired else 0)  # fmt: skip
    message = Message(
        *first[4:16],
        provider=latest.provider or winner.provider,
        segments=sum(send.segments for send in sends),
        credits=sum(send.credits for send in sends),
        attempts=max([s.attempt for s in sends] + [r.attempt for r in known.receipts]),
        sent_at=sent_at,
        status=status,
        platform_status={"rejected": "rejected", "received": ""}.get(status, "submitted"),
        carrier_status=_CARRIER[status],
        bounce=bounce,
        scope=scope,
        error_code=winner.error_code,
        fail_reason=reason,
        queued_at=_first(known.receipts, "queued"),
        delivered_at=delivered_at,
        read_at=_first(known.receipts, "read"),
        finalized_at=finalized_at,
        clicked_at=known.clicked_at,
        unsubscribed_at=known.unsubscribed_at,
    )
    return message, _counted(message, expired)


_CARRIER = {"submitted": "queued", "queued": "queued", "delivered": "delivered",
            "read": "delivered", "undelivered": "undelivered", "deleted": "undelivered",
            "rejected": "", "received": ""}  # fmt: skip


def _first(receipts: list[Receipt], *statuses: str) -> int:
    """When one of the statuses was first seen; 0 when it never was."""
    return min((r.occurred_at for r in receipts if r.status in statuses), default=0)


def _counted(message: Message, expired: bool) -> str:
    """The status a message is counted under; "" for an inbound one, which is not counted."""
    if message.status == "received":
        return ""
    if expired:
        return "expired"
    if message.status == "undelivered":
        return f"undelivered_{message.bounce}"
    return message.status


def orphan_of(known: Facts) -> Orphan:
    """The row of a message with receipts and no send."""
    winner = winning_receipt(known.receipts, [])
    return Orphan(
        *winner[3:11],
        occurred_at=winner.occurred_at,
        queued_at=_first(known.receipts, "queued"),
        delivered_at=_first(known.receipts, "delivered", "read"),
        read_at=_first(known.receipts, "read"),
    )


def cells_of(account: str, message: Message) -> list[CellKey]:
    """The cells a counted message belongs to: its hour, its day, its campaign if it has one."""
    who = (account, message.channel, message.source, message.country, message.provider)
    keys: list[CellKey] = [
        ("hour", message.sent_at // HOUR_MS * HOUR_MS, *who),
        ("day", message.sent_at // DAY_MS * DAY_MS, *who),
    ]
    if message.campaign_id:
        keys.append(("campaign", account, message.campaign_id))
    return keys


def add_to_cell(cell: Cell, counted: str, message: Message) -> Cell:
    """The cell with one more message in it."""
    counts = {counted: getattr(cell, counted) + 1}
    return cell._replace(
        segments=cell.segments + message.segments,
        credits=cell.credits + message.credits,
        **counts,
    )
