"""The expected row and counter cells of one message, by the rules of docs/semantics.md.

Part of the oracle, so it shares no code with the worker.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from deploy.simulator.oracle.facts import Click, Facts, Receipt, Send
from deploy.simulator.oracle.numbers import person_of
from deploy.simulator.oracle.readings import (
    Reading,
    attempt_of,
    first_reached,
    first_seen,
    readings_of,
    wholes_of,
    winning_reading,
    winning_sends,
)
from deploy.simulator.oracle.rules import MAX_ATTEMPTS, Rules, due_at, fail_reason

HOUR_MS, DAY_MS = 3_600_000, 86_400_000
PREVIEW_MS, SCAN_MS = 2_000, 1_000  # clicks closer to the delivery, or to each other, are automated
CellKey = tuple[object, ...]  # ("hour", start_ms, account, channel, ...), ("campaign", account, id)
COUNTED = ("submitted", "queued", "delivered", "read", "undelivered_soft", "undelivered_hard",
           "expired", "rejected", "deleted")  # fmt: skip


class Message(NamedTuple):
    """A row of messages_current without keys and version. Times epoch ms, 0: not yet; credits and
    price in millionths."""

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
    error_text: str
    fail_reason: str
    failed_attempt: int
    no_retry_reason: str
    next_attempt_at: int
    queued_at: int
    delivered_at: int
    read_at: int
    finalized_at: int
    clicked_at: int
    unsubscribed_at: int
    sent_to_suppressed: bool
    person: str
    provider_message_id: str
    template: str
    category: str
    reference: str
    mccmnc: str
    price: int
    currency: str
    converted_at: int
    automated_clicked_at: int
    repaired: tuple[str, ...]


class Orphan(NamedTuple):
    """A row of orphans_current without its keys and version. Times as in `Message`."""

    status: str
    bounce: str
    scope: str
    error_code: str
    error_text: str
    fail_reason: str
    provider: str
    provider_message_id: str
    recipient: str
    occurred_at: int
    queued_at: int
    delivered_at: int
    read_at: int


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


class Story(NamedTuple):
    """The sends of one message that count, and its receipts as they are understood by them.

    wholes: one for all parts of an attempt. winner: the one that decides.
    """

    sends: list[Send]
    readings: list[Reading]
    wholes: list[Reading]
    winner: Reading


def story_of(known: Facts, rules: Rules) -> Story:
    """The story of a message with at least one send or receipt."""
    sends = winning_sends(known.sends)
    readings = readings_of(known.receipts, sends, rules)
    wholes = wholes_of(readings)
    return Story(sends, readings, wholes, winning_reading(wholes, sends))


class StatusColumns(NamedTuple):
    """The status of a message, its failure, and the decision about a retry."""

    status: str
    bounce: str = ""
    scope: str = ""
    error_code: str = ""
    error_text: str = ""
    fail_reason: str = ""
    failed_attempt: int = 0
    no_retry_reason: str = ""
    next_attempt_at: int = 0


def deadline_of(first: Send, rules: Rules) -> int:
    """When a message that is still pending expires (epoch ms)."""
    return first.first_sent_at + (first.validity_s or rules.validity_s) * 1000


def message_of(known: Facts, story: Story, rules: Rules, as_of_ms: int) -> tuple[Message, str]:
    """The row of a message with at least one send, and the status it is counted under.

    `sent_to_suppressed` is False here: it depends on the recipient.
    """
    sends, winner = story.sends, story.winner
    first, latest = sends[0], sends[-1]
    provider = latest.provider or winner.provider
    deadline = deadline_of(first, rules)
    inbound = first.direction == "inbound"
    expired = not inbound and winner.rank <= 1 and deadline <= as_of_ms
    columns = _status_columns(winner, first, provider, rules)
    if inbound:
        columns = StatusColumns("received")
    if expired:
        columns = StatusColumns("undelivered", "soft", "time", fail_reason="expired",
                          failed_attempt=latest.attempt, no_retry_reason="expired")  # fmt: skip
    delivered_at = first_reached(story.readings, "delivered", "read")
    finalized_at = {2: winner.occurred_at, 3: winner.occurred_at, 4: delivered_at,
                    5: delivered_at}.get(winner.rank, deadline if expired else 0)  # fmt: skip
    by_people, by_programs = clicks_of(known.clicks, delivered_at)
    price, currency = price_of(known.receipts, sends)
    message = Message(
        *first[4:16],
        provider=provider,
        segments=sum(send.segments for send in sends),
        credits=sum(send.credits for send in sends),
        attempts=max([s.attempt for s in sends] + [r.attempt for r in story.readings]),
        sent_at=first.first_sent_at,
        platform_status={"rejected": "rejected", "received": ""}.get(columns.status, "submitted"),
        carrier_status=_CARRIER[columns.status],
        queued_at=first_seen(story.readings, "queued"),
        delivered_at=delivered_at,
        read_at=first_reached(story.readings, "read"),
        finalized_at=finalized_at,
        clicked_at=min(by_people, default=0),
        unsubscribed_at=min((w.at for w in known.wishes if w.action == "unsubscribe"), default=0),
        sent_to_suppressed=False,
        person=person_of(first.recipient),
        provider_message_id=latest.provider_message_id or winner.provider_message_id,
        template=first.template,
        category=first.category,
        reference=first.reference,
        mccmnc=max(((r.occurred_at, r.mccmnc) for r in known.receipts if r.mccmnc),
                   default=(0, ""))[1],
        price=price,
        currency=currency,
        converted_at=known.converted_at,
        automated_clicked_at=min(by_programs, default=0),
        repaired=known.repaired,
        **columns._asdict(),
    )  # fmt: skip
    return message, _counted(message, expired)


def clicks_of(clicks: Iterable[Click], delivered_at: int) -> tuple[list[int], list[int]]:
    """Times of the clicks of people, and of those of programs.

    A program: its publisher knows it, or the click comes with the delivery, or another link of the
    message is clicked at almost the same time.
    """
    by_people: list[int] = []
    by_programs: list[int] = []
    for click in clicks:
        preview = delivered_at and abs(click.at - delivered_at) <= PREVIEW_MS
        scan = any(
            other.link != click.link and abs(other.at - click.at) <= SCAN_MS for other in clicks
        )
        (by_programs if click.automated or preview or scan else by_people).append(click.at)
    return by_people, by_programs


def price_of(receipts: Iterable[Receipt], sends: list[Send]) -> tuple[int, str]:
    """The latest price of each attempt or part, summed over those of the latest one's currency."""
    latest: dict[tuple[int, int], tuple[int, int, str]] = {}
    for receipt in receipts:
        if receipt.currency:
            key = (attempt_of(receipt, sends), receipt.part)
            price = (receipt.occurred_at, receipt.price, receipt.currency)
            latest[key] = max(latest.get(key, price), price)
    if not latest:
        return 0, ""
    currency = max(latest.values())[2]
    return sum(price for _, price, other in latest.values() if other == currency), currency


