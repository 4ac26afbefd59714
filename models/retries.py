"""When a message that bounced softly is due again, and why it is not (issue: retry requests)."""

from typing import Final, Literal

import msgspec

from models.accounts import AccountSettings
from models.state import MessageState, deadline_ms, is_pending
from models.vocabulary import Bounce, Status

NoRetry = Literal["", "off", "too_late", "expired", "suppressed", "final"]

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


def ended_softly(state: MessageState) -> bool:
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
    first_sent_at + retry_for_s.
    """
    if not settings.retry_soft_bounces or state.expired_at or not ended_softly(state):
        return 0
    assert state.outcome is not None  # it ended
    first = state.sends[0].first_sent_at
    every = settings.retry_every_s * 1000
    passed = max(0, state.outcome.occurred_at - first) // every
    due_at = first + (passed + 1) * every
    return due_at if due_at <= first + settings.retry_for_s * 1000 else 0


def wake_at(state: MessageState, settings: AccountSettings) -> int:
    """When the clock has something to decide about this message, in epoch ms; 0: never.

    A pending message expires; one that ended softly is due again, unless that was decided already.
    """
    if is_pending(state):
        return deadline_ms(state, settings.validity_s)
    if not ended_softly(state) or state.retry_decided >= next_attempt(state):
        return 0
    return retry_due_at(state, settings)


def outlook(state: MessageState, settings: AccountSettings) -> tuple[NoRetry, int]:
    """Of a failed message: why no further attempt will be made ("": one will), and when it is due.

    What was decided at the due time stands.
    """
    if state.expired_at:
        return "expired", 0
    if not ended_softly(state):
        return "final", 0
    if state.retry_decided >= next_attempt(state):
        return ("suppressed" if state.no_retry == "suppressed" else ""), state.next_attempt_at
    due_at = retry_due_at(state, settings)
    if due_at:
        return "", due_at
    return ("too_late" if settings.retry_soft_bounces else "off"), 0
