"""What one event of each topic does to its message: it is joined, or it is refused."""

from collections.abc import Callable, Mapping
from typing import Any, Final, NamedTuple

import msgspec

from models.contract import Engagement, Receipt, Send
from models.correlation import Link
from models.facts import may_be_strike, outcome_of, send_fact
from models.joining import add_engagement, add_receipt, add_send
from models.numbers import is_person, person_of
from models.parsing import parse_engagement, parse_receipt, parse_send
from models.refusal import Reason, Refusal
from models.routes import Routes
from models.state import provider_of
from models.suppression_requests import Action, by_message, encoded_request
from models.time import DAY_MS, last_retirable_day
from models.vocabulary import FAILURES, UNKNOWN_WORD, Status
from streams.common.plan import RECEIPT, Event, Incoming, KeyValue, Plan
from streams.followers.suppression_index import SuppressionIndex
from streams.lifecycle.pending import PendingMessage


class BatchContext(msgspec.Struct, frozen=True):
    """What a batch is decided by, besides its events and the states of their messages.

    clock_ms: the partition's clock, epoch ms
    retired_day: the last day (since 1970) whose states and cells are final; -1: none yet
    retention_days: whole days from the end of a message's day until that day retires
    suppressed: who must not be sent to now
    routes: of the endpoints that providers call; None: there are none
    """

    clock_ms: int
    retired_day: int
    retention_days: int
    suppressed: SuppressionIndex
    routes: Routes | None = None


_SUBMITTED: Final = Status.SUBMITTED.word

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
    if changed and context.routes is not None:
        message.links += context.routes.links_of(
            send.account,
            send.provider or "",
            send.provider_message_id or "",
            send.recipient,
            send.reference or "",
            Link(max(0, record.timestamp), send.message_id, send.attempt),
        )
    return changed


def apply_receipt(
    context: BatchContext, record: Incoming, message: PendingMessage, receipt: Receipt
) -> bool:
    """Join a receipt."""
    provider = receipt.provider or provider_of(message.state)
    message.counted.append((RECEIPT, receipt.status, provider))
    outcome = outcome_of(receipt, message.settings) if receipt.status != UNKNOWN_WORD else None
    if outcome is not None and outcome.status in FAILURES and may_be_strike(outcome):
        message.saw_hard_bounce = True
    day = _event_day(context, record, receipt.occurred_at)
    changed = add_receipt(message.state, receipt, outcome, day)
    if changed and context.routes is not None and receipt.status == _SUBMITTED:
        message.links += context.routes.links_of(
            receipt.account,
            provider,
            receipt.provider_message_id or "",
            receipt.recipient or "",
            "",
            Link(max(0, record.timestamp), receipt.message_id, receipt.attempt or 0),
        )
    return changed


def apply_engagement(
    context: BatchContext, record: Incoming, message: PendingMessage, event: Engagement
) -> bool:
    """Join what a person did; what it wants is forwarded to the suppression agent."""
    message.counted.append(("receipts_events_total", "engagements", event.type))
    state = message.state
    changed = add_engagement(state, event, _event_day(context, record, event.occurred_at))
    if event.type in _WANTS:
        _forward(message, event)
    return changed


def apply_to_recipient(plan: Plan, event: Engagement) -> None:
    """Handle an engagement that names a recipient and no message: there is no state to join."""
    if event.type in _WANTS and event.recipient and is_person(event.recipient):
        plan.requests.append(_request(event, event.recipient, event.channel or ""))
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


#: Engagements that ask for a suppression or for its end, and the action of their request.
_WANTS: Final[Mapping[str, Action]] = {"unsubscribe": "unsubscribe", "resubscribe": "resubscribe"}


def _forward(message: PendingMessage, event: Engagement) -> None:
    """Bind (or free) the message's own number, and the one that the event names, on the event's
    channel.

    Without one: on the channel of the message, or on all while its send is not known; its own
    number is bound when the send arrives (`emit_recipient_events`).
    """
    first = message.state.first_send
    channel = event.channel or (first.channel if first is not None else "")
    if event.type == "resubscribe" and not channel:
        return  # it would allow more than its message: the send decides the channel
    named = (first.recipient if first is not None else "", event.recipient or "")
    people = dict.fromkeys(person_of(each) for each in named if is_person(each))
    message.requests += tuple(_request(event, person, channel) for person in people)


def _request(event: Engagement, recipient: str, channel: str) -> KeyValue:
    action, why = _WANTS[event.type], by_message(event.message_id or "")
    return encoded_request(event.account, recipient, action, event.occurred_at, channel, why=why)


def _note_suppressed(context: BatchContext, message: PendingMessage, send: Send) -> None:
    """Mark and count a send that its recipient was suppressed for before it."""
    if send.direction == "inbound":
        return
    since = context.suppressed.binds(send.account, send.recipient, send.channel, send.source)
    if 0 < since < send.sent_at:
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
