"""What one event of each topic does to its message (DESIGN §4): joined in, told on, or refused."""

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
from streams.lifecycle.pending import Touched, unsubscribe

if TYPE_CHECKING:
    from streams.lifecycle.shard import Shard

Parse = Callable[[bytes | None, int, int], Event | Refusal]
#: Whether the event changed its message; None when it was refused.
Hear = Callable[["Shard", Plan, Incoming, Touched, Any], bool | None]


def hear_send(
    shard: Shard, plan: Plan, record: Incoming, message: Touched, send: Send
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
    message.words.append(send.direction)
    return changed


def hear_receipt(
    shard: Shard, plan: Plan, record: Incoming, message: Touched, receipt: Receipt
) -> bool:
    """Join a receipt."""
    message.words.append(receipt.status)
    outcome = outcome_of(receipt)
    if strikes(outcome):
        message.heard_hard = True
    return add_outcome(message.state, outcome, _day_heard(shard, record, receipt.occurred_at))


def hear_engagement(
    shard: Shard, plan: Plan, record: Incoming, message: Touched, event: Engagement
) -> bool:
    """Join a click or an unsubscribe; an unsubscribe is told on."""
    message.words.append(event.type)
    state = message.state
    changed = add_engagement(state, event, _day_heard(shard, record, event.occurred_at))
    if event.type == "unsubscribe":
        _hear_unsubscribe(message, event)
    return changed


def hear_recipient(plan: Plan, event: Engagement) -> None:
    """An engagement of a recipient alone: there is no message to join it to."""
    if event.type == "unsubscribe" and event.recipient:
        plan.requests.append(_request(event, event.recipient))
    plan.words.append(event.type)


class Hearing(NamedTuple):
    """How the records of a topic are read, and what becomes of what they say."""

    parse: Parse
    hear: Hear


HEARING: Final[Mapping[str, Hearing]] = {
    "sends": Hearing(parse_send, hear_send),
    "receipts": Hearing(parse_receipt, hear_receipt),
    "engagements": Hearing(parse_engagement, hear_engagement),
}


def last_retirable(clock_ms: int, retention_days: int) -> int:
    """The latest day (since 1970) that ended a whole retention before the clock."""
    return (clock_ms - retention_days * DAY_MS) // DAY_MS - 1


def _hear_unsubscribe(message: Touched, event: Engagement) -> None:
    """Of a message whose send is not known yet it is told when the send comes."""
    sends = message.state.sends
    if event.recipient:
        message.requests += (_request(event, event.recipient),)
    elif sends and sends[0].direction == "outbound":
        message.requests += (_request(event, sends[0].recipient),)


def _request(event: Engagement, recipient: str) -> KeyValue:
    return unsubscribe(event.account, recipient, event.occurred_at, event.message_id or "")


def _note_suppressed(shard: Shard, message: Touched, send: Send) -> None:
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


def _day_heard(shard: Shard, record: Incoming, occurred_at: int) -> int:
    """UTC day on which an orphan was heard of; never one that has retired already."""
    at = record.timestamp if record.timestamp >= 0 else occurred_at
    return max(at // DAY_MS, shard.retired_day + 1)
