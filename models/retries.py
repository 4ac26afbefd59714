"""When a message that bounced softly is due again, and why it is not."""

from typing import Final, Literal

import msgspec

from models.accounts import AccountSettings
from models.contract import MAX_ATTEMPT
from models.state import MessageState, deadline_ms, is_pending
from models.vocabulary import Bounce, Status

NoRetry = Literal["", "off", "too_late", "too_many", "expired", "suppressed", "final"]

_SOFT: Final = Bounce.SOFT.value
_UNDELIVERED: Final = Status.UNDELIVERED.value


class RetryRequest(msgspec.Struct, frozen=True):
    """One record of `retry-requests`: all a sender needs to send again. Times in epoch ms.

    id: the same for every publication of the same attempt, so that senders can drop repeats
    """

    id: str
    account: str
    message_id: str
    attempt: int
    first_sent_at: int
    due_at: int
    recipient: str
    channel: str


def retry_request(account: str, message_id: str, state: MessageState, due_at: int) -> RetryRequest:
    """The request for the next attempt of a message that ended softly."""
    first, attempt = state.sends[0], next_attempt(state)
    return RetryRequest(
        f"{account}/{message_id}/{attempt}",
        account,
        message_id,
        attempt,
        first.first_sent_at,
        due_at,
        first.recipient,
        first.channel,
    )


def is_soft_bounced(state: MessageState) -> bool:
    """The latest attempt known ended as undelivered and soft, and nothing better is known."""
    outcome = state.outcome
    return (
        outcome is not None
        and outcome.status == _UNDELIVERED
        and outcome.bounce == _SOFT
        and bool(state.sends)
        and state.sends[0].direction != "inbound"
        and outcome.attempt >= state.sends[-1].attempt
    )


def next_attempt(state: MessageState) -> int:
    """The attempt a retry would be."""
    latest = state.sends[-1].attempt
    return max(latest, state.outcome.attempt if state.outcome is not None else 0) + 1


def retry_due_at(state: MessageState, settings: AccountSettings) -> int:
    """When the next attempt is due, in epoch ms; 0: never.

    first_sent_at + k × retry_every_s, the first such moment after the bounce, never beyond
    first_sent_at + retry_for_s, and before the message's validity ends: it would expire at once.
    """
    if not settings.retry_soft_bounces or state.expired_at or not is_soft_bounced(state):
        return 0
    assert state.outcome is not None  # it ended
    first, validity_s = state.sends[0].first_sent_at, state.sends[0].validity_s
    every = settings.retry_every_s * 1000
    passed = max(0, state.outcome.occurred_at - first) // every
    due_at = first + (passed + 1) * every
    ends_at = first + (validity_s or settings.validity_s) * 1000
    in_time = due_at <= last_retry_at(state, settings) and due_at < ends_at
    return due_at if in_time and next_attempt(state) <= MAX_ATTEMPT else 0


def last_retry_at(state: MessageState, settings: AccountSettings) -> int:
    """No retry is due later than this, in epoch ms."""
    return state.sends[0].first_sent_at + settings.retry_for_s * 1000


def close_late_retry(state: MessageState, settings: AccountSettings, clock_ms: int) -> None:
    """A bounce that is heard of when the time for retries is over leads to no request."""
    if not is_soft_bounced(state) or state.retry_decided >= next_attempt(state):
        return
    if clock_ms > last_retry_at(state, settings) and retry_due_at(state, settings):
        state.retry_decided, state.no_retry = next_attempt(state), "too_late"
        state.next_attempt_at = 0


def next_timer_at(state: MessageState, settings: AccountSettings) -> int:
    """When the clock has something to decide about this message, in epoch ms; 0: never.

    A pending message expires; one that ended softly is due again, unless that was decided already.
    """
    if is_pending(state):
        return deadline_ms(state, settings.validity_s)
    if not is_soft_bounced(state) or state.retry_decided >= next_attempt(state):
        return 0
    return retry_due_at(state, settings)


def retry_decision(state: MessageState, settings: AccountSettings) -> tuple[NoRetry, int]:
    """Of a failed message: why no further attempt will be made ("": one will), and when it is due.

    What was decided at the due time stands.
    """
    if state.expired_at:
        return "expired", 0
    if not is_soft_bounced(state):
        return "final", 0
    if state.retry_decided >= next_attempt(state):
        return decided(state.no_retry), state.next_attempt_at
    due_at = retry_due_at(state, settings)
    if due_at:
        return "", due_at
    if not settings.retry_soft_bounces:
        return "off", 0
    return ("too_late" if next_attempt(state) <= MAX_ATTEMPT else "too_many"), 0


def decided(no_retry: str) -> NoRetry:
    """What was decided about the next attempt when it was due: "" when it was asked for."""
    if no_retry == "suppressed":
        return "suppressed"
    return "too_late" if no_retry == "too_late" else ""
