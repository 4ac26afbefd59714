"""Expected retry requests: those that must be in the table, and those that may be.

Part of the oracle, so it shares no code with the worker. A soft bounce that a later event
overrides may lead to a request, if the worker reads the bounce first and the request is due.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from deploy.simulator.oracle.facts import Facts, Send
from deploy.simulator.oracle.messages import Story, deadline_of
from deploy.simulator.oracle.readings import Reading
from deploy.simulator.oracle.rules import MAX_ATTEMPTS, Rules, due_at
from deploy.simulator.oracle.suppression import AFTER_MS, BEFORE_MS

RequestKey = tuple[str, str, int]  # account, message_id, attempt


class RetryExpectation(NamedTuple):
    """A row that retry_requests may have. due_at, first_sent_at: epoch ms, any of these."""

    due_at: frozenset[int]
    first_sent_at: frozenset[int]
    recipient: str
    channel: str


def allowed_retries(
    known: Facts, story: Story, possible: Iterable[Reading], rules: Rules, as_of_ms: int
) -> dict[int, RetryExpectation]:
    """Attempt -> the request that may exist for it, in whatever order events were read.

    possible: failures as they may have been read.
    """
    first = story.sends[0]
    if first.direction == "inbound" or not rules.retry_soft_bounces:
        return {}
    beginnings = frozenset(send.first_sent_at for send in known.sends)
    begun = {(send.first_sent_at, deadline_of(send, rules)) for send in known.sends}
    due: dict[int, set[int]] = {}
    for reading in possible:
        knowable = any(send.attempt <= reading.attempt for send in known.sends)
        may_follow = reading.rank == 2 and not reading.never_again
        if may_follow and knowable and reading.attempt < MAX_ATTEMPTS:
            moments = {due_at(at, reading.occurred_at, end, rules) for at, end in begun}
            moments = {at for at in moments if 0 < at <= as_of_ms + AFTER_MS}
            if moments:
                due.setdefault(reading.attempt + 1, set()).update(moments)
    return {
        attempt: RetryExpectation(frozenset(moments), beginnings, first.recipient, first.channel)
        for attempt, moments in due.items()
    }


def required_retry(known: Facts, story: Story, rules: Rules, as_of_ms: int) -> int:
    """The attempt that must have been requested; 0: none.

    The message ends softly, its retry was due a while ago, and the time for retries is not over:
    so no order of its events can have suppressed the request.
    """
    first, winner = story.sends[0], story.winner
    if winner.rank != 2 or first.direction == "inbound" or winner.attempt >= MAX_ATTEMPTS:
        return 0
    if winner.never_again:
        return 0
    ends_at = deadline_of(first, rules)
    due = due_at(first.first_sent_at, winner.occurred_at, ends_at, rules)
    if not due or due > as_of_ms - BEFORE_MS or may_be_too_late(known.sends, rules, as_of_ms):
        return 0
    return winner.attempt + 1


def may_be_too_late(sends: list[Send], rules: Rules, as_of_ms: int) -> bool:
    """Whether a worker may have expired the message or read a bounce after the time for retries."""
    return any(
        min(deadline_of(send, rules), send.first_sent_at + rules.retry_for_s * 1000)
        <= as_of_ms + AFTER_MS
        for send in sends
    )
