"""Expected strikes and suppressions of recipients.

Part of the oracle: written from the rules as text, shares no code with the worker.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from deploy.simulator.oracle.rules import Rules

DAY_MS = 86_400_000
KEPT_STRIKES = 40  # per recipient, of the newest messages
BEFORE_MS, AFTER_MS = 600_000, 7_200_000  # the comparison is never earlier or later than this
NO_REASONS: tuple[str, ...] = ()


class Strike(NamedTuple):
    """One message that struck its recipient. Times in epoch ms."""

    recipient: str
    sent_at: int
    occurred_at: int
    code: str


class RecipientStatus(NamedTuple):
    """A row of `suppressions` without keys and version. Times epoch ms, 0: none."""

    suppressed: bool = False
    reasons: tuple[str, ...] = NO_REASONS
    since: int = 0
    until: int = 0
    strikes: int = 0


NOT_SUPPRESSED = RecipientStatus()


class RecipientHistory:
    """All published facts about one recipient of one account. Times in epoch ms."""

    __slots__ = ("delivered_at", "hard_bounces", "latest", "strikes", "suppressing")

    def __init__(self) -> None:
        self.strikes: list[Strike] = []
        self.hard_bounces: list[int] = []  # first hard receipt of each message that may have struck
        self.suppressing: list[int] = []  # times of unsubscribes and suppressions by hand
        self.latest: dict[str, int] = {}  # action -> its latest time
        self.delivered_at = 0  # the latest delivery

    def add_request(self, action: str, at: int) -> None:
        """A suppression, release, resubscribe or unsubscribe; the latest of each counts."""
        self.latest[action] = max(self.latest.get(action, 0), at)
        if action in ("suppress", "unsubscribe"):
            self.suppressing.append(at)


def status_at(history: RecipientHistory, rules: Rules, now_ms: int) -> RecipientStatus:
    """The status of a recipient at `now_ms`."""
    since, until, strikes = _by_strikes(history, rules, now_ms)
    begins = {"hard_bounces": since}
    for reason, begin, end in (
        ("unsubscribed", "unsubscribe", "resubscribe"), ("manual", "suppress", "release"),
    ):  # fmt: skip
        at = history.latest.get(begin, 0)
        begins[reason] = at if at >= history.latest.get(end, 0) else 0
    begins = {reason: at for reason, at in begins.items() if at}
    if not begins:
        return RecipientStatus(strikes=strikes)
    ends = until if tuple(begins) == ("hard_bounces",) else 0
    return RecipientStatus(True, tuple(begins), min(begins.values()), ends, strikes)


def _by_strikes(history: RecipientHistory, rules: Rules, now_ms: int) -> tuple[int, int, int]:
    """(suppressed since, until, strikes that count) by strikes only."""
    released_at = history.latest.get("release", 0)
    reset_at = history.delivered_at if rules.strikes_reset_on_delivery else -1
    times = sorted(
        strike.occurred_at for strike in history.strikes
        if strike.sent_at >= released_at and strike.occurred_at > reset_at
    )  # fmt: skip
    duration_ms = rules.suppression_days * DAY_MS
    while len(times) >= rules.strike_limit:
        since = times[rules.strike_limit - 1]
        if not duration_ms:
            return (since if rules.suppress_hard_bounces else 0), 0, len(times)
        if now_ms < since + duration_ms:
            until = since + duration_ms if rules.suppress_hard_bounces else 0
            return (since if until else 0), until, len(times)
        times = [at for at in times if at >= since + duration_ms]  # ended: the count restarts
    return 0, 0, len(times)


def possible_statuses(
    history: RecipientHistory, rules: Rules, as_of_ms: int
) -> set[RecipientStatus]:
    """Every status that the recipient may have around `as_of_ms`.

    Empty when it has more strikes than are kept.
    """
    if len(history.hard_bounces) > KEPT_STRIKES:
        return set()
    moments = (as_of_ms - BEFORE_MS, as_of_ms, as_of_ms + AFTER_MS)
    return {status_at(history, rules, now_ms) for now_ms in moments}


def first_suppressed(history: RecipientHistory, rules: Rules) -> int | None:
    """The earliest time at which the recipient may have been suppressed; None: never."""
    moments = list(history.suppressing)
    if rules.suppress_hard_bounces:
        moments += sorted(history.hard_bounces)[rules.strike_limit - 1 :]
    return min(moments, default=None)


def request_of(fields: dict[str, Any], at: int) -> tuple[str, str, int, str, str, str]:
    """A row of suppression_requests: account, recipient, at, action, who, why."""
    who, why = fields.get("who") or "", fields.get("why") or ""
    return fields["account"], fields["recipient"], at, fields["action"], who, why
