"""What one event of each topic does to its message: it is joined, forwarded or refused."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from models.contract import (
    DAY_MS,
    Engagement,
    Receipt,
    Send,
    parse_engagement,
    parse_receipt,
    parse_send,
)
from models.facts import outcome_of, send_fact, strikes
from models.refusal import Reason, Refusal
from models.state import add_engagement, add_outcome, add_send
from models.suppression_requests import number_key
from streams.common.plan import Event, Incoming, KeyValue, Plan
from streams.lifecycle.pending import PendingMessage, unsubscribe

if TYPE_CHECKING:
    from streams.lifecycle.shard import Shard

Parse = Callable[[bytes | None, int, int], Event | Refusal]
#: Whether the event changed its message; None when it was refused.
Apply = Callable[["Shard", Plan, Incoming, PendingMessage, Any], bool | None]


def apply_send(
    shard: Shard, plan: Plan, record: Incoming, message: PendingMessage, send: Send
) -> bool | None:
    """Join a send, unless its day is final."""
    if _is_too_late(shard, plan, record, send):
        return None
    state = message.state
    known_conflict = state.conflict
    changed = add_send(state, send_fact(send))
    message.conflicts += state.conflict and not known_conflict
    if changed and shard.suppressed:
        _note_suppressed(shard, message, send)
    message.accepted_kinds.append(send.direction)
    return changed


def apply_receipt(
    shard: Shard, plan: Plan, record: Incoming, message: PendingMessage, receipt: Receipt
) -> bool:
    """Join a receipt."""
    message.accepted_kinds.append(receipt.status)
    outcome = outcome_of(receipt)
    if strikes(outcome):
        message.saw_hard_bounce = True
    return add_outcome(message.state, outcome, _event_day(shard, record, receipt.occurred_at))


def apply_engagement(
    shard: Shard, plan: Plan, record: Incoming, message: PendingMessage, event: Engagement
) -> bool:
    """Join a click or an unsubscribe; an unsubscribe is told on."""
    message.accepted_kinds.append(event.type)
    state = message.state
    changed = add_engagement(state, event, _event_day(shard, record, event.occurred_at))
    if event.type == "unsubscribe":
        _forward_unsubscribe(message, event)
    return changed


def apply_to_recipient(plan: Plan, event: Engagement) -> None:
    """An engagement of a recipient alone: there is no message to join it to."""
    if event.type == "unsubscribe" and event.recipient:
        plan.requests.append(_request(event, event.recipient))
    plan.accepted_kinds.append(event.type)


class TopicHandler(NamedTuple):
    """How the records of a topic are read, and what becomes of what they say."""

    parse: Parse
    apply: Apply


HANDLERS: Final[Mapping[str, TopicHandler]] = {
    "sends": TopicHandler(parse_send, apply_send),
    "receipts": TopicHandler(parse_receipt, apply_receipt),
    "engagements": TopicHandler(parse_engagement, apply_engagement),
}


def last_retirable(clock_ms: int, retention_days: int) -> int:
    """The latest day (since 1970) that ended a whole retention before the clock."""
    return (clock_ms - retention_days * DAY_MS) // DAY_MS - 1


def _forward_unsubscribe(message: PendingMessage, event: Engagement) -> None:
    """Of a message whose send is not known yet it is told when the send comes."""
    sends = message.state.sends
    if event.recipient:
        message.requests += (_request(event, event.recipient),)
    elif sends and sends[0].direction == "outbound":
        message.requests += (_request(event, sends[0].recipient),)


def _request(event: Engagement, recipient: str) -> KeyValue:
    return unsubscribe(event.account, recipient, event.occurred_at, event.message_id or "")


def _note_suppressed(shard: Shard, message: PendingMessage, send: Send) -> None:
    """A send to a number that was suppressed before is told, so that nobody overlooks it."""
    number = number_key(send.account, send.recipient)
    if (
        number in shard.suppressed
        and shard.suppressed[number] < send.sent_at
        and send.direction == "outbound"
    ):
        message.to_suppressed += 1
        message.state.to_suppressed = True


def _is_too_late(shard: Shard, plan: Plan, record: Incoming, send: Send) -> bool:
    """Refuse a send of a retired day: its cells are final, its states have left.

    By the record's own time, so that a replay decides the same, and never by one that runs ahead
    of the clock.
    """
    first = send.first_sent_at if send.attempt > 1 and send.first_sent_at else send.sent_at
    clock_ms, days = shard.clock_ms, shard.rules.retention_days
    read_at = min(record.timestamp, clock_ms) if record.timestamp >= 0 else clock_ms
    if first // DAY_MS > max(shard.retired_day, last_retirable(read_at, days)):
        return False
    detail = f"sent_at: its day ended more than {days} days ago and is final"
    plan.refuse(record, Refusal(Reason.TOO_LATE, detail))
    return True


def _event_day(shard: Shard, record: Incoming, occurred_at: int) -> int:
    """UTC day on which an orphan was heard of; never one that has retired already."""
    at = record.timestamp if record.timestamp >= 0 else occurred_at
    return max(at // DAY_MS, shard.retired_day + 1)
