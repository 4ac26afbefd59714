"""When a soft-bounced message is due for a retry, and why it is not retried."""

from typing import Final, Literal

import msgspec

from models.accounts import AccountSettings
from models.contract import MAX_ATTEMPT
from models.failures import NEVER_RETRIED
from models.state import MessageState, deadline_ms, is_pending
from models.vocabulary import SUCCESSES, Bounce, Status

NoRetry = Literal["", "off", "too_late", "too_many", "expired", "suppressed", "final"]

_SOFT: Final = Bounce.SOFT.value
_UNDELIVERED: Final = Status.UNDELIVERED.value


class RetryRequest(msgspec.Struct, frozen=True):
    """One record of `retry-requests`: all that a sender needs to send again. Times in epoch ms.

    id: the same for repeated records of one attempt, so that senders can drop duplicates
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
    """The request for the next attempt of a soft-bounced message."""
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
    """Whether the latest known attempt ended as a soft bounce that may be sent again, and no better
    outcome is known."""
    outcome = state.outcome
    return (
        outcome is not None
        and outcome.status == _UNDELIVERED
        and outcome.bounce == _SOFT
        and not outcome.flags & NEVER_RETRIED
        and bool(state.sends)
        and state.sends[0].direction != "inbound"
        and outcome.attempt >= state.sends[-1].attempt
    )


def next_attempt(state: MessageState) -> int:
    """The attempt number of the next retry."""
    latest = state.sends[-1].attempt
    return max(latest, state.outcome.attempt if state.outcome is not None else 0) + 1


def is_announced(state: MessageState) -> bool:
    """Whether a next attempt is announced but not decided yet."""
    return bool(state.next_attempt_at) and state.retry_decided < next_attempt(state)


def retry_due_at(state: MessageState, settings: AccountSettings) -> int:
    """When the next attempt is due, in epoch ms; 0: never.

    It is the first of first_sent_at + k × retry_every_s after the bounce, at most
    first_sent_at + retry_for_s, and before the validity ends: later it would expire at once.
    """
    if not settings.retry_soft_bounces or state.expired_at or not is_soft_bounced(state):
        return 0
    assert state.outcome is not None  # it is soft-bounced
    first, validity_s = state.sends[0].first_sent_at, state.sends[0].validity_s
    every = settings.retry_every_s * 1000
    passed = max(0, state.outcome.occurred_at - first) // every
    due_at = first + (passed + 1) * every
    ends_at = first + (validity_s or settings.validity_s) * 1000
    in_time = due_at <= last_retry_at(state, settings) and due_at < ends_at
    return due_at if in_time and next_attempt(state) <= MAX_ATTEMPT else 0


def last_retry_at(state: MessageState, settings: AccountSettings) -> int:
    """The latest time, in epoch ms, at which a retry can be due."""
    return state.sends[0].first_sent_at + settings.retry_for_s * 1000


def close_late_retry(state: MessageState, settings: AccountSettings, clock_ms: int) -> None:
    """Decide against a retry if the bounce arrived after the time for retries ended."""
    outcome = state.outcome
    if outcome is None or outcome.status != _UNDELIVERED or not is_soft_bounced(state):
        return
    if state.retry_decided >= next_attempt(state):
        return
    if clock_ms > last_retry_at(state, settings) and retry_due_at(state, settings):
        state.retry_decided, state.no_retry = next_attempt(state), "too_late"
        state.next_attempt_at = 0


def next_timer_at(state: MessageState, settings: AccountSettings) -> int:
    """When a timer has something to decide about this message, in epoch ms; 0: never.

    A pending message expires; a soft-bounced one is due for a retry, unless that is decided.
    """
    outcome = state.outcome
    if outcome is not None and outcome.status in SUCCESSES:
        return 0  # the rule
    if is_pending(state):
        return deadline_ms(state, settings.validity_s)
    if not is_soft_bounced(state) or state.retry_decided >= next_attempt(state):
        return 0
    return retry_due_at(state, settings)


def wakes_at(state: MessageState, settings: AccountSettings) -> int:
    """When the timer of a stored state is due, in epoch ms; 0: it has none.

    Besides what `next_timer_at` says: the time of an announced attempt that the settings now
    forbid. The state then says that there is none.
    """
    due_at = next_timer_at(state, settings)
    return due_at or (state.next_attempt_at if is_announced(state) else 0)


def retry_decision(state: MessageState, settings: AccountSettings) -> tuple[NoRetry, int]:
    """For a failed message: why there is no next attempt ("": there is one), and when it is due.

    A decision made at the due time is kept.
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
    """The stored decision at the due time as a NoRetry; "": the retry was requested."""
    if no_retry == "suppressed":
        return "suppressed"
    return "too_late" if no_retry == "too_late" else ""