def _retry_decision(winner: Reading, first: Send, rules: Rules) -> tuple[int, str]:
    """(due time of the next attempt after a soft failure, or 0; the reason for no retry)"""
    if winner.never_again:
        return 0, "final"
    if not rules.retry_soft_bounces:
        return 0, "off"
    if winner.attempt >= MAX_ATTEMPTS:
        return 0, "too_many"
    ends_at = deadline_of(first, rules)
    due = due_at(first.first_sent_at, winner.occurred_at, ends_at, rules)
    return due, "" if due else "too_late"


def _failure(winner: Reading) -> tuple[str, str, str]:
    return winner.error_code, winner.error_text, winner.scope


def _status_columns(winner: Reading, first: Send, provider: str, rules: Rules) -> StatusColumns:
    """The status columns by the deciding receipt."""
    if winner.rank not in (2, 3):
        return StatusColumns(winner.status)
    due, why = 0, "final"
    if winner.rank == 2:
        due, why = _retry_decision(winner, first, rules)
    return StatusColumns(
        *winner[3:8],
        fail_reason=fail_reason(rules, winner.sender or provider, *_failure(winner)),
        failed_attempt=winner.attempt,
        no_retry_reason=why,
        next_attempt_at=due,
    )


_CARRIER = {"submitted": "queued", "queued": "queued", "delivered": "delivered",
            "read": "delivered", "undelivered": "undelivered", "deleted": "undelivered",
            "rejected": "", "received": ""}  # fmt: skip


def _counted(message: Message, expired: bool) -> str:
    """The status a message is counted under; "" for an inbound one, which is not counted."""
    if message.status == "received":
        return ""
    if expired:
        return "expired"
    if message.status == "undelivered":
        return f"undelivered_{message.bounce}"
    return message.status


def orphan_of(story: Story, rules: Rules) -> Orphan:
    """The row of a message with receipts and no send."""
    winner, readings = story.winner, story.readings
    failed = winner.rank in (2, 3)
    return Orphan(
        *winner[3:8],
        fail_reason=fail_reason(rules, winner.provider, *_failure(winner)) if failed else "",
        provider=winner.provider,
        provider_message_id=winner.provider_message_id,
        recipient=winner.recipient,
        occurred_at=winner.occurred_at,
        queued_at=first_seen(readings, "queued"),
        delivered_at=first_reached(readings, "delivered", "read"),
        read_at=first_reached(readings, "read"),
    )


def cells_of(account: str, message: Message) -> list[CellKey]:
    """The cells of a counted message: its hour, its day, and its campaign if it has one."""
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
