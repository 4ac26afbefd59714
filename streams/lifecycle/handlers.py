"""What one event of each topic does to its message: it is joined, or it is refused."""

from collections.abc import Callable, Mapping
from typing import Any, Final, NamedTuple

import msgspec

from models.contract import Engagement, Receipt, Send, parse_engagement, parse_receipt, parse_send
from models.facts import may_be_strike, outcome_of, send_fact
from models.keys import recipient_key
from models.refusal import Reason, Refusal
from models.state import add_engagement, add_receipt, add_send
from models.suppression_requests import unsubscribe
from models.time import DAY_MS, last_retirable_day
from models.vocabulary import UNKNOWN_WORD
from streams.common.plan import Event, Incoming, KeyValue, Plan
from streams.lifecycle.pending import PendingMessage


class BatchContext(msgspec.Struct, frozen=True):
    """What a batch is decided by, besides its events and the states of their messages.

    clock_ms: the partition's clock, epoch ms
    retired_day: the last day (since 1970) whose states and cells are final; -1: none yet
    retention_days: whole days from the end of a message's day until that day retires
    suppressed: recipient key → since when it is suppressed (epoch ms)
    """

    clock_ms: int
    retired_day: int
    retention_days: int
    suppressed: Mapping[bytes, int]


Parse = Callable[[bytes | None, int, int], Event | Refusal]
#: Whether the event changed its message, or why it is refused.
Apply = Callable[[BatchContext, Incoming, PendingMessage, Any], bool | Refusal]


def apply_send(
    context: BatchContext, record: Incoming, message: PendingMessage, send: Send
) -> bool | Refusal:
    """Join a send, unless its day is final."""
    if _is_too_late(context, record, send):
        days = context.retention_days
        detail = f"sent_at: its day ended more than {days} days ago and is final"
        return Refusal(Reason.TOO_LATE, detail)
    state = message.state
    known_conflict = state.conflict
    changed = add_send(state, send_fact(send))
    if state.conflict and not known_conflict:
        message.counted.append(("receipts_conflicts_total",))
    if changed and context.suppressed:
        _note_suppressed(context, message, send)
    message.counted.append(("receipts_events_total", "sends", send.direction))
    return changed


def apply_receipt(
    context: BatchContext, record: Incoming, message: PendingMessage, receipt: Receipt
) -> bool:
    """Join a receipt."""
    message.counted.append(("receipts_events_total", "receipts", receipt.status))
    outcome = outcome_of(receipt, message.settings) if receipt.status != UNKNOWN_WORD else None
    if outcome is not None and may_be_strike(outcome):
        message.saw_hard_bounce = True
    day = _event_day(context, record, receipt.occurred_at)
    return add_receipt(message.state, receipt, outcome, day)


def apply_engagement(
    context: BatchContext, record: Incoming, message: PendingMessage, event: Engagement
) -> bool:
    """Join a click or an unsubscribe; an unsubscribe is forwarded to the suppression agent."""
    message.counted.append(("receipts_events_total", "engagements", event.type))
    state = message.state
    changed = add_engagement(state, event, _event_day(context, record, event.occurred_at))
    if event.type == "unsubscribe":
        _forward_unsubscribe(message, event)
    return changed


def apply_to_recipient(plan: Plan, event: Engagement) -> None:
    """Handle an engagement that names a recipient and no message: there is no state to join."""
    if event.type == "unsubscribe" and event.recipient:
        plan.requests.append(_request(event, event.recipient))
    plan.count("receipts_events_total", "engagements", event.type)


class TopicHandler(NamedTuple):
    """How the records of a topic are parsed, and how their events are joined."""

    parse: Parse
    apply: Apply


HANDLERS: Final[Mapping[str, TopicHandler]] = {
    "sends": TopicHandler(parse_send, apply_send),
    "receipts": TopicHandler(parse_receipt, apply_receipt),
    "engagements": TopicHandler(parse_engagement, apply_engagement),
}


def _forward_unsubscribe(message: PendingMessage, event: Engagement) -> None:
    """If the send is not known yet, the unsubscribe is forwarded when the send arrives."""
    sends = message.state.sends
    if event.recipient:
        message.requests += (_request(event, event.recipient),)
    elif sends and sends[0].direction == "outbound":
        message.requests += (_request(event, sends[0].recipient),)


def _request(event: Engagement, recipient: str) -> KeyValue:
    return unsubscribe(event.account, recipient, event.occurred_at, event.message_id or "")


def _note_suppressed(context: BatchContext, message: PendingMessage, send: Send) -> None:
    """Mark and count a send to a recipient that was suppressed before it."""
    key = recipient_key(send.account, send.recipient)
    if (
        key in context.suppressed
        and context.suppressed[key] < send.sent_at
        and send.direction == "outbound"
    ):
        message.counted.append(("receipts_sends_to_suppressed_total",))
        message.state.to_suppressed = True


def _is_too_late(context: BatchContext, record: Incoming, send: Send) -> bool:
    """Whether a send belongs to a retired day: its cells are final, its states are deleted.

    The record's own time decides, so that a replay decides the same; but never a time ahead of
    the clock.
    """
    first = send.first_sent_at if send.attempt > 1 and send.first_sent_at else send.sent_at
    clock_ms = context.clock_ms
    read_at = min(record.timestamp, clock_ms) if record.timestamp >= 0 else clock_ms
    retirable = last_retirable_day(read_at, context.retention_days)
    return first // DAY_MS <= max(context.retired_day, retirable)


def _event_day(context: BatchContext, record: Incoming, occurred_at: int) -> int:
    """UTC day (since 1970) of an event's record; never one that has retired already."""
    at = record.timestamp if record.timestamp >= 0 else occurred_at
    return max(at // DAY_MS, context.retired_day + 1)
