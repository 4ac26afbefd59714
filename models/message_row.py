"""What people and tables see of one state (docs/design.md)."""

from typing import Final, NamedTuple

from models.facts import Outcome, SendFact
from models.keys import split_key
from models.state import MessageState, is_pending
from models.vocabulary import SUCCESSES, Bounce, Status

MESSAGE: Final = "message"
ORPHAN: Final = "orphan"
#: Only an engagement is known: it has its own table, so the state waits without a row.
NO_ROW: Final = "none"


class MessageRow(NamedTuple):
    """One row as people see it. Times in epoch ms, 0 = not yet; "" = absent; credits in 10^-6."""

    kind: str
    account: str
    message_id: str
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
    version: int
    provider_message_id: str
    occurred_at: int
    superseded: tuple[int, ...]
    was_orphan: bool


class StatusColumns(NamedTuple):
    """The status columns of a reading."""

    status: str
    platform_status: str
    carrier_status: str
    bounce: str
    scope: str
    error_code: str
    error_text: str
    failed_attempt: int
    finalized_at: int


_WORDS: Final = {status.value: status.word for status in Status}
_PENDING: Final = {
    word: StatusColumns(word, "submitted", "queued", "", "", "", "", 0, 0)
    for word in ("submitted", "queued")
}
_RECEIVED: Final = StatusColumns("received", "", "", "", "", "", "", 0, 0)
_NO_SEND: Final = SendFact(0, 0, 0, "", "", "", "", "", segments=0, validity_s=0)


def row_of(key: bytes, state: MessageState) -> MessageRow:
    """Read a state as a row of `messages`, of `orphans`, or as none.

    Raises ValueError when `key` is no message key.
    """
    account, message_id = split_key(key)
    sends, outcome = state.sends, state.outcome
    first = sends[0] if sends else _NO_SEND
    kind = MESSAGE if sends else ORPHAN if outcome is not None else NO_ROW
    shown = status_columns(state)
    return MessageRow(
        kind,
        account,
        message_id,
        first.channel,
        first.direction,
        first.source,
        first.sender_id,
        first.sent_by,
        first.campaign_id,
        first.message_type,
        first.recipient or (outcome.recipient if outcome is not None else ""),
        first.country,
        first.external_id,
        first.email,
        first.platform,
        provider_of(state),
        sum(send.segments for send in sends),
        sum(send.credits for send in sends),
        attempts_of(state),
        first.first_sent_at,
        shown.status,
        shown.platform_status,
        shown.carrier_status,
        shown.bounce,
        shown.scope,
        shown.error_code,
        shown.error_text,
        state.fail_reason,
        shown.failed_attempt,
        state.no_retry,
        state.next_attempt_at,
        state.queued_at,
        state.delivered_at,
        state.read_at,
        shown.finalized_at,
        state.clicked_at,
        state.unsubscribed_at,
        state.to_suppressed,
        state.version,
        outcome.provider_message_id if outcome is not None else "",
        outcome.occurred_at if outcome is not None else 0,
        tuple(at for at in state.sort_keys if at != first.first_sent_at),
        state.orphaned,
    )


def status_columns(state: MessageState) -> StatusColumns:
    """Status, carrier status, bounce and reason in force."""
    first, outcome = state.first_send, state.outcome
    if first is not None and first.direction == "inbound":
        return _RECEIVED
    if is_pending(state):
        return _expired(state) if state.expired_at and first else _pending(state)
    assert outcome is not None  # not pending
    status = _WORDS[outcome.status]
    if outcome.status in SUCCESSES:
        return StatusColumns(
            status, "submitted", "delivered", "", "", "", "", 0, state.delivered_at
        )
    rejected = outcome.status == Status.REJECTED
    return StatusColumns(
        status,
        "rejected" if rejected else "submitted",
        "" if rejected else "undelivered",
        _bounce_word(outcome),
        outcome.scope,
        outcome.error_code,
        outcome.reason,
        outcome.attempt,
        outcome.occurred_at,
    )


def _bounce_word(outcome: Outcome) -> str:
    """An undelivered message that is not hard is soft, as the counters have it."""
    if outcome.bounce == Bounce.HARD:
        return "hard"
    return "soft" if outcome.status == Status.UNDELIVERED else ""


def _pending(state: MessageState) -> StatusColumns:
    outcome = state.outcome
    if outcome is None or (state.sends and state.sends[-1].attempt > outcome.attempt):
        return _PENDING["submitted"]
    return _PENDING["queued" if outcome.status == Status.QUEUED else "submitted"]


def _expired(state: MessageState) -> StatusColumns:
    attempt, at = state.sends[-1].attempt, state.expired_at
    return StatusColumns(
        "undelivered", "submitted", "undelivered", "soft", "time", "", "", attempt, at
    )


def provider_of(state: MessageState) -> str:
    """The provider of the latest attempt's send, else that of the winning receipt."""
    provider = state.sends[-1].provider if state.sends else ""
    if not provider and state.outcome is not None:
        return state.outcome.provider
    return provider


def attempts_of(state: MessageState) -> int:
    """The highest attempt known from the sends and from the winning receipt."""
    latest = state.sends[-1].attempt if state.sends else 0
    return max(latest, state.outcome.attempt) if state.outcome is not None else latest
