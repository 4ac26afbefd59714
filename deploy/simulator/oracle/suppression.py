"""What must be known of a number: its strikes, and whether it is suppressed.

Part of the oracle: written from the rules as text, sharing no code with the worker.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from deploy.simulator.oracle.rules import Rules

DAY_MS = 86_400_000
REMEMBERED = 40  # strikes of one number that are kept (of the newest messages)
BEFORE_MS, AFTER_MS = 600_000, 7_200_000  # nobody looks earlier or later than this
CLEAR_REASONS: tuple[str, ...] = ()


class Strike(NamedTuple):
    """One message that struck its recipient. Times in epoch ms."""

    recipient: str
    sent_at: int
    occurred_at: int
    code: str


class Standing(NamedTuple):
    """A row of `suppressions` without keys and version. Times epoch ms, 0: none."""

    suppressed: bool = False
    reasons: tuple[str, ...] = CLEAR_REASONS
    since: int = 0
    until: int = 0
    strikes: int = 0


CLEAR = Standing()


class Number:
    """All that was published about one number of one account. Times in epoch ms."""

    __slots__ = ("closed", "decided", "delivered_at", "hits", "strikes")

    def __init__(self) -> None:
        self.strikes: list[Strike] = []
        self.hits: list[int] = []  # first hard receipt of each message that may have struck
        self.closed: list[int] = []  # when somebody unsubscribed or suppressed it
        self.decided: dict[str, int] = {}  # action -> the latest
        self.delivered_at = 0  # the latest report of a delivery

    def decide(self, action: str, at: int) -> None:
        """Somebody asked to suppress, release, resubscribe or unsubscribe; the latest counts."""
        self.decided[action] = max(self.decided.get(action, 0), at)
        if action in ("suppress", "unsubscribe"):
            self.closed.append(at)


def standing(number: Number, rules: Rules, now_ms: int) -> Standing:
    """Where a number stands at `now_ms`."""
    since, until, strikes = _by_strikes(number, rules, now_ms)
    reasons = {"hard_bounces": since}
    decided = number.decided
    for reason, closing, opening in (
        ("unsubscribed", "unsubscribe", "resubscribe"), ("manual", "suppress", "release"),
    ):  # fmt: skip
        closed = decided.get(closing, 0)
        reasons[reason] = closed if closed >= decided.get(opening, 0) else 0
    begun = {reason: at for reason, at in reasons.items() if at}
    if not begun:
        return Standing(strikes=strikes)
    ends = until if tuple(begun) == ("hard_bounces",) else 0
    return Standing(True, tuple(begun), min(begun.values()), ends, strikes)


def _by_strikes(number: Number, rules: Rules, now_ms: int) -> tuple[int, int, int]:
    """(suppressed since, until, strikes that count) by strikes alone."""
    released_at = number.decided.get("release", 0)
    reset_at = number.delivered_at if rules.strikes_reset_on_delivery else -1
    times = sorted(
        strike.occurred_at for strike in number.strikes
        if strike.sent_at >= released_at and strike.occurred_at > reset_at
    )  # fmt: skip
    lasts = rules.suppression_days * DAY_MS
    while len(times) >= rules.strike_limit:
        since = times[rules.strike_limit - 1]
        if not lasts:
            return (since if rules.suppress_hard_bounces else 0), 0, len(times)
        if now_ms < since + lasts:
            until = since + lasts if rules.suppress_hard_bounces else 0
            return (since if until else 0), until, len(times)
        times = [at for at in times if at >= since + lasts]  # it ended: the count begins anew
    return 0, 0, len(times)


def possible(number: Number, rules: Rules, as_of_ms: int) -> set[Standing]:
    """Where the number may stand, whenever one looks around `as_of_ms`.

    More than one where that depends on the moment; none when it was struck more often than is
    remembered.
    """
    if len(number.hits) > REMEMBERED:
        return set()
    moments = (as_of_ms - BEFORE_MS, as_of_ms, as_of_ms + AFTER_MS)
    return {standing(number, rules, now_ms) for now_ms in moments}


def first_suppressed(number: Number, rules: Rules) -> int | None:
    """The earliest moment at which the number may ever have been suppressed; None: never."""
    moments = list(number.closed)
    if rules.suppress_hard_bounces:
        moments += sorted(number.hits)[rules.strike_limit - 1 :]
    return min(moments, default=None)


def request_of(fields: dict[str, Any], at: int) -> tuple[str, str, int, str, str, str]:
    """A row of suppression_requests: account, recipient, at, action, who, why."""
    said = (fields.get("who") or "", fields.get("why") or "")
    return fields["account"], fields["recipient"], at, fields["action"], *said
